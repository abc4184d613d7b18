"""What HL7 messages mean: values, calls, units, specimens, controls, and what is no result."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import drivers
from drivers.hl7.driver import decode
from drivers.hl7.encoding import encode
from drivers.hl7.options import Hl7Options, Mark
from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError, Received, Rejected
from drivers.kit.observation import Draft, Kind, Quality, Status
from simulators.models import model
from tests.drivers.wire import End, Wire

DRIVER = drivers.load("hl7")
PIECES = (
    "MSH|^~\\&|",
    "OBX",
    "OBR",
    "SPM",
    "PID",
    "INV",
    "NTE",
    "ORC",
    "SAC",
    "|1",
    "^",
    "~",
    "&",
    "\\F\\",
    "|NM",
    "|CE",
    "|SN",
)
ORU = r"MSH|^~\&|{sender}||LIS||20260115093000||ORU^R01^ORU_R01|1|{mode}|2.5.1"
OUL = r"MSH|^~\&|{sender}||LIS||20260115093000||OUL^R22^OUL_R22|1|P|2.5.1"


def text(*segments: str) -> bytes:
    return b"\x0b" + "".join(f"{segment}\r" for segment in segments).encode() + b"\x1c\r"


def read(*segments: str, head: str = "", variant: str = "", sender: str = "ANALYSER", **options: Any) -> list[Draft]:
    chosen = Hl7Options.model_validate({**(DRIVER.preset(variant).options if variant else {}), **options})
    first = head or ORU.format(sender=sender, mode="P")
    return list(decode(Message(text(first, *segments)), chosen))


def one(*segments: str, **options: Any) -> Draft:
    (draft,) = read(*segments, **options)
    return draft


def result(obx: str, **options: Any) -> Draft:
    """An observation with an order and a specimen around it."""
    return one("PID|1||P1", "OBR|1|PL1|S1|PANEL", obx, **options)


# ---- values by their type


@pytest.mark.parametrize(
    ("obx", "value", "comparator", "call"),
    [
        ("OBX|1|NM|A||5.60|mmol/L", "5.60", None, None),
        ("OBX|1|NM|A||-0.5", "-0.5", None, None),
        ("OBX|1|ST|A||< 20", "< 20", None, None),
        ("OBX|1|ST|A||Not Detected", "Not Detected", None, None),
        ("OBX|1|ST|A||DETECTED^", "DETECTED", None, None),
        ("OBX|1|ST|A||POS^12.5", "12.5", None, "POS"),
        ("OBX|1|ST|A||12.5^POS", "12.5", None, "POS"),
        ("OBX|1|SN|A||<^5", "5", "<", None),
        ("OBX|1|SN|A||>=^90", "90", ">=", None),
        ("OBX|1|SN|A||^1.6", "1.6", None, None),
        ("OBX|1|SN|A||=^7", "7", None, None),
        ("OBX|1|SN|A||^1^:^128", "1:128", None, None),
        ("OBX|1|SN|A||^2^-^4", "2-4", None, None),
        ("OBX|1|SN|A||^3^+", "3+", None, None),
        ("OBX|1|SN|A||<>^5", "<>5", None, None),
        ("OBX|1|CWE|A||260373001^Detected^SCT", "Detected", None, "detected"),
        ("OBX|1|CWE|A||260415000^^SCT", "260415000^SCT", None, "not-detected"),  # a code is no number
        ("OBX|1|CWE|A||112283007^^SCT", "112283007^SCT", None, None),
        ("OBX|1|CE|A||5.4", "5.4", None, None),
        ("OBX|1|ST|A||1.2x10^5", "1.2x10^5", None, None),
        ("OBX|1|CE|A||POS^Positivo^99LAB^10828004^Positive^SCT", "Positivo", None, "positive"),
        ("OBX|1|CE|A||NEG^^99LAB", "NEG", None, None),
        ("OBX|1|CE|A||POS^Xyz^99LAB", "Xyz", None, "positive"),
        ("OBX|1|CWE|A||^^^^^^^^seen by eye", "seen by eye", None, None),
        ("OBX|1|CWE|A||419984006^Inconclusive^SCT", "Inconclusive", None, "indeterminate"),
        ("OBX|1|FT|A||line one\\.br\\line two", "line one\nline two", None, None),
        ("OBX|1|TX|A||line one~line two", "line one\nline two", None, None),
        ("OBX||A||7", None, None, None),
    ],
)
def test_values(obx: str, value: str | None, comparator: str | None, call: str | None) -> None:
    if value is None:
        assert read("OBR|1|PL1|S1|PANEL", obx)[0].kind is Kind.EVENT
        return
    draft = result(obx)
    assert (draft.value, draft.comparator, draft.interpretation) == (value, comparator, call)
    assert draft.quality is Quality.GOOD


@pytest.mark.parametrize("obx", ["OBX|1|NM|A||5~6", "OBX|1|ST|A||1^2^3", "OBX|1|CE|A||5981666^390.9"])
def test_several_values_in_one_are_uncertain(obx: str) -> None:
    draft = result(obx)
    assert draft.quality is Quality.UNCERTAIN
    assert draft.value


@pytest.mark.parametrize(
    ("obx", "unit"),
    [
        ("OBX|1|NM|A||5|mg/L^^UCUM", "mg/L"),
        ("OBX|1|NM|A||5|mg/dL", "mg/dL"),
        ("OBX|1|ST|A||< 20|^Copies/mL", "Copies/mL"),
        ("OBX|1|NM|A||763|10*-1.{Copies}/mL^^UCUM", "10*-1.{Copies}/mL"),
        ("OBX|1|NM|A||5|264306^MDC_DIM_MILLI_G_PER_L^MDC", "mg/L"),
        ("OBX|1|NM|A||5|1^MDC_DIM_UNHEARD_OF^MDC", "MDC_DIM_UNHEARD_OF"),
        ('OBX|1|NM|A||5|""', None),
        ("OBX|1|NM|A||5", None),
        ("OBX|1|NM|A||5|10^9/L", "10^9/L"),
        ("OBX|1|NM|A||5|x10^3/uL", "x10^3/uL"),
        ("OBX|1|NM|A||5|10^6/mm^3", "10^6/mm^3"),
        ("OBX|1|NM|A||5|mL/min/1.73m^2", "mL/min/1.73m^2"),
        ("OBX|1|NM|A||5|10^9/L^^UCUM", "10^9/L"),
        ("OBX|1|NM|A||5|10*3/uL^thousand per microliter^UCUM", "10*3/uL"),
        ("OBX|1|NM|A||5|10\\S\\9/L", "10^9/L"),
    ],
)
def test_units_stay_as_sent(obx: str, unit: str | None) -> None:
    assert result(obx).unit == unit


@pytest.mark.parametrize(
    ("obx", "call", "quality"),
    [
        ("OBX|1|ST|A||ValueNotSet|||NEG", "negative", Quality.GOOD),
        ("OBX|1|ST|A||Reactive|||RR", None, Quality.GOOD),
        ("OBX|1|ST|A||Non-Reactive|||RR", None, Quality.UNCERTAIN),
        ("OBX|1|NM|A||0.35|COI||POS", "positive", Quality.GOOD),
        ("OBX|1|ST|M^Meropenem MIC||>=16|mg/L||R", "resistant", Quality.GOOD),
        ("OBX|1|NM|K||5.1|mmol/L||R", None, Quality.GOOD),
        ("OBX|1|NM|A||5|mg/L||H~A", None, Quality.GOOD),
        ("OBX|1|NM|A||5|mg/L||POS~NEG", None, Quality.GOOD),
        ("OBX|1|CWE|A|||||S", "susceptible", Quality.GOOD),
        ("OBX|1|NM|A||5|mg/L||\\~", None, Quality.GOOD),  # the repetition mark itself
    ],
)
def test_calls_among_the_flags(obx: str, call: str | None, quality: Quality) -> None:
    draft = result(obx, no_value=("ValueNotSet",))
    assert (draft.interpretation, draft.quality) == (call, quality)
    assert draft.flags


@pytest.mark.parametrize(
    ("value", "flag", "comparator"),
    [
        ("40", "<", "<"),
        ("600", ">~H", ">"),
        ("40", "<~>", None),
        ("> 40", "<", None),
        ("LOW", "<", None),
        ("40", "L", None),
    ],
)
def test_a_value_beyond_the_instruments_scale(value: str, flag: str, comparator: str | None) -> None:
    draft = result(f"OBX|1|ST|A||{value}|mg/L||{flag}")
    assert (draft.value, draft.comparator) == (value, comparator)


@pytest.mark.parametrize(
    ("letter", "status", "quality"),
    [
        ("F", Status.FINAL, Quality.GOOD),
        ("", Status.FINAL, Quality.GOOD),
        ("P", Status.PRELIMINARY, Quality.GOOD),
        ("R", Status.PRELIMINARY, Quality.GOOD),
        ("C", Status.CORRECTED, Quality.GOOD),
        ("X", Status.CANCELLED, Quality.BAD),
        ("D", Status.CANCELLED, Quality.BAD),
        ("W", Status.CANCELLED, Quality.BAD),
        ("?", Status.FINAL, Quality.UNCERTAIN),
    ],
)
def test_result_status(letter: str, status: Status, quality: Quality) -> None:
    draft = result(f"OBX|1|NM|A||5|||||{'|' if not letter else f'|{letter}'}")
    assert (draft.status, draft.quality) == (status, quality)


def test_a_test_that_failed_is_a_result_without_a_value() -> None:
    draft = result("OBX|1|ST|A||||||||X")
    assert (draft.value, draft.status, draft.quality) == (None, Status.CANCELLED, Quality.BAD)


def test_the_words_of_coded_flags_are_kept() -> None:
    draft = result("OBX|1||A|1||||U06T^Pipetting anomaly^99X~U06T^Pipetting anomaly^99X|||X")
    assert draft.flags == ("U06T",)
    assert draft.attributes["flag_texts"] == {"U06T": "Pipetting anomaly"}
    assert draft.status is Status.CANCELLED


# ---- around the value


def test_what_stands_around_a_result() -> None:
    draft = one(
        *("SPM|1|S1&LAB^F1||PLAS^plasma", "SAC|||C1", "OBR|1|PL1|FI1|6690-2^WBC^LN|||20260115080000", "ORC|SC||||CM"),
        "OBX|1|NM|6690-2^WBC^LN|1.1|5.6|10*9/L|4.0-10.0|H|||F|||20260115090000||||AN^MAKER~SN7|20260115091500",
        "NTE|1||first~second",
        "NTE|2||",
        head=OUL.format(sender="ANALYSER"),
    )
    assert (draft.test, draft.quantity, draft.code) == ("6690-2", "wbc", "loinc:6690-2")
    assert (draft.specimen, draft.device_time, draft.now) == ("S1", "20260115091500", "20260115093000")
    assert draft.flags == ("H",)
    told = draft.attributes
    assert told["time_source"] == "OBX-19"
    assert told["reference_range"] == "4.0-10.0"
    assert told["comments"] == ["first\nsecond"]
    assert told["sub_id"] == "1.1"
    assert told["instrument"] == "AN^MAKER~SN7"
    assert told["specimen_type"] == "PLAS^plasma"


def test_persons_are_left_out_unless_asked_for() -> None:
    segments = ("PID|1||P1^^^LAB||Doe^John||19700101|M|||Street 1", "OBR|1||S1|T", "OBX|1|NM|A||5")
    kept = one(*segments)
    assert kept.patient == "P1"
    assert "Doe" not in str(kept.attributes)
    asked = one(*segments, demographics=True)
    assert asked.attributes["PID5"] == "Doe^John"


@pytest.mark.parametrize(
    ("obx3", "test", "quantity", "code"),
    [
        ("GLU^Glucose^99LAB", "GLU", None, None),
        ("^Glucose", "Glucose", None, None),
        ("2345-7^Glucose^LN", "2345-7", "glucose", "loinc:2345-7"),
        ("2345-6^Glucose^LN", "2345-6", "glucose", None),  # its check digit is wrong
        ("GLU^Glucose^99LAB^2345-7^Glucose^LN", "GLU", None, "loinc:2345-7"),
        ("736-9^LYM%^LN", "736-9", "lym-percent", "loinc:736-9"),
        ("731-0^LYM#^LN", "731-0", "lym-count", "loinc:731-0"),
        ("20490^20490^99ROC", "20490", None, None),
        ("^^^GLU^Glucose", "GLU", None, None),
        ("Anti-A&B^Anti-A & B^99LAB", "Anti-A&B", None, None),  # no subcomponents, a name with an & in it
    ],
)
def test_names_of_tests(obx3: str, test: str, quantity: str | None, code: str | None) -> None:
    draft = result(f"OBX|1|NM|{obx3}||5")
    assert (draft.test, draft.quantity, draft.code) == (test, quantity, code)


def test_a_test_is_known_by_any_of_its_codes_and_texts() -> None:
    draft = result("OBX|1|NM|94500-6^SARS-CoV-2^LN^COV^Local name^99LAB||5")
    assert (draft.test, draft.codes) == ("94500-6", ("SARS-CoV-2", "COV", "Local name"))


def test_one_code_with_two_sub_ids_is_two_results() -> None:
    drafts = read("OBR|1||S1|T", "OBX|1|NM|A|1|5|||||||||20260115090000", "OBX|2|NM|A|2|5|||||||||20260115090000")
    assert len({draft.identity for draft in drafts}) == 2


@pytest.mark.parametrize(
    "segments",
    [
        ("OBR|1||S1|T", "OBX|1|NM|A||5|mg/L|||||F|||20260115090000"),
        ("OBR|1||S1|T|||20260115090000", "OBX|1|NM|A||5|mg/L|||||F"),
        ("PID|1||P1", "OBR|1|||T|||20260115090000", "OBX|1|NM|A||5|mg/L|||||F"),
        ("OBR|1||S1|T", "OBX|1|NM|A||5"),
        ("OBR|1|||T", "OBX|1|NM|A||5|mg/L|||||F|||20260115090000"),
    ],
)
def test_a_result_sent_again_in_another_message_is_the_same(segments: tuple[str, ...]) -> None:
    first = one(*segments)
    again = one(*segments, head=ORU.format(sender="ANALYSER", mode="P").replace("|1|P", "|2|P"))
    assert first.identity == again.identity is not None
    for former, latter in (("|5", "|6"), ("|A|", "|B|"), ("|S1", "|S2"), ("|P1", "|P2")):
        if any(former in segment for segment in segments):
            assert one(*(segment.replace(former, latter) for segment in segments)).identity != first.identity


def test_a_result_is_its_message_where_nothing_tells_whose_or_when_it_is() -> None:
    for segments in (("OBR|1||S1|T", "OBX|1|NM|A||5"), ("OBR|1|||T|||20260115090000", "OBX|1|NM|A||5")):
        draft = one(*segments, head=r"MSH|^~\&|X||LIS||20260115||ORU^R01|1|P|2.5.1")
        assert draft.identity is None
        assert draft.extent is not None


def test_a_preliminary_result_and_the_final_one_are_two() -> None:
    letters = {one("OBR|1||S1|T", f"OBX|1|NM|A||5|mg/L|||||{letter}|||20260115090000").identity for letter in "PFC"}
    assert len(letters) == 3


# ---- what is no result of its own


def test_supplements_stay_with_their_result() -> None:
    drafts = read(
        *("OBR|1||S1|T", "OBX|1|DR|RANGE^Run^99X^S_OTHER^Other^IHELAW||20260101^20260102"),
        *("OBX|2|NM|A^A^99X||5", "OBX|3|NM|RAW^Raw^99X^S_RAW^Raw^IHELAW|IC|15.7|^CN", "OBX|4|NA|A||36.5^^37.1"),
        *("OBX|5|ED|IMG^Image||^Image^BMP^Base64^Qk0AAAA=", "OBX|6|ST|||in other words"),
    )
    assert [draft.value for draft in drafts] == ["5"]
    supplements: Any = drafts[0].attributes["supplements"]
    assert [(each["test"], each["value"]) for each in supplements] == [
        ("RANGE", "20260101^20260102"),
        ("RAW", "15.7"),
        ("A", "36.5^^37.1"),
        ("IMG", "Image/BMP, 8 characters"),
        ("", "in other words"),
    ]
    assert supplements[1]["sub_id"] == "IC"


def test_supplements_without_a_result_are_events() -> None:
    (draft,) = read("OBR|1||S1|T", "OBX|1|ED|IMG^Image||^Image^BMP^Base64^Qk0=")
    assert (draft.kind, draft.test, draft.value) == (Kind.EVENT, "IMG", "Image/BMP, 4 characters")


def test_a_coded_answer_behind_a_number_is_its_call() -> None:
    segments = ["OBR|1||S1|T", "OBX|1|NM|A^A^99ROC|1|0.41|COI", "OBX|2|CE|A^A^99ROC|1|NR^Non-reactive^99ROC"]
    draft = one(*segments)
    assert (draft.value, draft.interpretation) == ("0.41", "Non-reactive")
    empty = one(*segments[:2], "OBX|2|CE|A^A^99ROC|1|^^99ROC")
    assert (empty.value, empty.interpretation) == ("0.41", None)
    assert len(read(*segments[:2], "OBX|2|CE|A^A^99ROC|2|POS^Positive^99ROC")) == 2
    number = one(*segments[:2], "OBX|2|CE|A^A^99ROC|1|1^^99ROC")
    assert (number.interpretation, number.attributes["coded_answer"]) == (None, "1")


@pytest.mark.parametrize(
    "segments",
    [
        ("SPM|1|S1|||||||||Q", "OBR|1||S1|T"),
        ("SPM|1|S1|||||||||C^^HL70369", "OBR|1||S1|T"),
        ("SPM|1|S1", "INV|LOT 7|OK|CO||||||||20270101||||L7", "OBR|1||S1|T"),
        ("OBR|1||S1|00003^LJ QCR^99MRC",),
        ("OBR|1||S1|LQC",),
        ("OBR|1||S1|^^^QC^Quality Control",),
        ("PID|1||CTRL1^^^QC", "OBR|1||S1|T"),
        ("PID|1||QC", "OBR|1||S1|T"),
        ("PID|1||||QC^Level 1", "OBR|1||S1|T"),
        ("OBR|1||QC|T",),
        ("OBR|1||S1|T|||||||Q",),
        ("OBR|1||S1|T^Control",),
    ],
)
def test_controls_are_controls(segments: tuple[str, ...]) -> None:
    assert one(*segments, "OBX|1|NM|A||5").kind is Kind.QC


@pytest.mark.parametrize(
    "segments", [("SPM|1|S1|||||||||P", "OBR|1||S1|QCM^Qualitative"), ("PID|1||QC-17||Control^Ann", "OBR|1||QC17|T")]
)
def test_patients_specimens_are_no_controls(segments: tuple[str, ...]) -> None:
    assert one(*segments, "OBX|1|NM|A||5").kind is Kind.RESULT


def test_controls_by_the_header() -> None:
    for mode, kind in (("Q", Kind.QC), ("P", Kind.RESULT)):
        (draft,) = read("OBR|1||S1|T", "OBX|1|NM|A||5", head=ORU.format(sender="X", mode=mode))
        assert draft.kind is kind
    for kept, kind in (("0", Kind.RESULT), ("1", Kind.QC), ("2", Kind.QC)):
        head = ORU.format(sender="X", mode="P") + f"||||{kept}"
        assert read("OBR|1||S1|T", "OBX|1|NM|A||5", head=head)[0].kind is kind


def test_training_messages_are_uncertain_unless_kept() -> None:
    head = ORU.format(sender="X", mode="T")
    assert one("OBR|1||S1|T", "OBX|1|NM|A||5", head=head).quality is Quality.UNCERTAIN
    assert one("OBR|1||S1|T", "OBX|1|NM|A||5", head=head, training="keep").quality is Quality.GOOD


@pytest.mark.parametrize(
    ("kind", "segments"),
    [
        ("QBP^Q11^QBP_Q11", ("QPD|WOS|T1|S1", "RCP|I")),
        ("QCN^J01", ("QID|T1",)),
        ("ACK^R01", ("MSA|AA|1",)),
        ("ORM^O01", ("ORC|RF||S1", "OBR|1||S1", "OBX|1|NM|A||5")),
        ("SSU^U03", ("EQU|X", "SAC|||S1", "OBX|1|CE|KIT||7")),
        ("TSREQ", ("QPD|TSREQ||S1^^R1^1|0", "RCP|I||R")),  # a maker's own
        ("INU^U05", ("EQU|X", "INV|A|OK")),
        ("ORU^R40", ("OBR|1||S1", "OBX|1|ST|ALARM||high")),
        ("ADT^A01", ("PID|1||P1", "OBX|1|NM|8302-2||180")),
    ],
)
def test_other_messages_are_no_results(kind: str, segments: tuple[str, ...]) -> None:
    assert read(*segments, head=rf"MSH|^~\&|X||LIS||20260115093000||{kind}|1|P|2.5") == []


def test_equipment_says_its_state() -> None:
    head = r"MSH|^~\&|X||LIS||20260115093000||ESU^U01^ESU_U01|1|P|2.5"
    draft = one("EQU|SN7^X|20260115093001|OP^Normal", head=head)
    assert (draft.kind, draft.value, draft.device_time) == (Kind.STATUS, "OP", "20260115093001")


def test_a_type_nobody_knows_is_read_for_its_observations_or_refused() -> None:
    head = r"MSH|^~\&|X||LIS||20260115093000||ORU_R01|1|P|2.5"
    assert one("OBR|1||S1|T", "OBX|1|NM|A||5", head=head).value == "5"
    with pytest.raises(DecodeError):
        read("ZZZ|1", head=head)


def test_an_order_whose_status_has_changed_is_an_event() -> None:
    draft = one("SPM|1|S1", "OBR|1|||T", "ORC|SC||||IP", head=OUL.format(sender="X"))
    assert (draft.kind, draft.value, draft.specimen) == (Kind.EVENT, "IP", "S1")


def test_a_result_message_with_nothing_in_it_is_not_read() -> None:
    with pytest.raises(DecodeError):
        read("PID|1||P1", "OBR|1||S1|T")
    (draft,) = read("OBR|1||S1|T", "NTE|1||Error^InvalidTestData^Test unknown")
    assert (draft.kind, draft.value) == (Kind.EVENT, "Error^InvalidTestData^Test unknown")


def test_guessed_characters_make_a_result_uncertain_where_they_matter() -> None:
    def drafts(*segments: str) -> list[Draft]:
        data = text(ORU.format(sender="X", mode="P"), *segments).decode().encode("latin-1")
        return list(decode(Message(data), Hl7Options()))

    (doubted,) = drafts("OBR|1||S1|T", "OBX|1|ST|A||détecté")
    assert (doubted.value, doubted.quality) == ("détecté", Quality.UNCERTAIN)
    (certain,) = drafts("PID|1||P1||Müller", "OBR|1||S1|T", "OBX|1|NM|A||5")
    assert certain.quality is Quality.GOOD


# ---- dialects


def test_a_dialect_is_recognised_by_the_sender_and_configuration_goes_first() -> None:
    segments = ("PID||SMP1", "OBR||CRP|0|1|||20260115090000", "ORC|OK", "SPM|1|LOT7", "OBX|1|TX|CRP||5.0|mg/L||0|||R")
    head = r"MSH|^~\&|1|ichroma2|SN||20260115093000||OUL^R24^OUL_R24|1|T|2.6"
    draft = one(*segments, head=head)
    assert (draft.specimen, draft.lot, draft.status, draft.quality) == ("SMP1", "LOT7", Status.FINAL, Quality.GOOD)
    assert draft.attributes["dialect"] == "ichroma"
    assert one(*segments, head=head, specimen=("SPM-2",)).specimen == "LOT7"
    assert one(*segments, head=head, recognise=False).specimen == "LOT7"


def test_every_dialect_is_told_by_its_own_simulated_sender_or_has_to_be_declared() -> None:
    for name in ("cobas-4800", "cobas-6800", "alinity-m", "cobas-pro", "genexpert", "finecare", "hemoscreen"):
        options = DRIVER.trial(name)
        drawn = model(DRIVER.model, 1, ()).draw(datetime(2026, 1, 15, 9, 30, tzinfo=UTC))
        data = encode(drawn, options)
        told = {draft.attributes.get("dialect") for draft in decode(Message(data), Hl7Options())}
        assert told == {name}


# ---- many and long


def test_a_run_of_hundreds_of_specimens_in_one_block() -> None:
    def segments() -> Iterator[str]:
        for number in range(600):
            yield f"SPM|{number + 1}|S{number}|||||||||P"
            yield "OBR|1||X|T"
            yield f"OBX|1|NM|A||{number}|mg/L|||||F||||||||20260115090000"

    drafts = read(*segments(), head=OUL.format(sender="X"))
    assert [(draft.specimen, draft.value) for draft in drafts] == [(f"S{n}", str(n)) for n in range(600)]
    assert len({draft.identity for draft in drafts}) == 600


@given(
    st.lists(
        st.sampled_from([*PIECES, "\r"]),
        max_size=60,
    )
)
def test_any_message_decodes_or_is_refused(pieces: list[str]) -> None:
    data = b"MSH|^~\\&|A||B||20260101||ORU^R01|1|P|2.5\r" + "".join(pieces).encode()
    try:
        for draft in decode(Message(data), Hl7Options()):
            assert draft.test
    except DecodeError:
        return


# ---- the wire


@pytest.mark.parametrize("variant", ["", *(variant.name for variant in DRIVER.variants)])
def test_what_a_simulated_analyser_says_is_heard(variant: str) -> None:
    options = DRIVER.trial(variant)
    host, instrument = End(DRIVER.host(options)), End(DRIVER.instrument(options))  # type: ignore[arg-type]
    wire = Wire(host, instrument)
    source = model(DRIVER.model, 1, DRIVER.observed(options))
    at = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
    drawn = [source.draw(at) for _ in range(21)]
    for each in drawn:
        wire.offer(instrument, encode(each, options))
    wire.run()
    assert instrument.exchange.delivered == len(drawn)
    heard = [list(decode(Message(data), options)) for data, _ in host.messages]
    for each, drafts in zip(drawn, heard, strict=True):
        assert [draft.value for draft in drafts] == [meant["value"] for meant in each["results"]]
        assert [draft.unit for draft in drafts] == [meant["unit"] for meant in each["results"]]
        assert {draft.specimen for draft in drafts} == {each["specimen"]}
        assert {draft.kind for draft in drafts} == {Kind(each["kind"])}


def test_text_without_blocks_is_cut_at_the_next_header_and_after_a_pause() -> None:
    exchange = DRIVER.host(Hl7Options(framing="none"))
    first, second = (text(ORU.format(sender="X", mode="P"), f"OBX|1|NM|A||{n}")[1:-2] for n in (1, 2))
    data = b"junk\r\n" + first + second.replace(b"\r", b"\n")
    events = [event for n in range(len(data)) for event in exchange.receive(data[n : n + 1], 1.0)]
    assert exchange.deadline is not None
    events += exchange.tick(exchange.deadline)
    assert b"".join(event.raw for event in events) == data
    assert [type(event) for event in events] == [Rejected, Received, Received]
    values = [
        draft.value
        for event in events
        if isinstance(event, Received)
        for draft in decode(Message(event.raw), Hl7Options())
    ]
    assert values == ["1", "2"]


def test_options_are_checked() -> None:
    for wrong in (
        {"specimen": ["SPM2"]},
        {"specimen": ["SPM-2.1.1.1"]},
        {"qc": [{"field": "SPM-11"}]},
        {"qc": [{"field": "SPM-11", "pattern": "("}]},
        {"encoding": "nonsense"},
        {"unheard": 1},
    ):
        with pytest.raises(ValidationError):
            Hl7Options.model_validate(wrong)
    mark = Mark(field="OBX-18[2].1", prefix="LOT")
    assert one("OBR|1||S1|T", "OBX|1|NM|A||5|||||||||||||x~LOT7", qc=(mark,)).kind is Kind.QC
