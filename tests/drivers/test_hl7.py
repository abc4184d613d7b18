"""HL7 v2: what is written is read back, what others wrote is read, messages are answered as they ask."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.exchange import DecodeError, Event, Reason, Received, Rejected, Send
from drivers.kit.hl7 import Delimiters, Row, Segment, declared, parse, write
from drivers.kit.hl7_answers import Answering, answers
from drivers.kit.hl7_groups import entries, orders
from drivers.kit.mllp import Answer

hl7apy: Any = pytest.importorskip("hl7apy.parser")
levels: Any = pytest.importorskip("hl7apy.consts")
core: Any = pytest.importorskip("hl7apy.core")

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=1, max_size=12)
WORDS = TEXT.filter(lambda text: bool(text.strip().strip('"')))
NOW = 1_768_468_000.0  # 2026-01-15 09:06:40 UTC
MSH = "MSH|^~\\&|APP^1|FAC|HOST|LAB|20260115093000||{kind}|C-{control}|P|{version}|||{accept}|{application}||{charset}"


def header(
    kind: str = "ORU^R01^ORU_R01",
    *,
    version: str = "2.5.1",
    accept: str = "",
    application: str = "",
    charset: str = "",
    control: str = "1",
) -> str:
    return MSH.format(
        kind=kind, version=version, accept=accept, application=application, charset=charset, control=control
    ).rstrip("|")


def message(*segments: str, head: str = "") -> bytes:
    return "".join(f"{segment}\r" for segment in (head or header(), *segments)).encode()


def only(data: bytes, encoding: str | None = None) -> list[Segment]:
    (one,) = parse(data, encoding)
    return one.segments


# ---- reading


@given(
    st.dictionaries(
        st.integers(1, 30),
        st.lists(st.lists(st.lists(WORDS, min_size=1, max_size=3), min_size=1, max_size=3), min_size=1, max_size=3),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([Delimiters(), Delimiters("#", "*", "!", "%", "@"), Delimiters("_", "^", "~", "\\", "&")]),
)
def test_what_is_written_is_read_back(fields: dict[int, list[list[list[str]]]], marks: Delimiters) -> None:
    row = Row("ZZZ")
    for number, repeats in fields.items():
        for repeat, components in enumerate(repeats, 1):
            for component, subs in enumerate(components, 1):
                for sub, text in enumerate(subs, 1):
                    row.put(number, text, component, sub, repeat)
    text = write([Row("MSH", {9: ("ORU", "R01")}), row], marks)
    (read,) = parse(text.encode())
    assert read.header.delimiters == marks
    (segment,) = read.segments
    for number, repeats in fields.items():
        for repeat, components in enumerate(repeats, 1):
            for component, subs in enumerate(components, 1):
                for sub, wanted in enumerate(subs, 1):
                    assert segment.at(number, component, sub, repeat) == wanted.strip()


@given(st.lists(WORDS, min_size=1, max_size=6))
def test_an_independent_reader_reads_what_we_write(texts: list[str]) -> None:
    rows = [Row("MSH", {9: ("ORU", "R01", "ORU_R01"), 10: "1", 11: "P", 12: "2.5.1"}), Row("OBR", {1: "1"})]
    rows += [Row("OBX", {1: str(n), 2: "ST", 3: ("A", "b"), 5: text}) for n, text in enumerate(texts, 1)]
    text = write(rows)
    theirs = hl7apy.parse_message(text, validation_level=levels.VALIDATION_LEVEL.TOLERANT, find_groups=False)
    ours = [segment for segment in only(text.encode()) if segment.name == "OBX"]
    assert [obx.at(5) for obx in ours] == [word.strip() for word in texts]
    assert [obx.raw(5) for obx in ours] == [obx.obx_5.value for obx in theirs.children if obx.name == "OBX"]


@given(st.lists(st.text("aB1 |^&~", min_size=1, max_size=10).filter(lambda t: bool(t.strip())), min_size=1, max_size=5))
def test_we_read_what_an_independent_writer_writes(texts: list[str]) -> None:
    theirs = core.Message("ORU_R01", version="2.5.1")
    theirs.msh.msh_9 = "ORU^R01^ORU_R01"
    for number, text in enumerate(texts):
        obx = core.Segment("OBX", version="2.5.1")
        obx.obx_2 = "ST"
        obx.obx_5 = Delimiters().escaped(text)
        obx.obx_14 = f"2026011509300{number}"
        theirs.add(obx)
    read = [segment for segment in only(theirs.to_er7().encode()) if segment.name == "OBX"]
    assert [obx.at(5) for obx in read] == [text.strip() for text in texts]
    assert [obx.at(14) for obx in read] == [f"2026011509300{number}" for number in range(len(texts))]


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (r"\E\F\E\ ", r"\F\ ".strip()),
        (r"line\.br\next", "line\nnext"),
        (r"\H\high\N\ ", "high"),
        (r"\X41 42\ ", r"\X41 42\ ".strip()),
        (r"\XC3A9\ ", "é"),
        (r"\Z00E9\ ", r"\Z00E9\ ".strip()),
        (r"C:\dir\file", r"C:\dir\file"),
        (r"half\F", r"half\F"),
    ],
)
def test_escapes_are_resolved_once_and_unknown_ones_stay(sent: str, text: str) -> None:
    (obx,) = only(message(f"OBX|1|ST|A||{sent}", head=header(charset="UNICODE UTF-8")))
    assert obx.at(5) == text


def test_an_escaped_delimiter_does_not_split() -> None:
    (obx,) = only(message(r"OBX|1|ST|A\S\B^C\T\D&E||1"))
    assert (obx.at(3), obx.at(3, 2), obx.at(3, 2, 2)) == ("A^B", "C&D", "E")


def test_delimiters_come_from_the_header_and_doubled_ones_count_once() -> None:
    assert declared("MSH|^~\\&|") == Delimiters()
    assert declared("MSH|^~\\\\&|") == Delimiters()
    assert declared("MSH$*!%@$") == Delimiters("$", "*", "!", "%", "@")
    assert declared("MSH|^~\\&#|") == Delimiters()
    assert declared("MSH|^~&|") == Delimiters()  # the backslash was lost on the way
    assert declared("MSH|^|") == Delimiters("|", "^", "", "", "")
    (obx,) = only(b"MSH_^~\\&_A_B\rOBX_1_NM_K^L__5\r")
    assert (obx.at(3, 2), obx.at(5)) == ("L", "5")


def test_the_header_counts_its_separator_and_other_segments_do_not() -> None:
    (one,) = parse(message("PID|1||P7"))
    assert (one.header.at(3), one.header.at(9, 2), one.header.at(10), one.segments[0].at(3)) == (
        *("APP", "R01", "C-1", "P7"),
    )


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\n\r", "\r\r\n"])
def test_segments_end_as_senders_end_them(end: str) -> None:
    data = end.join((header(), "PID|1||P7", "OBX|1|NM|A||5", "")).encode()
    assert [segment.name for segment in only(data)] == ["PID", "OBX"]
    assert [segment.name for segment in only(b"\x0b" + data + b"\x1c\r")] == ["PID", "OBX"]


def test_a_line_end_within_a_text_does_not_end_its_segment() -> None:
    (_, nte, obx) = only(message("OBX|1|NM|A||5", "NTE|1||first line\rsecond line|x", "OBX|2|NM|B||6"))
    assert nte.fields[3] == "first line\nsecond line|x"
    assert obx.at(5) == "6"


def test_a_line_end_within_a_field_does_not_lose_the_fields_behind_it() -> None:
    (obx,) = only(message("OBX|1|NM||HbA1c\r(IFCC)|1.2 %\n 2.2|%||||||5.3"))
    assert [obx.text(number) for number in (4, 5, 6, 12)] == ["HbA1c\n(IFCC)", "1.2 %\n2.2", "%", "5.3"]


def test_explicit_nulls_say_nothing() -> None:
    (obr,) = only(message('OBR|1|""|"^A|X'))
    assert (obr.at(2), obr.raw(2), obr.text(2), obr.at(4)) == ("", "", "", "X")


def test_batches_and_several_messages_in_one_payload() -> None:
    data = b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + message("OBX|1|NM|A||5") + message("OBX|1|NM|A||6") + b"BTS|2\rFTS|1\r"
    assert [one.segments[0].at(5) for one in parse(data)] == ["5", "6"]


@pytest.mark.parametrize(
    "data", [b"", b"\r\n", b"hello", b"PID|1\rMSH|^~\\&|", b"MSH", b"BHS|^~\\&\r", b"\x00\xff\x1c"]
)
def test_what_has_no_header_is_not_read(data: bytes) -> None:
    with pytest.raises(DecodeError):
        parse(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for prefix in (b"", b"MSH|^~\\&|A|B\rOBX|1|NM|"):
        try:
            for one in parse(prefix + data):
                for segment in (one.header, *one.segments):
                    segment.text(5), segment.components(5), segment.at(3, 2, 2, 2), segment.sent
                orders(one)
        except DecodeError:
            continue


# ---- character sets


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("UNICODE UTF-8", "utf-8"),
        ("UNICODE", "utf-8"),
        ("8859/1", "latin-1"),
        ("8859/15", "iso8859-15"),
        ("GB 18030-2000", "gb18030"),
        ("", "utf-8"),
        ("ASCII", "utf-8"),
    ],
)
def test_characters_are_as_the_header_says(charset: str, codec: str) -> None:
    data = message("OBX|1|ST|A||détecté", head=header(charset=charset)).decode().encode(codec)
    (obx,) = only(data)
    assert (obx.at(5), obx.guessed) == ("détecté", False)


def test_characters_that_do_not_fit_are_guessed_and_marked_unless_declared() -> None:
    data = message("PID|1||||Müller", "OBX|1|ST|A||5", head=header(charset="UNICODE UTF-8")).decode().encode("latin-1")
    pid, obx = only(data)
    assert (pid.text(5), pid.guessed, obx.guessed) == ("Müller", True, False)
    assert only(data, "cp1252")[0].guessed is False
    with pytest.raises(DecodeError) as refused:
        parse(data, "utf-8")
    assert refused.value.reason is Reason.ENCODING


# ---- what belongs together


def told(data: bytes) -> list[tuple[str, ...]]:
    (one,) = parse(data)
    places = ("OBX-5", "SPM-2", "SAC-3", "OBR-4", "PID-3")
    return [tuple(entry.said(place) for place in places) for entry in entries(one)]


def test_specimen_first_messages() -> None:
    data = message(
        *("PID|1||P1", "SPM|1|S1", "SAC|||C1", "OBR|1|||T1", "ORC|SC", "OBX|1|NM|A||1", "TCD|A", "OBX|2|NM|B||2"),
        *("OBR|2|||T2", "ORC|SC", "OBX|1|NM|A||3", "SPM|2|S2", "OBR|1|||T3", "OBX|1|NM|A||4"),
        head=header("OUL^R22^OUL_R22"),
    )
    assert told(data) == [
        ("1", "S1", "C1", "T1", "P1"),
        ("2", "S1", "C1", "T1", "P1"),
        ("3", "S1", "C1", "T2", "P1"),
        ("4", "S2", "", "T3", "P1"),
    ]


def test_order_first_messages_have_the_specimen_behind_the_results() -> None:
    data = message(
        *("PID|1||P1", "ORC|RE", "OBR|1|||T1", "OBX|1|NM|A||1", "SPM|1|S1", "ORC|RE", "OBR|2|||T2", "OBX|1|NM|A||2"),
        *("SPM|2|S2", "PID|2||P2", "OBR|1|||T3", "OBX|1|NM|A||3", "OBR|2|||T4", "OBX|1|NM|A||4", "SPM|1|S3"),
    )
    assert told(data) == [
        ("1", "S1", "", "T1", "P1"),
        ("2", "S2", "", "T2", "P1"),
        ("3", "S3", "", "T3", "P2"),  # the patient's only specimen
        ("4", "S3", "", "T4", "P2"),
    ]


def test_order_first_with_the_specimen_before_the_results() -> None:
    data = message(
        *("PID|1||P1", "OBR|1|||T1", "ORC|OK", "SPM|1|S1", "SAC|||C1", "OBX|1|NM|A||1"),
        *("OBR|2|||T2", "ORC|OK", "SPM|2|S2", "OBX|1|NM|A||2"),
        head=header("OUL^R24^OUL_R24"),
    )
    assert told(data) == [("1", "S1", "C1", "T1", "P1"), ("2", "S2", "", "T2", "P1")]


def test_the_reagents_of_a_test_are_not_the_specimens_contents() -> None:
    data = message(
        *("SPM|1|S1", "INV|LOT|OK|CO", "OBR|1|||T1", "OBX|1|NM|A||1", "INV|REAGENT|OK|MR", "NTE|1||said"),
        *("SPM|2|S2", "OBR|1|||T1", "OBX|1|NM|A||2", "INV|NEG CTRL|OK|CO"),
    )
    first, second = entries(parse(data)[0])
    assert [segment.at(3) for segment in first.all("INV")] == ["CO"]
    assert [segment.at(3) for segment in first.others] == ["MR"]
    assert [note.at(3) for note in first.notes] == ["said"]
    assert second.all("INV") == []


def test_observations_without_orders() -> None:
    assert told(message("PID|1||P1", "OBX|1|NM|A||1")) == [("1", "", "", "", "P1")]
    two = message("PID|1||P1", "OBX|1|NM|A||1", "PID|2||P2", "OBX|1|NM|A||2", "SPM|1|S2")
    assert told(two) == [("1", "", "", "", "P1"), ("2", "S2", "", "", "P2")]
    oul = message("SPM|1|S1", "OBX|1|NM|A||1", "SPM|2|S2", "OBX|1|NM|A||2", head=header("OUL^R22"))
    assert told(oul) == [("1", "S1", "", "", ""), ("2", "S2", "", "", "")]


def test_observations_of_the_specimen_or_the_person_are_none_of_an_order() -> None:
    specimen_first = message(
        *("SPM|1|S1", "OBX|1|NM|AGE||36", "NTE|1||said", "OBR|1|||T1", "OBX|1|NM|A||1", "SPM|2|S2", "OBX|1|NM|B||2"),
        head=header("OUL^R22^OUL_R22"),
    )
    assert told(specimen_first) == [("1", "S1", "", "T1", ""), ("2", "S2", "", "", "")]
    first = next(entries(parse(specimen_first)[0]))
    assert first.order.specimen is not None
    (age,) = first.order.specimen.observations
    assert (age.said("OBX-5"), [note.at(3) for note in age.notes]) == ("36", ["said"])
    behind = message(
        "PID|1||P1", "OBR|1|||T1", "OBX|1|NM|A||1", "SPM|1|S1", "OBX|1|NM|VOL||5", "OBR|2|||T2", "OBX|1|NM|B||2"
    )
    assert told(behind) == [("1", "S1", "", "T1", "P1"), ("2", "S1", "", "T2", "P1")]
    before = message("PID|1||P1", "OBX|1|NM|WEIGHT||70", "ORC|RE", "OBR|1|||T1", "OBX|1|NM|A||1")
    assert told(before) == [("1", "", "", "T1", "P1")]


# ---- answers


def answered(data: bytes, **settings: Any) -> list[Event]:
    return list(Answering(**settings).receive(data, NOW))


def replies(data: bytes, **settings: Any) -> list[bytes]:
    events = answered(data, **settings)
    return [said for event in events if (said := event.data if isinstance(event, Send) else event.reply)]


def fields(reply: bytes, name: str) -> list[str]:
    line = next(line for line in reply.decode().split("\r") if line.startswith(name))
    cells = line.split("|")
    return [cells[0], "|", *cells[1:]] if name == "MSH" else cells


def test_who_says_in_its_header_what_a_result_is_of_reads_that_back() -> None:
    head = header("ORU^R01", version="2.3.1", application="2", charset="ASCII", control="7")
    (reply,) = replies(message("OBR|1", head=head))
    assert fields(reply, "MSH")[16:] == ["2", "", "ASCII", "", "", ""]
    assert fields(reply, "MSA") == ["MSA", "AA", "C-7", "Message accepted", "", "", "0", ""]
    (reply,) = replies(message("OBR|1", head=header("ORU^R01", application="0", control="").replace("|C-|", "||")))
    assert fields(reply, "MSA")[1:4] == ["AA", "", "Message accepted"]


@pytest.mark.parametrize(
    ("version", "rest", "whole"),
    [("2.3.1", "|||||CHA|UTF-8|||", True), ("2.3.1", "||||||UNICODE", False), ("2.5", "||||||ASCII|||", False)],
)
def test_whose_header_is_as_long_reads_an_answer_to_its_end(version: str, rest: str, whole: bool) -> None:
    head = rf"MSH|^~\&|A|B|||20260115093000||ORU^R01|C-7|P|{version}{rest}"
    (reply,) = replies(message("OBR|1", head=head))
    assert reply.decode().split("\r")[1] == ("MSA|AA|C-7|Message accepted|||0|" if whole else "MSA|AA|C-7")
    assert (len(fields(reply, "MSH")) == 22) is whole


def test_an_acknowledgement_in_original_mode() -> None:
    data = message("OBX|1|NM|A||5", head=header("OUL^R22^OUL_R22", charset="UNICODE UTF-8") + "|||LAB-29^IHE")
    (event,) = answered(data)
    assert isinstance(event, Received)
    assert event.raw == data
    msh, msa = fields(event.reply, "MSH"), fields(event.reply, "MSA")
    assert msh[3:7] == ["HOST", "LAB", "APP^1", "FAC"]
    assert msh[7] == "20260115090640"
    assert (msh[9], msh[11], msh[12], msh[18], msh[21]) == ("ACK^R22^ACK", "P", "2.5.1", "UNICODE UTF-8", "LAB-29^IHE")
    assert msh[10] not in ("", "C-1")
    assert len(msh[10]) <= 20
    assert msa == ["MSA", "AA", "C-1"]


def test_an_independent_reader_accepts_the_answers() -> None:
    for kind in ("ORU^R01^ORU_R01", "OUL^R22^OUL_R22", "ESU^U01^ESU_U01"):
        (reply,) = replies(message(head=header(kind)))
        read = hl7apy.parse_message(reply.decode(), validation_level=levels.VALIDATION_LEVEL.TOLERANT)
        assert read.name == "ACK"
        assert (read.msa.msa_1.value, read.msa.msa_2.value) == ("AA", "C-1")
        assert read.validate()
    (reply,) = replies(message("QPD|WOS^Work Order Step^IHELAW|T-1|S1", "RCP|I||R", head=header("QBP^Q11^QBP_Q11")))
    read = hl7apy.parse_message(reply.decode(), validation_level=levels.VALIDATION_LEVEL.TOLERANT)
    assert read.name == "RSP_K11"
    assert (read.msa.msa_1.value, read.msa.msa_2.value) == ("AA", "C-1")
    assert (read.qak.qak_1.value, read.qak.qak_2.value) == ("T-1", "NF")


def test_the_control_id_comes_back_byte_for_byte_and_ours_is_our_own() -> None:
    odd = "é \\F\\ {x}~1"
    exchange = Answering()
    first, again = (list(exchange.receive(message(head=header(control=odd)), NOW)) for _ in range(2))
    replies_ = [event.reply for event in (*first, *again) if isinstance(event, Received)]
    assert [reply.split(b"\rMSA|AA|")[1] for reply in replies_] == [f"C-{odd}\r".encode()] * 2
    assert len({fields(reply, "MSH")[10] for reply in replies_}) == 2


@pytest.mark.parametrize(
    ("accept", "application", "codes"),
    [
        ("", "", ["AA"]),
        ("NE", "AL", ["AA"]),
        ("ER", "AL", ["AA"]),
        ("AL", "NE", ["CA"]),
        ("AL", "", ["CA"]),
        ("AL", "AL", ["CA", "AA"]),
        ("SU", "ER", ["CA"]),
        ("NE", "NE", []),
        ("", "0", ["AA"]),  # what some analysers keep there is no mode
    ],
)
def test_answers_are_those_the_message_asks_for(accept: str, application: str, codes: list[str]) -> None:
    data = message(head=header(accept=accept, application=application))
    found = replies(data)
    assert [fields(reply, "MSA")[1] for reply in found] == codes
    assert len({fields(reply, "MSH")[10] for reply in found}) == len(codes)
    assert [fields(reply, "MSA")[1] for reply in replies(data, enhanced="original")] == ["AA"]
    assert isinstance(answered(data)[0], Received)


def test_old_versions_are_answered_without_a_structure() -> None:
    (reply,) = replies(message(head=header("ORU^R01", version="2.3.1")))
    assert fields(reply, "MSH")[9] == "ACK^R01"
    (reply,) = replies(message(head=header("OUL^R22", version="2.5")))
    assert fields(reply, "MSH")[9] == "ACK^R22^ACK"


@pytest.mark.parametrize("trigger", ["R30", "R31", "R32"])
def test_point_of_care_results_are_answered_with_their_own_event(trigger: str) -> None:
    (reply,) = replies(message(head=header(f"ORU^{trigger}^ORU_R30")))
    assert fields(reply, "MSH")[9] == "ACK^R33^ACK"
    assert fields(reply, "MSA")[1:3] == ["AA", "C-1"]


def test_the_time_of_an_answer_is_the_instruments_or_says_its_offset() -> None:
    zone = ZoneInfo("Asia/Karachi")
    (reply,) = replies(message(), zone=zone)
    assert fields(reply, "MSH")[7] == "20260115140640"
    offset = message().replace(b"20260115093000", b"20260115093000+0500")
    (reply,) = replies(offset, zone=zone)
    at = datetime.strptime(fields(reply, "MSH")[7], "%Y%m%d%H%M%S%z")
    assert at == datetime.fromtimestamp(NOW, UTC)


def test_what_has_no_header_is_rejected_with_an_error_segment() -> None:
    (event,) = answered(b"PID|1||P1\r")
    assert isinstance(event, Rejected)
    assert event.reason is Reason.UNREADABLE
    assert fields(event.reply, "MSA")[1] == "AR"
    assert fields(event.reply, "ERR")[3:5] == ["100^Segment sequence error^HL70357", "E"]


def test_every_message_of_a_payload_is_answered() -> None:
    data = message(head=header(control="1")) + message(head=header(control="2"))
    assert [fields(reply, "MSA")[2] for reply in replies(data)] == ["C-1", "C-2"]


@pytest.mark.parametrize("kind", ["ACK^R22^ACK", "RSP^K11^RSP_K11", "ORL^O34^ORL_O42"])
def test_answers_are_never_answered(kind: str) -> None:
    assert replies(message("MSA|AA|X", head=header(kind))) == []


@pytest.mark.parametrize(
    ("kind", "version", "segments", "answer"),
    [
        (
            *("QBP^Q11^QBP_Q11", "2.5.1", ("QPD|WOS^Work Order Step^IHELAW|T1|S1", "RCP|I")),
            {"MSH": "RSP^K11^RSP_K11", "QAK": "QAK|T1|NF|WOS^Work Order Step^IHELAW"},
        ),
        ("QBP^WOS^QBP_Q11", "2.5.1", ("QPD|WOS^Work Order Step^IHE_LABTF|T1|S1",), {"MSH": "RSP^WOS^RSP_K11"}),
        ("QBP^Q11", "2.5", ("QPD|WOS||S1",), {"MSH": "RSP^K11^RSP_K11", "QAK": "QAK||NF|WOS"}),
        (
            *("QBP^Z03^QBP_Z03", "2.5", ("QPD|Z03^HOST QUERY|T1||S1",)),
            {"MSH": "RSP^Z02", "QAK": "QAK|T1|OK|Z03^HOST QUERY", "QPD": "QPD|Z03^HOST QUERY|T1||S1"},
        ),
        (
            *("QRY^Q02", "2.3.1", ("QRD|20260101|R|D|1|||RD|S1|OTH|||T",)),
            {"MSH": "QCK^Q02", "QAK": "QAK|SR|NF|", "ERR": "ERR|0|"},
        ),
        (
            *("QRY^R02", "2.4", ("QRD|20260101|R|I|Q4412|||10|RD|S1|RES", "QRF|X")),
            {"MSH": "ORF^R04", "QRD": "QRD|20260101|R|I|Q4412|||10|RD|S1|RES", "QRF": "QRF|X"},
        ),
        ("ORM^O01", "2.3.1", ("ORC|RF||S1||IP",), {"MSH": "ORR^O02", "MSA": "MSA|AR|C-1"}),
        ("QCN^J01^QCN_J01", "2.5", ("QID|T1|N/D",), {"MSH": "ACK^J01^ACK", "MSA": "MSA|AA|C-1"}),
        ("ESU^U01^ESU_U01", "2.5", ("EQU|X|20260101|OP",), {"MSH": "ACK^U01^ACK", "MSA": "MSA|AA|C-1"}),
        ("ORM^O01", "2.3.1", ("ORC|NW|S1",), {"MSH": "ACK^O01", "MSA": "MSA|AA|C-1"}),
    ],
)
def test_queries_are_told_that_nothing_is_known(
    kind: str, version: str, segments: tuple[str, ...], answer: dict[str, str]
) -> None:
    (reply,) = replies(message(*segments, head=header(kind, version=version)))
    for name, wanted in answer.items():
        if name == "MSH":
            assert fields(reply, name)[9] == wanted
        else:
            assert "|".join(fields(reply, name)) == wanted


def test_queries_may_be_left_unanswered() -> None:
    data = message("QPD|WOS|T1|S1", head=header("QBP^Q11^QBP_Q11"))
    assert replies(data, queries="ignore") == []
    assert isinstance(answered(data, queries="ignore")[0], Received)


# ---- the instrument's side


@pytest.mark.parametrize(
    ("accept", "application", "code", "control", "wanted"),
    [
        ("", "", "AA", "C-1", Answer.ACCEPTED),
        ("", "", "AA", "C-2", Answer.OTHER),
        ("", "", "AR", "C-1", Answer.REFUSED),
        ("AL", "NE", "CA", "C-1", Answer.ACCEPTED),
        ("AL", "AL", "CA", "C-1", Answer.OTHER),
        ("AL", "AL", "AA", "C-1", Answer.ACCEPTED),
        ("AL", "AL", "CE", "C-1", Answer.REFUSED),
    ],
)
def test_an_instrument_knows_the_answer_it_waits_for(
    accept: str, application: str, code: str, control: str, wanted: Answer
) -> None:
    sent = message(head=header(accept=accept, application=application))
    reply = message(f"MSA|{code}|{control}", head=header("ACK^R01^ACK", control="9"))
    assert answers(sent, reply) is wanted


def test_an_instrument_takes_our_answers_for_what_they_are() -> None:
    for accept, application in (("", ""), ("NE", "AL"), ("AL", "NE"), ("AL", "AL")):
        sent = message(head=header(accept=accept, application=application))
        assert [answers(sent, reply) for reply in replies(sent)][-1] is Answer.ACCEPTED
