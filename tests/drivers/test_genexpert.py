"""The genexpert driver: a call and a number side by side, rows of cycle thresholds, English and French."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from drivers import load
from drivers.genexpert.options import GeneXpertOptions
from drivers.kit.declare import Message
from drivers.kit.exchange import Received, Rejected, Send
from drivers.kit.frames import ACK, ENQ, EOT, frame
from drivers.kit.observation import Draft, Kind, Quality
from drivers.kit.records import parse
from drivers.kit.words import interpret

SAMPLES = Path(__file__).parents[2] / "../shared/samples/deforay+intelis-interfacing/reconstructed"
GENEXPERT = load("genexpert")
VIRAL_LOAD = "^^^HIV-1_VL 2 2^Xpert_HIV-1 Viral Load^2^^"
recorded = pytest.mark.skipif(not SAMPLES.exists(), reason="recordings are not beside the repository")


def read(*results: str) -> list[Draft]:
    head = (
        "H|@^\\|M1||Lab^GeneXpert^6.2|||||LIS||P|1394-97|20260307161412\rP|1|||PID\rO|1|S1||^^^HIV|R|20260129114918\r"
    )
    text = head + "".join(f"{result}\r" for result in results) + "L|1|N\r"
    return list(GENEXPERT.decode(Message(text.encode()), GENEXPERT.options()))


def main(value: str, flags: str = "") -> str:
    times = "20260129114918|20260129115359|Cepheid-1F21001^806911^630912^1113243530^72203^20260825"
    return f"R|1|{VIRAL_LOAD}|{value}|copies/mL|40.00 to 10000000.00|{flags}||F||OP1|{times}|"


@pytest.mark.parametrize(
    ("sent", "flags", "value", "call", "comparator"),
    [
        ("NOT DETECTED^", "A", "NOT DETECTED", None, None),
        ("^1234.56", "A", "1234.56", None, None),
        ("DETECTED^1234.56", "", "1234.56", "DETECTED", None),
        ("DÉTECTÉ^", "<", "DÉTECTÉ", None, None),  # no number was sent: none is made up
        ("DETECTED^40", "<", "40", "DETECTED", "<"),
        ("DETECTED^< 40", "<", "< 40", "DETECTED", None),
        ("^60,96", "N", "60,96", None, None),
    ],
)
def test_the_value(sent: str, flags: str, value: str, call: str | None, comparator: str | None) -> None:
    (draft,) = read(main(sent, flags))
    assert (draft.value, draft.interpretation, draft.comparator) == (value, call, comparator)
    assert (draft.test, draft.quality, draft.unit) == (VIRAL_LOAD, Quality.GOOD, "copies/mL")


def test_cartridge_and_operator() -> None:
    (draft,) = read(main("^1"))
    assert (draft.run, draft.lot, draft.lot_expiry) == ("1113243530", "72203", "20260825")
    assert (draft.operator, draft.specimen, draft.patient) == ("OP1", "S1", "PID")
    assert (draft.device_time, draft.quantity) == ("20260129115359", "hiv-1-vl-2-2")


def test_an_error_is_no_result_and_keeps_its_code() -> None:
    (draft,) = read(main("ERROR^"), "C|1|I|Error^2097^Operation terminated^Error 2097: #2^20260129115359|N")
    assert (draft.value, draft.interpretation, draft.quality) == ("ERROR", "invalid", Quality.BAD)
    assert draft.quality_reason == "ERROR 2097"
    assert (draft.attributes["error_code"], draft.attributes["error"]) == (
        "2097",
        "Operation terminated: Error 2097: #2",
    )


@pytest.mark.parametrize(
    "word", ["NO RESULT", "NO RESULT - REPEAT TEST", "PAS DE RÉSULTAT", "KEIN ERGEBNIS", "SIN RESULTADO", "Erreur"]
)
def test_no_result_is_said_in_many_languages(word: str) -> None:
    (draft,) = read(main(f"{word}^"))
    assert (draft.value, draft.interpretation, draft.quality) == (word, "invalid", Quality.BAD)


def test_a_word_that_only_begins_like_an_error_is_kept_as_it_is() -> None:
    (draft,) = read(main("ERRORLESS^"))
    assert (draft.value, draft.interpretation, draft.quality) == ("ERRORLESS", None, Quality.GOOD)


@pytest.mark.parametrize("word", ["INVALID", "INVALIDE", "UNGÜLTIG"])
def test_an_invalid_result_is_a_result(word: str) -> None:
    (draft,) = read(main(f"{word}^"))
    assert (draft.value, draft.interpretation, draft.quality) == (word, "invalid", Quality.GOOD)


def test_complementary_rows_have_the_time_and_cartridge_of_their_result() -> None:
    result, cycle = read(main("^1234.56"), "R|2|^^^HIV-1_VL 2^^^HIV-1^Ct|^26.4|||")
    assert (cycle.test, cycle.value, cycle.quantity) == ("^^^HIV-1_VL 2^^^HIV-1^Ct", "26.4", "hiv-1-vl-2-hiv-1-ct")
    assert (cycle.device_time, cycle.lot, cycle.operator) == (result.device_time, "72203", "OP1")
    assert cycle.attributes["result"] == VIRAL_LOAD
    assert cycle.identity is not None
    assert cycle.identity != result.identity


def test_only_a_result_of_the_test_goes_by_its_code() -> None:
    rows = [
        "R|1|^^^VL^Xpert VL XC^3^^|^60.96|copies/mL||N||F||op|20260101|20260101|a",
        "R|2|^^^VL^Xpert VL XC^3^^LOG|^1.79|copies/mL||N||F||op|20260101|20260101|a",
        "R|3|^^^VL^^^HIV-1^|POS^|||",
        "R|4|^^^VL^^^HIV-1^Ct|^36.9|||",
        "R|5|^UV2^^TBPos^Xpert MTB-RIF Ultra^4^MTB^|DETECTED^|||||F||op|20260101|20260101|a",
        "R|6|^UV2^^TBPos^^^SPC^Ct|^27.1|||",
    ]
    text = "\r".join(["H|@^\\|", "P|1", "O|1|S1||^^^VL", *rows, "L|1|N", ""])
    drafts = list(GENEXPERT.decode(Message(text.encode()), GENEXPERT.options()))
    assert [draft.codes for draft in drafts] == [("VL", "Xpert VL XC"), (), (), (), ("TBPos", "MTB"), ()]


def test_patient_id_1_goes_before_patient_id_2() -> None:
    text = "H|@^\\|\rP|1|P-2||P-1\rO|1|S1||^^^VL\rR|1|^^^VL^X^3^^|NEGATIVE^\rL|1|N\r"
    (draft,) = GENEXPERT.decode(Message(text.encode()), GENEXPERT.options())
    assert draft.patient == "P-1"


def test_a_row_with_a_cartridge_of_its_own_keeps_it() -> None:
    own = main("^3.09").replace(VIRAL_LOAD, VIRAL_LOAD + "LOG").replace("72203", "72204")
    result, logarithm = read(main("^1234.56"), own)
    assert (result.lot, logarithm.lot) == ("72203", "72204")
    assert (logarithm.unit, logarithm.quantity) == ("{Log_copies}/mL", "hiv-1-vl-2-2-log")
    assert result.unit == "copies/mL"


@pytest.mark.parametrize("call", ["PASS", "FAIL", "NA", "RÉUSSITE", "INVALID", "NO RESULT"])
def test_how_a_control_or_probe_fared_is_no_result(call: str) -> None:
    result, control, cycle = read(
        main("NEGATIVE^"), f"R|2|^^^HIV-1_VL 2^^^rpoB1^|{call}^|||", "R|3|^^^HIV-1_VL 2^^^rpoB1^Ct|^24.7|||"
    )
    assert (result.kind, control.kind, cycle.kind) == (Kind.RESULT, Kind.STATUS, Kind.RESULT)
    assert (control.value, control.device_time, cycle.value) == (call, result.device_time, "24.7")


@pytest.mark.parametrize("name", ["SPC", "SPC-ahpC", "SAC", "IQS-H", "QC-1", "QC Check"])
def test_rows_of_the_cartridges_controls_are_no_results(name: str) -> None:
    rows = [f"R|1|^P^^X^Xpert^4^{name}^|^|||||F", f"R|2|^P^^X^^^{name}^|NEG^|||", f"R|3|^P^^X^^^{name}^Ct|^27.1|||"]
    text = "\r".join(["H|@^\\|", "P|1", "O|1|S1||^^^P", *rows, "L|1|N", ""])
    drafts = GENEXPERT.decode(Message(text.encode()), GENEXPERT.options())
    assert {draft.kind for draft in drafts} == {Kind.STATUS}


def test_nobody_is_no_operator() -> None:
    (draft,) = read(main("^1").replace("OP1", "<None>"))
    assert draft.operator is None


def test_two_calls_in_one_text_are_not_one_of_them() -> None:
    (draft,) = read(main("MTB DETECTED LOW;RIF Resistance NOT DETECTED^"))
    assert (draft.value, draft.interpretation) == ("MTB DETECTED LOW;RIF Resistance NOT DETECTED", None)
    assert interpret(str(draft.value)) is None


def test_a_pooled_specimen_is_all_of_them() -> None:
    text = f"H|@^\\|M1||L^GeneXpert^6.3\rP|1\rO|1|S1@S2||^^^COV\r{main('NEGATIVE^')}\rL|1|N\r"
    (draft,) = GENEXPERT.decode(Message(text.encode()), GENEXPERT.options())
    assert (draft.specimen, draft.attributes["pool"]) == ("S1@S2", ["S1", "S2"])


def test_orders_of_one_message_keep_their_results() -> None:
    first, second = (f"O|{n}|S{n}||^^^COV\r{main('NEGATIVE^')}\rR|2|^^^COV^^^SPC^|PASS^|||\r" for n in (1, 2))
    drafts = list(GENEXPERT.decode(Message(f"H|@^\\|M1||L\rP|1\r{first}{second}L|1|N\r".encode()), GENEXPERT.options()))
    assert [draft.specimen for draft in drafts] == ["S1", "S1", "S2", "S2"]


def test_a_query_is_answered_with_nothing_known() -> None:
    exchange = GENEXPERT.host(GENEXPERT.options())
    query = b"H|@^\\|M1||L\rQ|1|@S1||ALL||||||||O\rL|1|N\r"
    events = list(exchange.receive(ENQ + frame(1, query) + EOT, 0.0))
    messages = [event.raw for event in events if isinstance(event, Received)]
    assert events[-1] == Send(ENQ)
    (answer,) = exchange.receive(ACK, 1.0)
    assert isinstance(answer, Send)
    assert b"H|@^\\" in answer.data
    assert list(GENEXPERT.decode(Message(messages[0]), GENEXPERT.options())) == []


@recorded
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("EID26000576U", ["DETECTED"]),
        ("EID26000580O", ["NOT DETECTED"]),
        ("PATIENT_A1", ["ERROR"]),
        ("bp26-00064", ["NOT DETECTED", "26.4", "22.1"]),
        ("bp26-00065", ["1234.56", "26.4", "22.1"]),
        ("fr_number", ["60,96"]),
        ("fr_notdet", ["NON DÉTECTÉ"]),
        ("fr_below", ["DÉTECTÉ"]),
    ],
)
def test_recordings(name: str, values: list[str]) -> None:
    wire = (SAMPLES / f"genexpert_{name}.bin").read_bytes()
    events = list(GENEXPERT.host(GENEXPERT.options()).receive(wire, 0.0))
    assert not [event for event in events if isinstance(event, Rejected)]
    raw = b"".join(event.raw for event in events if isinstance(event, Received))
    drafts = list(GENEXPERT.decode(Message(raw), GENEXPERT.options()))
    assert [draft.value for draft in drafts] == values
    assert {draft.device_time for draft in drafts} == {"20260129115359"}
    assert all(draft.comparator is None for draft in drafts)
    assert {draft.attributes.get("error_code") for draft in drafts} == {"2097" if name == "PATIENT_A1" else None}


@pytest.mark.parametrize(
    ("language", "number", "word"), [("en", "60.96", "NOT DETECTED"), ("fr", "60,96", "NON DÉTECTÉ")]
)
def test_what_the_simulated_instrument_means_is_what_is_read(language: str, number: str, word: str) -> None:
    options = GeneXpertOptions(language=language)
    message = GENEXPERT.encode(
        {
            "time": datetime(2026, 1, 15, 9, 28, 30, tzinfo=UTC),
            "kind": "qc",
            "specimen": "S\\1",
            "lot": "L1",
            "lot_expiry": "20270101",
            "run": "C1",
            "operator": "op",
            "results": [
                {"test": VIRAL_LOAD, "value": 60.96, "unit": "copies/mL"},
                {"test": "^^^HIV-1_VL 2^^^HIV-1^Ct", "value": 26.4},
                {"test": "^^^EBOLA^Ebola^1^^", "interpretation": "not-detected"},
            ],
        },
        options,
    )
    assert parse(message)[0].delimiters.repeat == "@"
    load_, cycle, call = GENEXPERT.decode(Message(message), options)
    assert (load_.value, load_.kind, load_.specimen, load_.lot, load_.run) == (number, Kind.QC, "S\\1", "L1", "C1")
    assert (cycle.operator, cycle.device_time) == ("op", "20260115092830")
    assert call.value == word
