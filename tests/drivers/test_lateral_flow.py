"""Rapid-test readers: an invalid control line is never a result, and no field is taken for another."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.kit.declare import Identity, Message
from drivers.kit.exchange import DecodeError, Received, Send
from drivers.kit.observation import Draft, Kind, Quality
from drivers.lateral_flow.driver import DRIVER
from drivers.lateral_flow.options import LateralFlowOptions

SHORT = ["time", "specimen", "test", "call", "control", "test_line", "ratio"]


def decoded(line: str | bytes, **options: Any) -> list[Draft]:
    data = line.encode() if isinstance(line, str) else line
    return list(DRIVER.decode(Message(data), LateralFlowOptions.model_validate(options)))


def read(line: str | bytes, **options: Any) -> Draft:
    (draft,) = decoded(line, **{"fields": SHORT, "control_valid": 200.0, **options})
    return draft


def test_a_cassette_is_one_result_with_its_numbers_beside_it() -> None:
    line = "2026-01-15 09:28:30,S26-1,SARS-CoV-2 Ag,Positive,1520.5,830,0.546\r"
    draft = read(line)
    assert (draft.kind, draft.test, draft.value, draft.interpretation) == (
        Kind.RESULT,
        "SARS-CoV-2 Ag",
        "Positive",
        "Positive",
    )
    assert (draft.specimen, draft.device_time, draft.quality) == ("S26-1", "2026-01-15 09:28:30", Quality.GOOD)
    assert draft.attributes == {"control_line": 1520.5, "test_line": 830, "ratio": 0.546}


@pytest.mark.parametrize("control", ["199.9", "0", "", "nan", "inf", "-1e9", "OK", "1 520", "1,5"])
@pytest.mark.parametrize("call", ["Positive", "Negative", ""])
@pytest.mark.parametrize("measure", ["call", "ratio"])
def test_an_invalid_control_line_is_never_a_result(control: str, call: str, measure: str) -> None:
    draft = read(f"t;S;x;{call};{control};830;0.5\r", delimiter=";", measure=measure)
    assert (draft.value, draft.interpretation, draft.quality) == (None, "invalid", Quality.BAD)
    assert "control line invalid" in str(draft.quality_reason)
    assert draft.attributes.get("printed_call", "") == call


@pytest.mark.parametrize(("control", "quality"), [("ok", Quality.GOOD), ("VALID", Quality.GOOD), ("Fail", Quality.BAD)])
def test_the_control_line_may_be_words(control: str, quality: Quality) -> None:
    assert read(f"t,S,x,NEG,{control},1,0.1\r", control_valid=["OK", "Valid"]).quality is quality


def test_the_readers_own_invalid_has_no_number() -> None:
    draft = read("t,S,x,Invalid,900,830,0.9\r", measure="ratio")
    assert (draft.value, draft.quality, draft.attributes["printed_value"]) == (None, Quality.BAD, "0.9")


def test_a_number_can_be_the_value() -> None:
    fields = ["specimen", "test", "call", "control", {"name": "value", "unit": "mg/L"}]
    draft = read("S,CRP,High,900,<0.5\r", fields=fields, measure="value")
    assert (draft.value, draft.unit, draft.interpretation) == ("<0.5", "mg/L", "High")


def test_words_of_the_readers_own() -> None:
    assert read("t,S,x,+,900,830,0.9\r", calls={"+": "positive"}).interpretation == "positive"


FLU = ["run", "specimen", "control", "call:flu-a", "test_line:flu-a", "call:flu-b", "test_line:flu-b"]


def test_several_analytes_share_a_control_line() -> None:
    first, second = decoded("7,S,500,Pos,90,Neg,2\r", fields=FLU, control_valid=100)
    assert [(first.test, first.value), (second.test, second.value)] == [("flu-a", "Pos"), ("flu-b", "Neg")]
    assert first.attributes == {"control_line": 500, "test_line": 90}
    assert all(draft.value is None for draft in decoded("7,S,50,Pos,90,Neg,2\r", fields=FLU, control_valid=100))


def test_an_analyte_that_is_not_on_the_cassette_is_left_out_but_an_invalid_cassette_is_not() -> None:
    assert [draft.test for draft in decoded("7,S,500,Pos,90,,\r", fields=FLU, control_valid=100)] == ["flu-a"]
    assert len(decoded("7,S,0,,,,\r", fields=FLU, control_valid=100)) == 2
    with pytest.raises(DecodeError):
        decoded("7,S,,,,,\r", fields=FLU, control_valid=100)


@pytest.mark.parametrize("specimen", ["QC-1", "qc_neg", "Control 2"])
def test_control_materials_are_never_results(specimen: str) -> None:
    assert read(f"t,{specimen},x,NEG,900,1,0\r").kind is Kind.QC


def test_quotes_blanks_and_a_last_delimiter_are_read() -> None:
    draft = read('t, "Khan, A", x ,"say ""Pos""",900,1,0,\r', calls={'say "Pos"': "positive"})
    assert (draft.specimen, draft.interpretation) == ("Khan, A", "positive")


