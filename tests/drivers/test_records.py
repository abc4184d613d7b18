"""LIS02-A2 records: delimiters, escapes, the tree, extents, and writing them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.kit.exchange import DecodeError, Reason
from drivers.kit.frames import ENQ, EOT, cut, frame
from drivers.kit.records import Delimiters, parse, write
from drivers.kit.results import loinc

MESSAGE = b"H|\\^&|||Reader^1\rP|1\rO|1|S1||^^^CRP\rR|1|^^^CRP|12.4|mg/L\rC|1|I|shaken\rR|2|^^^HB|141|g/L\rL|1|N\r"


def framed(message: bytes, size: int = 240, by_record: bool = True) -> bytes:
    return b"".join(frame(number, text, end) for number, (text, end) in enumerate(cut(message, size, by_record), 1))


def test_fields_count_from_one() -> None:
    header, _, order, result, *_ = parse(MESSAGE)
    assert (header.raw(1), header.raw(2), header.text(5)) == ("H", "\\^&", "Reader^1")
    assert (order.text(3), order.component(5, 4)) == ("S1", "CRP")
    assert (result.text(4), result.text(5), result.text(99)) == ("12.4", "mg/L", "")


def test_delimiters_come_from_the_header() -> None:
    header, result = parse(b"H|@^\\|id\rR|1|^^^A\\S\\B|1@2|\\F\\\r")
    assert header.delimiters == Delimiters("|", "@", "^", "\\")
    assert result.components(3) == ["", "", "", "A^B"]
    assert (result.repeats(4), result.text(5)) == (["1", "2"], "|")


def test_a_header_may_come_again_with_other_delimiters() -> None:
    first, one, second, two = parse(b"H|\\^&\rR|1|^^^A\rH!@$%\rR!1!$$$B\rL")[:4]
    assert [record.letter for record in (first, one, second, two)] == ["H", "R", "H", "R"]
    assert (one.component(3, 4), two.component(3, 4)) == ("A", "B")
    assert two.above("H") is second


def test_doubled_delimiters_count_once() -> None:
    assert parse(b"H|\\\\^&|||x\r")[0].delimiters == Delimiters()


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("&F&", "|"),
        ("&S&", "^"),
        ("&R&", "\\"),
        ("&E&F&E&", "&F&"),
        ("&X414F&", "AO"),
        ("&H&x&N&", "x"),
        ("R&D", "R&D"),
    ],
)
def test_escapes_are_resolved_once_after_splitting(sent: str, read: str) -> None:
    assert parse(f"H|\\^&\rR|1|{sent}\r".encode())[1].components(3) == [read]


def test_the_tree_and_what_stands_beside_it() -> None:
    records = parse(MESSAGE)
    header, patient, order, first, comment, second, _ = records
    assert [record.parent for record in (patient, order, first, second)] == [header, patient, order, order]
    assert first.comments == [comment]
    assert comment.parent is first
    assert order.first_result is first


@pytest.mark.parametrize("ending", [b"\r", b"\n", b"\r\n", b"\r\n\r\n"])
def test_line_ends_may_differ(ending: bytes) -> None:
    assert [record.letter for record in parse(MESSAGE.replace(b"\r", ending))] == list("HPORCRL")


def test_records_split_by_frames_anywhere_are_the_same() -> None:
    plain = [record.fields for record in parse(MESSAGE)]
    for size in range(1, 60):
        assert [record.fields for record in parse(framed(MESSAGE, size, by_record=False))] == plain


def test_extents_reach_to_the_end_of_each_record() -> None:
    for record in parse(MESSAGE):
        assert MESSAGE[: record.end].endswith(record.delimiters.field.join(record.fields).encode())
    raw = framed(MESSAGE, 9, by_record=False)
    ends = [record.end for record in parse(raw)]
    assert ends == sorted(set(ends))
    for record in parse(raw):
        assert raw[: record.end].endswith(record.fields[-1][-1:].encode())


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"R|1|^^^CRP|1\r", ENQ + EOT, b"\x021H|\\^&\r\x0300\r\n"])
def test_no_header_is_unreadable(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        parse(raw)


def test_character_sets() -> None:
    raw = "H|\\^&\rR|1|^^^CRP|Négatif|µg/L\r".encode("latin-1")
    guessed = parse(raw)[1]
    assert (guessed.text(4), guessed.text(5), guessed.guessed) == ("Négatif", "µg/L", True)
    declared = parse(raw, "latin-1")[1]
    assert (declared.text(4), declared.guessed) == ("Négatif", False)
    with pytest.raises(DecodeError) as caught:
        parse(raw, "utf-8")
    assert caught.value.reason is Reason.ENCODING


@pytest.mark.parametrize("unit", ["µg/L", "µIU/mL", "10³/µL", "µm³", "°C", "x10²/L"])
def test_the_signs_of_a_unit_are_no_guess(unit: str) -> None:
    record = parse(f"H|\\^&\rR|1|^^^CRP|1|{unit}\r".encode("latin-1"))[1]
    assert (record.text(5), record.guessed) == (unit, False)


@pytest.mark.parametrize("raw", [b"\xa6\xccg/L", b"\xb5\xa5", b"Caf\xe9", b"\xb0\xe5", b"\xb5"])
def test_other_signs_are(raw: bytes) -> None:
    assert parse(b"H|\\^&\rR|1|^^^CRP|1|" + raw + b"\r")[1].guessed


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_records_or_unreadable(raw: bytes) -> None:
    for prefix in (b"", b"H|\\^&\r", b"H|@^\\|"):
        try:
            for record in parse(prefix + raw):
                for number in range(1, 5):
                    record.components(number)
                    record.repeats(number)
        except DecodeError:
            pass


PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=12)


@settings(deadline=None)
@given(st.lists(st.one_of(PLAIN, st.tuples(PLAIN, PLAIN)), min_size=1, max_size=6), st.sampled_from(["\\^&", "@^\\"]))
def test_what_is_written_is_read(fields: list[str | tuple[str, str]], marks: str) -> None:
    delimiters = Delimiters("|", *marks)
    text = write([["H", ""], ["R", "1", *fields, "end"], ["L", "1", "N"]], delimiters)
    record = parse(text.encode())[1]
    for number, field in enumerate(fields, start=3):
        wanted = [field] if isinstance(field, str) else list(field)
        assert record.components(number) == (wanted if any(wanted) else [])


def test_loinc_codes_need_their_check_digit() -> None:
    assert loinc("787-2") == "loinc:787-2"
    assert loinc("94558-4") == "loinc:94558-4"
    assert loinc("89372-5") is None
    assert loinc("CRP") is None
