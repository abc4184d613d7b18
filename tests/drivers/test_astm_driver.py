"""The astm driver: records into drafts, dialects, and its simulated analyser."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers import load
from drivers.astm.options import AstmOptions
from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError, Reason, Received, Rejected, Send
from drivers.kit.frames import ACK, ENQ, EOT, frame
from drivers.kit.observation import Draft, Kind, Quality, Status
from drivers.kit.unframed import Unframed

SAMPLES = Path(__file__).parents[2] / "../shared/samples"
ASTM = load("astm")
recorded = pytest.mark.skipif(not SAMPLES.exists(), reason="recordings are not beside the repository")


def read(text: str, sound: bool = True, **options: Any) -> list[Draft]:
    return list(ASTM.decode(Message(text.encode(), sound=sound), ASTM.options(**options)))


def one(
    result: str, order: str = "O|1|S1||^^^CRP", header: str = "H|\\^&", patient: str = "P|1", **options: Any
) -> Draft:
    (draft,) = read(f"{header}\r{patient}\r{order}\r{result}\rL|1|N\r", **options)
    return draft


# -- one result


def test_a_result_says_what_the_instrument_said() -> None:
    draft = one(
        "R|1|^^^CRP|12.4|mg/L|0 to 5|H\\A||F||op7||20260115092830|SN0042",
        header="H|\\^&|M7|secret|FIA-Reader^SN0042^1.0.3|||||LABGW||P|LIS2-A2|20260115093000",
        patient="P|1||PID-0001||Doe^Jane||19700101|F",
    )
    assert (draft.kind, draft.test, draft.value, draft.unit) == (Kind.RESULT, "^^^CRP", "12.4", "mg/L")
    assert (draft.flags, draft.status, draft.operator) == (("H", "A"), Status.FINAL, "op7")
    assert (draft.specimen, draft.patient, draft.device_time) == ("S1", "PID-0001", "20260115092830")
    assert draft.attributes["reference_range"] == "0 to 5"
    assert draft.attributes["instrument"] == "SN0042"
    assert draft.attributes["time_source"] == "R13"
    assert draft.attributes["message_id"] == "M7"
    assert draft.attributes["H10"] == "LABGW"
    told = str(draft.attributes)
    assert "Doe" not in told
    assert "1970" not in told
    assert "secret" not in told


@pytest.mark.parametrize(
    ("value", "flag", "comparator"),
    [
        ("40", "<", "<"),
        ("600", ">\\H", ">"),
        ("40", "<\\>", None),
        ("> 40", "<", None),
        ("LOW", "<", None),
        ("40", "L", None),
    ],
)
def test_a_value_beyond_the_instruments_scale(value: str, flag: str, comparator: str | None) -> None:
    draft = one(f"R|1|^^^CRP|{value}|mg/L||{flag}||F")
    assert (draft.value, draft.comparator) == (value, comparator)


def test_demographics_are_kept_when_asked_for() -> None:
    draft = one("R|1|^^^CRP|1", patient="P|1||X||Doe^Jane||19700101|F", demographics=True)
    assert (draft.attributes["P6"], draft.attributes["P8"]) == ("Doe^Jane", "19700101")


@pytest.mark.parametrize(
    ("letter", "status", "quality"),
    [
        ("", Status.FINAL, Quality.GOOD),
        ("F", Status.FINAL, Quality.GOOD),
        ("V", Status.FINAL, Quality.GOOD),
        ("P", Status.PRELIMINARY, Quality.GOOD),
        ("C", Status.CORRECTED, Quality.GOOD),
        ("X", Status.CANCELLED, Quality.BAD),
        ("W", Status.FINAL, Quality.UNCERTAIN),
        ("?", Status.FINAL, Quality.UNCERTAIN),
    ],
)
def test_result_status(letter: str, status: Status, quality: Quality) -> None:
    draft = one(f"R|1|^^^CRP|1|mg/L||||{letter}")
    assert (draft.status, draft.quality) == (status, quality)


@pytest.mark.parametrize(
    ("sent", "value", "call", "quality"),
    [
        ("<0.5", "<0.5", None, Quality.GOOD),
        ("^POS", "POS", None, Quality.GOOD),
        ("0.35^NEG", "0.35", "NEG", Quality.GOOD),
        ("NEG^0.35", "0.35", "NEG", Quality.GOOD),
        ("Code7^0.35", "Code7^0.35", None, Quality.UNCERTAIN),
        ("12.3^H", "12.3", None, Quality.GOOD),
        ("12.3^^↑", "12.3", None, Quality.GOOD),
        ("3.21^^^^", "3.21", None, Quality.GOOD),
        ("-----", "-----", None, Quality.BAD),
        ("***.*", "***.*", None, Quality.BAD),
        ("+++.+", "+++.+", None, Quality.BAD),
        ("+++++", "+++++", None, Quality.BAD),
        ("+++", "+++", "positive", Quality.GOOD),  # a strip's grade; beside a unit it may be a number's mask
        ("2+", "2+", "positive", Quality.GOOD),
        ("+++|mg/dL", "+++", None, Quality.GOOD),
        ("-", "-", None, Quality.GOOD),
        ("0^0^8.8", "0^0^8.8", None, Quality.UNCERTAIN),
        ("-1^0.35", "-1^0.35", None, Quality.UNCERTAIN),
        ("1\\2", "1\\2", None, Quality.UNCERTAIN),
        ("", None, None, Quality.UNCERTAIN),
    ],
)
def test_values_are_never_guessed_from_components(sent: str, value: str, call: str | None, quality: Quality) -> None:
    draft = one(f"R|1|^^^CRP|{sent}")
    assert (draft.value, draft.interpretation, draft.quality) == (value, call, quality)


@pytest.mark.parametrize("flag", ["H", "↑"])
def test_a_flag_beside_the_value_is_a_flag(flag: str) -> None:
    assert one(f"R|1|^^^CRP|12.3^{flag}|mg/L||A").flags == ("A", flag)


@pytest.mark.parametrize(
    "sent",
    [
        "PNG&R&20260115&R&WDF.PNG",
        "2026_WDF.png",
        "^Image^PNG^Base64^iVBORw0KGgo=",
        "iVBORw0KGgoAAAANSUhEUgAA" * 20 + "==",
    ],
)
def test_a_picture_is_no_result(sent: str) -> None:
    draft = one(f"R|1|^^^SCAT|{sent}|||N||F")
    assert (draft.kind, draft.value, draft.specimen) == (Kind.EVENT, None, "S1")
    assert str(draft.attributes["picture"]).replace("\\", "&R&") == sent.strip("^")


def test_a_long_remark_is_no_picture() -> None:
    text = "Candida albicans grown in both bottles after two days " * 6
    assert one(f"R|1|^^^CULT|{text}").value == text.strip()


@pytest.mark.parametrize(
    ("field", "unit"),
    [
        ("mg/L", "mg/L"),
        ("^Copies/mL", "Copies/mL"),
        ("g/dL^1^0", "g/dL"),
        ("10^9/L", "10^9/L"),  # its own sign of a power is the delimiter
        ("x10^3/uL", "x10^3/uL"),
        ("mL/min/1.73m^2", "mL/min/1.73m^2"),
        ("1", None),  # Horiba: which set of units is on
        ("a^b", None),
    ],
)
def test_the_unit(field: str, unit: str | None) -> None:
    draft = one(f"R|1|^^^CRP|1|{field}")
    assert draft.unit == unit
    assert unit is not None or draft.attributes["R5"] == field


@pytest.mark.parametrize(
    ("field", "flags"), [("H", ("H",)), ("H\\A", ("H", "A")), ("EXP^<", ("EXP", "<")), ("^", ()), ("", ())]
)
def test_the_flags(field: str, flags: tuple[str, ...]) -> None:
    assert one(f"R|1|^^^CRP|1|mg/L||{field}").flags == flags


def test_the_operator_is_the_first_of_the_two_who_answer_for_it() -> None:
    assert one("R|1|^^^CRP|1|mg/L||||F||op1^verifier").operator == "op1"


@pytest.mark.parametrize(
    ("value", "field", "call", "quality"),
    [
        ("0.05", "Positif", "Positif", Quality.GOOD),
        ("Negative", "Positive", None, Quality.GOOD),  # the value is a call itself: the other is not taken
        ("0.05", "whatever", None, Quality.UNCERTAIN),
        ("0.05", "Final", None, Quality.GOOD),
    ],
)
def test_a_word_where_a_status_letter_belongs(value: str, field: str, call: str | None, quality: Quality) -> None:
    draft = one(f"R|1|^^^HBS|{value}|||||{field}")
    assert (draft.status, draft.interpretation, draft.quality) == (Status.FINAL, call, quality)


def test_a_declared_component_is_the_value_and_the_rest_is_kept() -> None:
    draft = one("R|1|^^^CRP|a^0.35", value="R4.2")
    assert (draft.value, draft.attributes["R4"]) == ("0.35", "a^0.35")
    assert one("R|1|^^^ABO|A^NEG^", value="R4.*").value == "A^NEG"


@pytest.mark.parametrize(
    ("fields", "time", "source"),
    [
        ("||20260115092830|20260115093000", "20260115093000", "R13"),
        ("||20260115092830|", "20260115092830", "R12"),
        ("|||", "20260101000000", "H14"),
        ("||0|", "20260101000000", "H14"),
    ],
)
def test_the_first_time_there_is_says_where_it_stood(fields: str, time: str, source: str) -> None:
    draft = one(f"R|1|^^^CRP|1|||||F|{fields}", header="H|\\^&||||||||||||20260101000000")
    assert (draft.device_time, draft.attributes["time_source"]) == (time, source)


@pytest.mark.parametrize(
    ("order", "specimen"),
    [
        ("O|1|S1", "S1"),
        ("O|1|S1^2^3", "S1"),
        ("O|1||S2", "S2"),
        ("O|1||3^1", None),  # a rack and a position are no specimen
        ("O|1", None),
        ("O|1|S1\\S2\\S3", "S1\\S2\\S3"),  # pooled
    ],
)
def test_the_specimen(order: str, specimen: str | None) -> None:
    assert one("R|1|^^^CRP|1", order=order).specimen == specimen


@pytest.mark.parametrize(
    ("header", "order"),
    [
        ("H|\\^&||||||||||Q", "O|1|S1"),
        ("H|\\^&", "O|1|S1|||||||||Q"),
        ("H|\\^&", "O|1|S1|||||||||||||Control"),
        ("H|\\^&", "O|1|S1|||||||||||||CTRL^^LOW"),
        ("H|\\^&", "O|1|CONTROL1"),
        ("H|\\^&", "O|1|LYPHOCHEK1"),
        ("H|\\^&", "O|1|Positive Control"),
        ("H|\\^&", "O|1|NEG_CTRL"),
        ("H|\\^&", "O|1|QCL1"),
        ("H|\\^&", "O|1|CAL A"),
        ("H|\\^&", "O|1|S1|807^00042^3^^CONTROL^NORMAL"),
        ("H|\\^&||||||||||QR", "O|1|S1"),
        ("H|\\^&", "O|1|QC-L1"),
        ("H|\\^&", "O|1|Control 2"),
        ("H|\\^&", "O|1|S1|3070^30098^098^^QC^SC"),
        ("H|\\^&", "O|1||^^QC-1234^B"),
    ],
)
def test_control_materials_are_no_patient_results(header: str, order: str) -> None:
    assert one("R|1|^^^CRP|1", header=header, order=order).kind is Kind.QC


@pytest.mark.parametrize(
    "order",
    [
        "O|1|QC0815",
        "O|1|CONTROLLER7",
        "O|1|S-QC",
        "O|1||QCX^1",
        "O|1|CALDWELL 1",
        "O|1|LOWE-CONTROLS",
        "O|1|S1|||||||||||||||||||||||Q",  # what answers a query (LIS02-A2 8.4.26)
        "O|1|S1|||||||||||||||||||||||Q\\F",
    ],
)
def test_a_specimen_that_merely_looks_like_a_control_is_a_patients(order: str) -> None:
    assert one("R|1|^^^CRP|1", order=order).kind is Kind.RESULT


@pytest.mark.parametrize(
    ("order", "specimen"),
    [
        ("O|1||^^    27^M", "27"),
        ("O|1||     6^8^           D770^M", "D770"),
        ("O|1|2^1^ 1234567890^B", "1234567890"),
        ("O|1|S1", "S1"),
        ("O|1|2^1", None),  # a rack and a position
    ],
)
def test_where_a_sysmex_analyser_says_the_specimen(order: str, specimen: str | None) -> None:
    header = "H|\\^&|||XN-550^00-24^22723"
    assert one("R|1|^^^^WBC^1|5|10*3/uL", order=order, header=header).specimen == specimen
    masked = one("R|1|^^^^HCT^1|++++|%", order=order, header=header)
    assert (masked.quality, masked.interpretation) == (Quality.BAD, None)


def test_what_is_not_production_is_doubted() -> None:
    assert one("R|1|^^^CRP|1", header="H|\\^&||||||||||P").quality is Quality.GOOD
    for processing in ("T", "D"):
        draft = one("R|1|^^^CRP|1", header=f"H|\\^&||||||||||{processing}")
        assert (draft.kind, draft.quality) == (Kind.RESULT, Quality.UNCERTAIN)


def test_an_identifier_to_be_deleted_is_none() -> None:
    assert one("R|1|^^^CRP|1", patient='P|1|""|PID-2').patient == "PID-2"


def test_a_status_of_several_letters_says_the_correction() -> None:
    assert one("R|1|^^^CRP|1|||||F\\C").status is Status.CORRECTED
    assert one("R|1|^^^CRP|1|||||F\\X").status is Status.CANCELLED


def test_a_time_of_another_order_stays_the_results_own() -> None:
    draft = one("R|1|^^^CRP|1|||||F||||15/01/2026 09:28", header="H|\\^&||||||||||||20260115093000")
    assert (draft.device_time, draft.attributes["time_source"]) == ("15/01/2026 09:28", "R13")


def test_a_control_may_be_declared() -> None:
    draft = one("R|1|^^^CRP|1", order="O|1|QC-L1", qc=[{"field": "O3", "prefix": "qc-"}])
    assert draft.kind is Kind.QC


@pytest.mark.parametrize("bad", [{"field": "O3"}, {"field": "Z3", "equals": "Q"}, {"field": "O3", "pattern": "("}])
def test_a_control_mark_must_make_sense(bad: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        AstmOptions(qc=[bad])


# -- a message


@pytest.mark.parametrize(
    ("header", "test", "codes"),
    [
        ("", "^^^CRP", ("CRP",)),
        ("", "^^^041^PT^100.00^A", ("041", "PT")),
        ("", "46419-8^^^RBC", ("46419-8", "RBC", "46419-8")),
        ("Mindray^^", "1^GLU^2^F", ("F", "1", "GLU")),
        ("c311^1", "^^^685/1/not", ("685/1/not", "685")),
        ("VITROS", "^^^1.000000+032+1", ("1.000000+032+1", "032")),
        ("ARCHITECT^1.00", "^^^0021^B-hCG^UNDILUTED^P^1^2^^F", ("0021", "B-hCG")),
        ("ARCHITECT^1.00", "^^^0021^B-hCG^UNDILUTED^P^1^2^^I", ()),
        ("ARCHITECT^1.00", "^^^0021^B-hCG^UNDILUTED^P^1^2^^P", ()),
    ],
)
def test_by_which_codes_a_test_is_known(header: str, test: str, codes: tuple[str, ...]) -> None:
    assert one(f"R|1|{test}|1", header=f"H|\\^&|||{header}").codes == codes


def test_a_result_with_specimen_and_time_is_itself_in_any_message() -> None:
    result = "R|1|^^^CRP|1|mg/L||N||F||||20260115092830"
    first, again = one(result), one(result, header="H|\\^&|other")
    assert first.identity is not None
    assert first.identity == again.identity
    assert one(result.replace("|1|mg", "|2|mg")).identity != first.identity


def test_equal_results_in_one_message_stay_two() -> None:
    result = "R|1|^^^CRP|1|mg/L||N||F||||20260115092830"
    first, second = read(f"H|\\^&\rP|1\rO|1|S1\r{result}\r{result}\rL|1|N\r")
    assert first.identity != second.identity


def test_a_result_without_its_own_time_is_known_by_its_place() -> None:
    text = "H|\\^&\rP|1\rO|1|S1\rR|1|^^^A|1\rR|2|^^^B|2\rL|1|N\r"
    first, second = read(text)
    assert first.identity != second.identity
    assert first.identity == read(text.partition("R|2")[0])[0].identity
    assert first.extent == text.index("\rR|2")
    assert second.extent == text.index("\rL")


def test_comments_and_makers_records_stay_with_their_result() -> None:
    first, second = read(
        "H|\\^&\rP|1\rO|1|S1\rM|1|HISTOGRAM|AAAA\rR|1|^^^A|1\rC|1|I|shaken|G\rM|1|RAW|1^2\rR|2|^^^B|2\rL|1|N\r"
    )
    assert first.attributes["comments"] == ["shaken"]
    assert first.attributes["records"] == ["M|1|RAW|1^2"]
    assert first.attributes["order_records"] == ["M|1|HISTOGRAM|AAAA"]
    assert not {"comments", "records", "order_records"} & set(second.attributes)


def test_a_query_is_no_result() -> None:
    assert read("H|\\^&\rQ|1|^S1||ALL||||||||O\rL|1|N\r") == []


def test_what_belongs_to_no_result_is_an_event() -> None:
    drafts = read("H|\\^&||||||||||||20260101000000\rM|1|LAMP|OLD\rC|1|I|door open\rL|1|N\r")
    assert [(draft.kind, draft.test, draft.value) for draft in drafts] == [
        (Kind.EVENT, "maker-record", "M|1|LAMP|OLD"),
        (Kind.EVENT, "comment", "door open"),
    ]


def test_a_pool_names_its_specimens() -> None:
    assert one("R|1|^^^CRP|1", order="O|1|S1\\S2").attributes["pool"] == ["S1", "S2"]


def test_an_order_that_could_not_be_done_is_a_result_without_a_value() -> None:
    order = "O|2|S2||^^^HIV|||||||||||||||||||||X\rC|1|I|4442 : Internal control failed|I"
    done, failed = read(f"H|\\^&||||||||||||20260115\rP|1\rO|1|S1||^^^HIV\rR|1|^^^HIV|40\rP|2\r{order}\rL|1|N\r")
    assert (done.specimen, done.value) == ("S1", "40")
    assert (failed.kind, failed.test, failed.specimen, failed.value) == (Kind.RESULT, "^^^HIV", "S2", None)
    assert (failed.status, failed.quality) == (Status.CANCELLED, Quality.BAD)
    assert failed.quality_reason == "4442 : Internal control failed"
    (alone,) = read(f"H|\\^&\rP|1\r{order}\rL|1|N\r")
    assert (alone.kind, alone.status) == (Kind.RESULT, Status.CANCELLED)


def test_results_before_their_only_order_belong_to_it() -> None:
    first, second = read("H|\\^&\rP|1\rR|1|^^^A|1\rR|2|^^^B|2\rO|1|S1\rL|1|N\r")
    assert (first.specimen, second.specimen) == ("S1", "S1")
    lone, own = read("H|\\^&\rP|1\rR|1|^^^A|1\rO|1|S1\rR|1|^^^B|2\rL|1|N\r")
    assert (lone.specimen, own.specimen) == (None, "S1")  # whose the first is nobody knows


def test_results_without_patient_or_order_are_read() -> None:
    (draft,) = read("H|\\^&\rR|1|^^^A|1|mg/L\rL|1|N\r")
    assert (draft.value, draft.specimen, draft.patient) == ("1", None, None)


def test_of_a_message_broken_off_only_whole_results_are_read() -> None:
    whole = "H|\\^&\rP|1\rO|1|S1\rR|1|^^^A|1\rR|2|^^^B|2\r"
    first, second = read(whole, sound=False)
    assert (first.quality, second.quality) == (Quality.GOOD, Quality.UNCERTAIN)
    assert second.quality_reason == "message incomplete"
    (only,) = read(whole[:-2], sound=False)
    assert (only.test, only.quality) == ("^^^A", Quality.GOOD)


@pytest.mark.parametrize("text", ["H|\\^&\rP|1\r", "H|\\^&\rP|", "H|\\^&"])
def test_a_message_broken_off_before_its_results_is_incomplete(text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        read(text, sound=False)
    assert caught.value.reason is Reason.INCOMPLETE


def test_a_guessed_character_set_makes_a_result_uncertain() -> None:
    raw = "H|\\^&\rO|1|S1\rR|1|^^^CRP|Négatif\rL|1|N\r".encode("latin-1")
    (draft,) = ASTM.decode(Message(raw), ASTM.options())
    assert (draft.value, draft.quality) == ("Négatif", Quality.UNCERTAIN)
    (draft,) = ASTM.decode(Message(raw), AstmOptions(encoding="latin-1"))
    assert (draft.value, draft.quality) == ("Négatif", Quality.GOOD)
    raw = "H|\\^&\rO|1|S1\rR|1|^^^CRP|1|µg/L\rL|1|N\r".encode("latin-1")
    (draft,) = ASTM.decode(Message(raw), ASTM.options())
    assert (draft.unit, draft.quality) == ("µg/L", Quality.GOOD)


def test_an_unknown_character_set_is_a_configuration_error() -> None:
    with pytest.raises(ValidationError, match="no character set"):
        AstmOptions(encoding="latin-99")


@settings(deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_decoding_any_bytes_gives_drafts_or_a_decode_error(raw: bytes, sound: bool) -> None:
    for prefix in (b"", b"H|\\^&", b"H|\\^&\rO|1|S1\rR|1|", b"H|\\^&\rR|"):
        with contextlib.suppress(DecodeError):
            list(ASTM.decode(Message(prefix + raw, sound=sound), ASTM.options()))


# -- dialects


def test_a_known_dialect_is_recognised_and_configuration_goes_first() -> None:
    header = "H|\\^&|||cobas-e411^1|||||host|RSUPL^REAL|P|1"
    draft = one("R|1|^^^400/|-1^0.271|COI", header=header)
    assert (draft.value, draft.interpretation) == ("0.271", "negative")
    assert draft.attributes["dialect"] == "cobas-e411"
    assert one("R|1|^^^400/|-1^0.271|COI", header=header, recognise=False).value == "-1^0.271"
    assert one("R|1|^^^400/|-1^0.271|COI", header=header, value="R4.1", qualitative={}).value == "-1"


def test_every_variant_presets_options_that_exist() -> None:
    for variant in ASTM.variants:
        ASTM.options(**variant.options)


# -- recordings


def sample(name: str, **options: Any) -> list[Draft]:
    wire = (SAMPLES / name).read_bytes()
    chosen = AstmOptions(framing="lis01" if name.endswith(".bin") else "none", **options)
    exchange = ASTM.host(chosen)
    events = [*exchange.receive(wire, 0.0), *exchange.close()]
    assert b"".join(event.raw for event in events) == wire
    assert not [event for event in events if isinstance(event, Rejected)]
    raw = b"".join(event.raw for event in events if isinstance(event, Received))
    return list(ASTM.decode(Message(raw), chosen))


@recorded
def test_euroimmun() -> None:
    variant = next(variant for variant in ASTM.variants if variant.name == "euroimmun")
    name = "blutspende+go-astm/examples/euroimmun_analyzer1_v10/sampleigg.astm"
    drafts = sample(name, **variant.options)
    assert len(drafts) == 20
    assert [draft.value for draft in drafts[:4]] == [">8", "7,41", ">8", "6,77"]
    assert (drafts[1].specimen, drafts[1].patient, drafts[1].unit) == ("TEST-27-077-5-1", None, "Ratio")
    assert drafts[14].specimen == "TEST-27-026-5-1  57"


@recorded
def test_bio_rad_ih() -> None:
    drafts = sample("blutspende+go-astm/examples/ihcom_v52/bloodtype.astm")
    assert [draft.value for draft in drafts] == ["40", "0", "0", "A^NEG^NEG^ccee^K-^NEG"]
    assert {draft.specimen for draft in drafts} == {"1122206642"}
    assert {draft.unit for draft in drafts} == {None}
    assert drafts[0].device_time == "20220311114103"
    assert all(draft.quality is Quality.GOOD for draft in drafts)


@recorded
def test_yumizen() -> None:
    drafts = sample("blutspende+go-astm/examples/yumizen/result.astm")
    assert len(drafts) == 20
    assert {draft.kind for draft in drafts} == {Kind.QC}
    assert (drafts[0].test, drafts[0].value, drafts[0].unit) == ("^^^MCV^787-2", "78.4", "um3")
    assert drafts[0].code == "loinc:787-2"
    assert len(drafts[0].attributes["order_records"]) == 3  # type: ignore[arg-type]
    assert drafts[0].specimen == "PX449L"


@recorded
@pytest.mark.parametrize("number", ["00", "01", "04"])
def test_queries(number: str) -> None:
    assert sample(f"blutspende+go-astm/extracted/identify_test_{number}.astm") == []


@recorded
def test_immucor() -> None:
    number, call = sample("blutspende+go-astm/extracted/identify_test_02.astm")
    assert (number.value, number.quality) == ("0^0^8.8", Quality.UNCERTAIN)
    assert (call.value, call.quality, call.specimen) == ("Negative", Quality.GOOD, "VAL99999903")


@recorded
def test_taqman() -> None:
    (missing,) = sample("deforay+intelis-interfacing/reconstructed/taqman_1.bin")
    assert (missing.value, missing.specimen, missing.unit) == ("Target Not Detected", "TM-0001/26", None)
    (titer,) = sample("deforay+intelis-interfacing/reconstructed/taqman_2.bin")
    assert (titer.value, titer.unit, titer.attributes["log10"]) == ("2.52E+3", "cp/mL", "3.40")
    assert titer.attributes["R4"] == "2.52E+3 (3.40)"
    assert titer.status is Status.FINAL


@recorded
def test_a_hosts_orders_are_no_results() -> None:
    """The trace of a middleware, its control bytes spelled out; names were replaced in it, checksums were not."""
    trace = (SAMPLES / "harunergul+astm-for-pms/ASTM_PMS/samples.txt").read_text()
    texts = re.findall(r"\[STX\]\d(.*?)\[CR\]\[ETX\](..)", trace)
    assert len(texts) == 8
    wire = ENQ + b"".join(frame(number, text.encode() + b"\r") for number, (text, _) in enumerate(texts, 1)) + EOT
    exchange = ASTM.host(ASTM.options())
    events = list(exchange.receive(wire, 0.0))
    assert not [event for event in events if isinstance(event, Rejected)]
    raw = b"".join(event.raw for event in events if isinstance(event, Received))
    drafts = list(ASTM.decode(Message(raw), ASTM.options()))
    assert {draft.kind for draft in drafts} == {Kind.EVENT}
    printed = [text[1] for text in texts]
    assert [wire.split(b"\x03")[1:][place][:2].decode() == printed[place] for place in (0, 2, 3, 4, 5, 7)] == [True] * 6


# -- plain lines, queries, the simulated analyser


@pytest.mark.parametrize("ending", ["\r", "\n", "\r\n"])
@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 300), max_size=10))
def test_plain_lines_make_the_same_messages_however_cut(ending: str, cuts: list[int]) -> None:
    message = ending.join(["H|\\^&", "P|1", "O|1|S1", "R|1|^^^CRP|1", "L|1|N", ""])
    wire = (message * 3).encode()
    exchange, raws, pieces = Unframed(), [], list[bytes]()
    edges = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    for start, stop in pairwise(edges):
        for event in exchange.receive(wire[start:stop], 0.0):
            pieces.append(event.raw)
            if isinstance(event, Received):
                raws.append(event.raw)
    assert b"".join(pieces) == wire
    assert len(raws) == 3
    assert len(set(raws)) == 1


def test_a_file_that_ends_without_a_line_end_is_whole() -> None:
    exchange = Unframed()
    assert list(exchange.receive(b"H|\\^&\nL|1|N", 0.0)) == []
    assert list(exchange.close()) == [Received(b"H|\\^&\nL|1|N")]
    assert list(exchange.receive(b"H|\\^&\nR|1|^^^A|1\n", 0.0)) == []
    assert list(exchange.close()) == [Received(b"H|\\^&\nR|1|^^^A|1\n", sound=False)]


def test_lines_without_end_are_refused_in_time() -> None:
    exchange = Unframed(max_message=1000)
    (event,) = exchange.receive(b"x" * 1001, 0.0)
    assert isinstance(event, Rejected)
    assert event.reason is Reason.TOO_LONG


MESSAGE = b"H|\\^&|||X\rP|1\rO|1|S1\rR|1|^^^CRP|1\rL|1|N\r"
FRAMED = ENQ + b"".join(frame(n, part + b"\r") for n, part in enumerate(MESSAGE.split(b"\r")[:-1], 1)) + EOT
UNBIDDEN = FRAMED[1:-1]


def whole_messages(exchange: Any, pieces: list[bytes], now: float = 0.0) -> tuple[list[bytes], bytes, int]:
    """The messages heard, every byte in order, and how many times something was acknowledged."""
    heard, raws, acks, held = [], [], 0, b""
    for piece in pieces:
        for event in exchange.receive(piece, now):
            raws.append(event.raw)
            if isinstance(event, Received):
                held += event.raw
                acks += event.reply == ACK
                if event.complete:
                    heard.append(held)
                    held = b""
            elif isinstance(event, Send):
                acks += event.data == ACK
    raws += [event.raw for event in exchange.close()]
    return heard, b"".join(raws), acks


@pytest.mark.parametrize(
    ("wire", "acks"),
    [
        (MESSAGE * 2, 0),
        (b"\r\n" + MESSAGE, 0),
        (b"\xef\xbb\xbf" + MESSAGE, 0),  # a file's mark of UTF-8
        (b"\x0b" + MESSAGE + b"\x1c\r", 0),  # wrapped as HL7 is
        (ENQ + MESSAGE + EOT, 1),  # the line was asked for, and lines came
        (MESSAGE[: MESSAGE.index(b"L|1")] + EOT, 0),  # EOT ends it in the L record's place
        (FRAMED, 6),
        (UNBIDDEN * 2, 10),
        (MESSAGE + FRAMED, 6),
    ],
)
@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 400), max_size=8), each=st.booleans())
def test_frames_and_plain_lines_are_told_apart_however_cut(wire: bytes, acks: int, cuts: list[int], each: bool) -> None:
    edges = sorted({0, len(wire), *(range(len(wire)) if each else (cut for cut in cuts if cut < len(wire)))})
    pieces = [wire[start:stop] for start, stop in pairwise(edges)]
    heard, raws, acknowledged = whole_messages(ASTM.host(ASTM.options()), pieces)
    assert raws == wire
    assert acknowledged == acks
    values = [draft.value for raw in heard for draft in ASTM.decode(Message(raw), ASTM.options())]
    assert values == ["1"] * wire.count(b"R|1|")


def test_frames_nobody_asked_to_send_are_refused_where_frames_are_declared() -> None:
    exchange = ASTM.host(AstmOptions(framing="lis01"))
    heard, raws, acknowledged = whole_messages(exchange, [UNBIDDEN])
    assert (heard, acknowledged, raws) == ([], 0, UNBIDDEN)


def test_a_damaged_frame_nobody_asked_for_is_not_heard() -> None:
    heard, raws, _ = whole_messages(ASTM.host(ASTM.options()), [UNBIDDEN.replace(b"CRP|1", b"CRP|7")])
    values = [draft.value for raw in heard for draft in ASTM.decode(Message(raw), ASTM.options())]
    assert "7" not in values
    assert raws == UNBIDDEN.replace(b"CRP|1", b"CRP|7")


@settings(deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([MESSAGE, FRAMED, UNBIDDEN, b"H", ENQ])), max_size=8))
def test_whatever_comes_no_byte_is_lost(pieces: list[bytes]) -> None:
    exchange = ASTM.host(ASTM.options())
    _, raws, _ = whole_messages(exchange, pieces)
    assert raws == b"".join(pieces)


def test_an_h_that_begins_nothing_is_settled_by_silence() -> None:
    exchange = ASTM.host(ASTM.options())
    assert list(exchange.receive(b"H", 0.0)) == []
    assert exchange.deadline is not None
    list(exchange.tick(exchange.deadline))
    assert exchange.deadline is not None
    (event,) = exchange.tick(exchange.deadline)
    assert isinstance(event, Rejected)
    assert event.raw == b"H"


def test_queries_are_answered_unless_told_otherwise() -> None:
    wire = b"".join(_session(b"H|\\^&\rQ|1|^S1||ALL\rL|1|N\r"))
    answering = list(ASTM.host(ASTM.options()).receive(wire, 0.0))
    assert answering[-1] == Send(ENQ)
    silent = list(ASTM.host(AstmOptions(host_query="ignore")).receive(wire, 0.0))
    assert silent[-1] != Send(ENQ)


@pytest.mark.parametrize("name", ["astm", "genexpert"])
def test_an_analyser_without_checksums_is_read_where_that_is_declared(name: str) -> None:
    driver = load(name)
    options = driver.options.model_validate({"checksum": "none"})
    speaking = driver.instrument(options)
    written = [event.data for event in speaking.offer(MESSAGE, 0.0) if isinstance(event, Send)]
    while not speaking.idle:
        written += [event.data for event in speaking.receive(ACK, 0.0) if isinstance(event, Send)]
    heard, _, _ = whole_messages(driver.host(options), written)
    (draft,) = driver.decode(Message(heard[0]), options)
    assert (draft.value, draft.specimen) == ("1", "S1")


def _session(message: bytes) -> list[bytes]:
    """What the simulated analyser writes when everything it sends is acknowledged."""
    exchange = ASTM.instrument(ASTM.options())
    written = [event.data for event in exchange.offer(message, 0.0) if isinstance(event, Send)]
    while not exchange.idle:
        written += [event.data for event in exchange.receive(ACK, 0.0) if isinstance(event, Send)]
    return written


DRAWN = {
    "time": datetime(2026, 1, 15, 9, 28, 30, tzinfo=UTC),
    "kind": "result",
    "specimen": "S|1^a",
    "patient": "PID-1",
    "operator": "op7",
    "results": [
        {"test": "^^^CRP", "value": "12.4", "unit": "mg/L", "flags": ["H", "A"], "status": "preliminary"},
        {"test": "^^^HBSAG", "value": "0.27", "unit": "COI", "interpretation": "negative"},
        {"test": "^^^FLU", "interpretation": "detected"},
    ],
}


@pytest.mark.parametrize("variant", [None, *(variant.name for variant in ASTM.variants)])
def test_what_the_simulated_analyser_means_is_what_is_read(variant: str | None) -> None:
    presets = next((each.options for each in ASTM.variants if each.name == variant), {})
    options = AstmOptions(**presets)
    message = ASTM.encode(DRAWN, options)
    crp, hbsag, flu = ASTM.decode(Message(message), options)
    assert (crp.test, crp.value, crp.flags) == ("^^^CRP", "12.4", ("H", "A"))
    assert crp.unit == ("mg/L" if options.unit else None)
    assert (crp.specimen, crp.status) == ("S|1^a", Status.PRELIMINARY)
    assert crp.operator == ("op7" if options.operator else None)
    assert crp.device_time == "20260115092830"
    meant = {("0.27", "negative"), ("0.27^negative", None)}
    if options.value == "R4.1" and not options.call:  # the number alone has a place there
        meant = {("0.27", None)}
    assert (hbsag.value, hbsag.interpretation) in meant
    assert flu.value == "detected"
    assert crp.kind is Kind.RESULT
    (control, *_) = ASTM.decode(Message(ASTM.encode({**DRAWN, "kind": "qc"}, options)), options)
    assert control.kind is Kind.QC