@pytest.mark.parametrize(
    "line", ["a,b\r", "t,S,x,NEG,900,1,0,7\r", 't,"S,x,NEG,900,1,0\r', "\r", "t,S,x,N\0EG,900,1\r"]
)
def test_a_line_of_another_shape_is_refused(line: str) -> None:
    with pytest.raises(DecodeError):
        read(line)


def test_character_sets_are_declared() -> None:
    line = "t,S,x,阳性,900,1,0\r"
    assert read(line.encode("gb18030"), encoding="gb18030").value == "阳性"
    with pytest.raises(DecodeError):
        read(line.encode("gb18030"))


def test_headings_and_remarks_are_events() -> None:
    options = {"header": "Time,ID,Test,Call,C,T,R", "remarks": ["READY.*"]}
    assert read("time,id,test,call,c,t,r\r", **options).kind is Kind.EVENT
    assert read("READY 1.2\r", **options).value == "READY 1.2"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"fields": ["tme"]}, "Known are"),
        ({"fields": ["call", "call"]}, "declared twice"),
        ({"fields": ["call"], "measure": "ratio"}, "no field is called 'ratio'"),
        ({"delimiter": ";;"}, "not one character"),
        ({"encoding": "utf-16"}, "single bytes"),
        ({"encoding": "klingon"}, "no character set"),
        ({"remarks": ["("]}, "not a regular expression"),
        ({"checksum": "sum8"}, "stx-etx"),
    ],
)
def test_declarations_that_cannot_work_are_errors_with_a_remedy(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        LateralFlowOptions.model_validate(options)


@pytest.mark.parametrize(
    ("fields", "known"),
    [
        (["time", "specimen"], True),
        (["date", "time"], True),
        (["date", "run"], True),
        (["specimen", "lot"], False),  # the same specimen may be tested again, with the same result
        (["date", "specimen"], False),
        (["run"], False),  # numbers that begin anew each day
        (["test"], False),
    ],
)
def test_a_line_is_known_again_by_its_own_time_or_its_date_and_number(fields: list[str], known: bool) -> None:
    options = LateralFlowOptions.model_validate({"fields": [*fields, "call"]})
    assert DRIVER.identity(options) is (Identity.CONTENT if known else Identity.ARRIVAL)


def test_a_line_that_is_sent_again_until_it_is_acknowledged_is_known_by_its_specimen() -> None:
    framed = {"framing": "stx-etx", "checksum": "sum8", "acknowledge": True}
    named = LateralFlowOptions.model_validate({**framed, "fields": ["specimen", "call"]})
    nameless = LateralFlowOptions.model_validate({**framed, "fields": ["test", "call"]})
    assert (DRIVER.identity(named), DRIVER.identity(nameless)) == (Identity.CONTENT, Identity.ARRIVAL)


def test_a_line_that_was_broken_off_is_uncertain() -> None:
    options = LateralFlowOptions.model_validate({"fields": ["specimen", "call"]})
    (draft,) = DRIVER.decode(Message(b"S,NEG", sound=False), options)
    assert draft.quality is Quality.UNCERTAIN


@pytest.mark.parametrize("cut", range(1, 32))
def test_a_line_that_is_cut_or_glued_to_the_next_is_refused(cut: int) -> None:
    line = "2026-01-15,S26-1,crp,positive,900,830,0.92"
    glued = line[:-cut] + line
    with pytest.raises(DecodeError):
        read(glued + "\r")


@given(st.binary(max_size=80))
def test_any_line_is_drafts_or_a_decode_error(line: bytes) -> None:
    for fields in (SHORT, ["call"]):
        try:
            drafts = list(DRIVER.decode(Message(line), LateralFlowOptions.model_validate({"fields": fields})))
        except DecodeError:
            continue
        assert drafts


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12).map(str.strip)


@given(
    specimen=TEXT.filter(lambda text: not text.lower().startswith(("qc", "c")) and text and '"' not in text[:1]),
    ratio=st.floats(0, 100).map(lambda number: round(number, 3)),
    call=st.sampled_from(["positive", "negative", "invalid"]),
    variant=st.sampled_from([None, "framed"]),
)
def test_what_a_simulated_reader_prints_is_what_is_read(
    specimen: str, ratio: float, call: str, variant: str | None
) -> None:
    preset = next((known.options for known in DRIVER.variants if known.name == variant), {})
    options = LateralFlowOptions.model_validate(dict(preset))
    drawn = {
        "time": datetime(2026, 1, 15, 9, 28, 30, tzinfo=UTC),
        "kind": "result",
        "specimen": specimen,
        "lot": "L1",
        "results": [{"test": "crp", "interpretation": call, "ratio": ratio, "test_line": 3}],
    }
    host, reader = DRIVER.host(options), DRIVER.instrument(options)
    (said,) = reader.offer(DRIVER.encode(drawn, options), 0.0)
    assert isinstance(said, Send)
    received = [event for event in host.receive(said.data, 0.0) if isinstance(event, Received)]
    for event in received:
        list(reader.receive(event.reply, 1.0))
    assert (reader.delivered, reader.idle) == (1, True)
    (draft,) = DRIVER.decode(Message(received[0].raw), options)
    assert (draft.specimen, draft.lot, draft.interpretation) == (specimen, "L1", call)
    assert draft.attributes["ratio"] == ratio
    assert draft.value == (None if call == "invalid" else call)
