"""What analysers of many makers send, and how it is read: shapes of published messages, identifiers invented."""

from __future__ import annotations

from typing import Any

import pytest

import drivers
from drivers.hl7.driver import decode
from drivers.hl7.options import Hl7Options
from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError
from drivers.kit.observation import Draft, Kind, Quality, Status

DRIVER = drivers.load("hl7")


def read(*segments: str, variant: str = "", end: str = "\r", codec: str = "utf-8", **options: Any) -> list[Draft]:
    preset = dict(DRIVER.preset(variant).options) if variant else {}
    data = "".join(f"{segment}{end}" for segment in segments).encode(codec)
    return list(decode(Message(data), Hl7Options.model_validate({**preset, **options})))


def told(drafts: list[Draft], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(getattr(draft, name) for name in names) for draft in drafts]


def head(sender: str = "AN|X", kind: str = "ORU^R01", mode: str = "P", rest: str = "") -> str:
    return rf"MSH|^~\&|{sender}|||20260115093000||{kind}|C-1|{mode}|2.3.1{rest}"


# ---- one maker after the other


def test_the_age_of_a_haematology_analysers_patient_is_no_result() -> None:
    drafts = read(
        *(head("H500^SN1^4.0|HORIBA", "OUL^R22^OUL_R22"), "PID|1||P1", "SPM|1|S1||WB|||||||P"),
        *("OBX|1|NM|35659-2^Age at specimen collection^LN||36|a|||||F", "OBX|1|ST|^Dosage category||ADULT||||||F"),
        *("OBR|1|||CBC", "ORC|SC", "OBX|1|NM|789-8^RBC^LN||4.85|1E06/mm3|4.20 - 6.00^REFERENCE_RANGE|N~|||F"),
    )
    assert told(drafts, "test", "value", "unit", "specimen", "flags") == [("789-8", "4.85", "1E06/mm3", "S1", ("N",))]
    supplements: Any = drafts[0].attributes["supplements"]
    assert [each["value"] for each in supplements] == ["36", "ADULT"]


def test_answers_to_questions_of_the_order_are_no_results() -> None:
    drafts = read(
        *(head(), "PID|1||P1", "OBR|1||S1|94558-4^SARS-CoV-2 Ag^LN"),
        "OBX|1|CWE|94558-4^SARS-CoV-2 Ag^LN||260415000^Not detected^SCT|||N^Normal^HL70078|||F|||20260115090000",
        "OBX|2|CWE|95418-0^Employed in healthcare^LN||Y^Yes^HL70136||||||F",
        "OBX|3|NM|30525-0^Age^LN||62|a^year^UCUM|||||F",
        "OBX|4|ST|X^Travel^L||no||||||F||||||||||||||||||QST",
    )
    assert told(drafts, "test", "interpretation", "code") == [("94558-4", "not-detected", "loinc:94558-4")]


def test_a_liats_remark_says_run_tube_lot_and_expiry() -> None:
    (draft,) = read(
        *(head("cobas Liat|Roche", "ORU^R30^ORU_R30"), "PID|||Unknown", "ORC|NW", "OBR||||Flu"),
        "NTE|||Run=00016;Device=M1-E-1;Tube=0027E;TubeExp=2064-02-29;TubeLot=AAJ5",
        "OBX||ST|Influenza A||Not Detected||||||F|||||OP7||00:00:5E:00:53:01|20260114075501-0400",
    )
    assert told([draft], "value", "patient", "lot", "lot_expiry", "run", "operator", "device_time") == [
        ("Not Detected", None, "AAJ5", "2064-02-29", "00016", "OP7", "20260114075501-0400")
    ]


def test_a_cassettes_lot_stands_in_a_remark_of_the_order() -> None:
    profile = "|||AL|NE||UNICODE UTF-8|||IHE_PCD_ORU_R01^IHE PCD^1.3.6.1.4.1.19376.1.6.4.1^ISO"
    (draft,) = read(
        *(head("FA20E0001^01^EUI-64|SD", "ORU^R01^ORU_R01", rest=profile), "PID|||ID-7"),
        *("OBR|1|m1^FA20E0001|m1^FA20E0001|SDB-0690^COVID-19 Ag^SDB|||20260114155805+0300",),
        "NTE|1||Device Information,Date of manufacture=20251030,LotNo=QCO3905,SerialNo=00012",
        "OBX|1|CWE|SDB-0690^COVID-19 Ag^SDB|1.0.0.1|260415000^Negative^SCT||||||F|||20260114155805+0300||admin",
        "NTE|1||Cut Off Index,Value=0.12",
    )
    assert told([draft], "specimen", "lot", "operator", "interpretation") == [
        ("ID-7", "QCO3905", "admin", "not-detected")
    ]
    assert draft.attributes["comments"] == ["Cut Off Index,Value=0.12"]


BS_CONTROL = (
    "MSH|^~\\&|Mindray|BS-200E|||20260120120202||ORU^R01|1|P|2.3.1||||2||ASCII",
    "OBR|1|1|test1|Mindray^BS-200E||20260120120143|||||||QUAL1|1111|20280720||H|5.0|2.0|0.11029|g/L",
)


def test_a_control_whose_order_says_everything() -> None:
    (draft,) = read(*BS_CONTROL)
    assert told([draft], "kind", "test", "value", "unit", "specimen", "lot", "lot_expiry", "device_time") == [
        (Kind.QC, "test1", "0.11029", "g/L", "QUAL1", "1111", "20280720", "20260120120143")
    ]
    (other,) = read(*BS_CONTROL, "OBX|1|NM|2|test2|5.2|g/L|-||||F")
    assert told([other], "kind", "test", "value", "specimen", "lot") == [(Kind.QC, "test2", "5.2", "QUAL1", "1111")]
    with pytest.raises(DecodeError):
        read(BS_CONTROL[0].replace("||2||", "||1||"), BS_CONTROL[1])  # a calibration: nobody knows its places


BC_HEAD = r"MSH|^~\&|||||20260115101010||ORU^R01|1|{mode}|2.3.1||||||UNICODE"
BC_ROWS = (
    "OBX|1|IS|08001^Take Mode^99MRC||O||||||F",
    "OBX|2|NM|30525-0^Age^LN||42|yr|||||F",
    "OBX|3|NM|6690-2^WBC^LN||8.13|10*9/L|4.00-10.00|N|||F",
    "OBX|4|IS|12045^Multiple alerts^99MRC||T||||||F",
    "OBX|5|NM|15004^WBC Histogram. Meta Length^99MRC||1||||||F",
)


def test_a_blood_counts_control_has_its_lot_where_patients_have_their_number() -> None:
    control = "PID|1||SYN-LOT^^^^MR||||20281220000000", "OBR|1||1|00003^LJ QCR^99MRC|||20260115100000"
    (draft,) = read(BC_HEAD.format(mode="Q"), *control, *BC_ROWS)
    assert told([draft], "kind", "value", "specimen", "patient", "lot", "lot_expiry") == [
        (Kind.QC, "8.13", "1", None, "SYN-LOT", "20281220000000")
    ]
    person = "PID|1||SYN-7^^^^MR||||19811220000000", "OBR|1||S1|00001^Automated Count^99MRC|||20260115100000"
    (draft,) = read(BC_HEAD.format(mode="P"), *person, *BC_ROWS)
    assert told([draft], "kind", "specimen", "patient", "lot", "lot_expiry") == [
        (Kind.RESULT, "S1", "SYN-7", None, None)
    ]


@pytest.mark.parametrize("marks", [r"^~\&", "^~&"])
def test_an_immunoassay_analyser_of_a_blood_count_analysers_kind(marks: str) -> None:
    sender = f"MSH|{marks}|Q3|Zybio|||20260104192722||ORU^R01|1|{{}}|2.3.1||||||UNICODE"
    (draft,) = read(
        *(sender.format("P"), "PID|1||SYN-1^^^^MR"),
        "OBR|3008||S9|01001^Automated Count^99MRC||20260104100000|20260104100500||||||||PLASMA|tester1||||||||HM",
        *("OBX|1|IS|03001^Take Mode^99MRC||O||||||F", "OBX|2|NM|31525-0^Age^LN||12|yr|||||F"),
        *("OBX|4|IS|03004^Sys Seq^99MRC||3008||||||F", r"OBX|6|NM|6806-1^SAA^LN||125.00|ug\S\mL|<10|A~H|6806||F"),
    )
    assert told([draft], "test", "value", "unit", "specimen", "operator", "flags") == [
        ("6806-1", "125.00", "ug^mL", "S9", "tester1", ("A", "H"))
    ]
    (draft,) = read(
        *(sender.format("Q"), "OBR|1|QC solution 1|SYN-LOT|02001^QCR^99MRC||20280731"),
        *("OBX|1|IS|03006^Qc Level^99MRC||M||||||F", "OBX|2|NM|6802-1^cTnT^LN|5^0.5|0.03|ng/mL|<0.04|N|6802||F"),
    )
    assert told([draft], "kind", "value", "specimen", "patient", "lot", "lot_expiry") == [
        (Kind.QC, "0.03", "QC solution 1", None, "SYN-LOT", "20280731")
    ]


def test_a_patient_who_is_called_a_control_is_nobody() -> None:
    (draft,) = read(head(), "PID|1||QC", "OBR|1||L1|P", "OBX|1|NM|A||5|mg/L|||||F")
    assert told([draft], "kind", "patient") == [(Kind.QC, None)]


def test_a_chemistry_analysers_tube_stands_in_the_placers_number() -> None:
    (draft,) = read(
        head("urit|8030"),
        "OBR|1|0000966134|202601150002|urit^8030|N||2026-01-14",
        "OBX|1|NM|1|GLI|111|mg/dL|65-99|N|||F||0.2441|2026-01-14||Admin||",
    )
    assert told([draft], "specimen", "test", "value", "operator") == [("0000966134", "GLI", "111", "Admin")]
    empty = read(head("Mindray|BS-240"), "OBR|1|S1|2|Mindray^BS-240", "OBX|1|NM|2|T|-268435455.000000|g/L|||||F")
    assert [draft.kind for draft in empty] == [Kind.EVENT]  # the placeholder of a missing value is none


def test_a_luminescence_analysers_value_is_its_concentration_not_its_signal() -> None:
    segments = (
        *("OBR|1|TUBE-1|7764|SYS", "NTE|||L1~CEX~Vitamin B12~206"),
        "OBX|10455|CE|206|206|5981666^390.946~||||||F|||2026/01/15 09:00:00",
    )
    (draft,) = read(head("|"), *segments, variant="autolumo")
    assert told([draft], "specimen", "test", "value", "quality") == [("TUBE-1", "206", "390.946", Quality.GOOD)]
    (guessed,) = read(head("|"), *segments)
    assert guessed.quality is Quality.UNCERTAIN
    (named,) = read(head("A2000|Autolumo"), "OBR|1|T1", "OBX|1|NM|1^Vitamin B12|206|5981666^390.9|pg/mL|||||F")
    assert (named.specimen, named.test, named.value, named.attributes["dialect"]) == ("T1", "206", "390.9", "autolumo")


@pytest.mark.parametrize("sender", ["EDAN|i15^M0001", "AN|X"])
def test_tests_that_are_all_called_0_are_called_by_their_sub_ids(sender: str) -> None:
    drafts = read(
        *(head(sender), "OBR|||S1|AN^1|||20260115090239"),
        *("OBX|0|ST|0|pH|7.400||7.350^7.450||||||Pass|20260115090239||op7",),
        "OBX|1|ST|0|pO2|90|mmHg|83^108||||||Pass|20260115090239||op7",
    )
    assert told(drafts, "test", "value", "operator") == [("pH", "7.400", "op7"), ("pO2", "90", "op7")]


def test_reagents_behind_the_coded_answer_belong_to_the_number() -> None:
    (draft,) = read(
        *(
            head("cobas pure|", "OUL^R22^OUL_R22"),
            "SPM|1|S1&BARCODE|||||||||P",
            'OBR|1|""||20130^^99ROC',
            "ORC|SC||||CM",
        ),
        "OBX|1|NM|20130^20130^99ROC^^^IHELAW|1|18.0|U/L^^99ROC||N|||F|||||ADMIN~BATCH||c303^ROCHE|20260105135146",
        "OBX|2|CE|20130^20130^99ROC^^^IHELAW|1|^^99ROC|||N|||F|||||ADMIN||c303^ROCHE|20260105135146",
        "TCD|20130^^99ROC|^1^:^1",
        "INV|2013001|OK^^HL70383~CURRENT^^99ROC|R1|1699|1|26||||||20281130||||661052",
        "INV|2012001|OK^^HL70383|SPR|5554|1|21||||||20281130||||654893",
        "INV|2013001|OK^^HL70383~CURRENT^^99ROC|R3|1699|1|26||||||20281130||||661052",
    )
    assert told([draft], "value", "lot", "lot_expiry", "operator") == [("18.0", "661052", "20281130", "ADMIN")]
    reagents: Any = draft.attributes["reagents"]
    assert len(reagents) == 3


def test_the_lot_of_an_assay_is_that_of_what_is_called_as_the_test() -> None:
    inventory = (
        "INV|1006^^99ABT|NA|CA^Calibration^99ABT||||||||||20251202144858|||399444",
        "INV|HIV-1 NEG CTRL^^99ABT|NA|CO^Assay Control^HL70384|1||||||||20260507||||403055",
        "INV|3001-KIT^^99ABT|NA|SR^Single Test Reagent^HL70384|2||||||||20260214||||399444",
        "INV|200-PREP^^99ABT|NA|SR^Single Test Reagent^HL70384|3||||||||20261114||||397315",
    )
    specimen = ("SPM|1|||PLAS|||||||P", "SAC|||S1", 'OBR||""||1006^HIV-1^99ABT', "ORC|SC||||CM")
    result = 'OBX|1|ST|1006^HIV-1^99ABT||< 20|^Copies/mL||""|||F|||||op~op2||Alinity m^Abbott~M1^Abbott|20260112142906'
    (draft,) = read(head("|", "OUL^R22^OUL_R22"), *specimen, result, *inventory)
    assert told([draft], "specimen", "lot", "lot_expiry", "kind") == [("S1", "399444", "20260214", Kind.RESULT)]
    (several,) = read(head("|", "OUL^R22^OUL_R22"), *specimen, result, *inventory[1:])
    assert several.lot is None  # two reagents, two lots: neither is the result's


def test_a_titer_below_the_least_is_detected() -> None:
    drafts = read(
        *(head("COBAS6800/8800|", "OUL^R22"), "SPM||S1||PLAS|||||||P", "OBR|1|||70241-5^HIV^LN|||||||A"),
        "OBX|1|ST|HIV^HIV^99ROC||ValueNotSet|||BT|||F|||||op1||C6800/8800^Roche|20260108121433",
        "OBX|2|NA|HIV^HIV^99ROC^S_OTHER^Other Supplemental^IHELAW||^^37.68||||||F|||||op1||C6800|20260108121433",
        'OBX|3|ST|70241-5^HIV^LN|1/2|< Titer min|||||""|F|||||op1||C6800|20260108121433',
    )
    assert told(drafts, "test", "value", "interpretation", "flags") == [
        ("HIV", None, "detected", ("BT",)),
        ("70241-5", "< Titer min", None, ()),
    ]


def test_a_value_in_another_field_has_to_agree_with_the_fifth() -> None:
    def card(text: str) -> Draft:
        (draft,) = read(
            *(head("FineCarePlus|F"), "PID|1||P1", "OBR|1|LOT1|S1||||20260115090000"),
            f"OBX|1|NM||HbA1c|{text}|%|4-6||||||9.3|20260115090000",
        )
        return draft

    agreed = card("9.3 %  220.2 mg/dl  78.1 mmol/mol")
    assert (agreed.value, agreed.quality) == ("9.3", Quality.GOOD)
    assert agreed.attributes["OBX5"] == "9.3 %  220.2 mg/dl  78.1 mmol/mol"
    assert card("7.3 %  7.2 mg/dl").quality is Quality.UNCERTAIN
    assert "OBX5" not in card("9.3").attributes


def test_a_nihon_kohden_message_with_nulls_and_a_japanese_character_set() -> None:
    (draft,) = read(
        *(head("MEK-9100|Lab", "OUL^R22^OUL_R22", rest="|||NE|AL||~ISO IR87|||LAB-29^IHE"), "PID|||P1||山田"),
        *('SPM|1|""&&""||""|||||||P^Patient specimen^HL70369', "SAC|||S1", 'OBR|1|""||CBC+DIFF', 'ORC|SC|""|||CM'),
        "OBX|1|NM|WBC^White Blood Cell Count^99UNK||3.92|10*3/uL^thousand per microliter^UCUM|4-9|L^Low^HL70078|||F"
        "|||||OP1||MEK-9100~01397|20260108112534||||||||||RSLT",
        codec="iso2022_jp",
    )
    assert told([draft], "specimen", "patient", "unit", "flags", "operator") == [("S1", "P1", "10*3/uL", ("L",), "OP1")]
    assert draft.quality is Quality.GOOD


# ---- habits of any maker


ONE = (head(), "PID|1||P1", "OBR|1||S1|T", "OBX|1|NM|GLU^Glucose||5.4|mmol/L|3-6|H~A|||F|||20260115090000")


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r", "  \r", "\r\n  "])
def test_segments_end_in_many_ways(end: str) -> None:
    assert told(read(*ONE, end=end), "value", "specimen", "patient", "flags") == [("5.4", "S1", "P1", ("H", "A"))]
    assert told(read(end.join(ONE), end=""), "value") == [("5.4",)]  # the last one is not ended


def test_names_of_segments_in_lower_case_and_a_fifth_encoding_character() -> None:
    lower = (ONE[0], *(segment[:3].lower() + segment[3:] for segment in ONE[1:]))
    assert told(read(*lower), "value", "specimen") == [("5.4", "S1")]
    assert told(read(ONE[0].replace("^~\\&", "^~\\&#"), *ONE[1:]), "value", "specimen") == [("5.4", "S1")]


@pytest.mark.parametrize(
    "segments",
    [
        ("OBR|1||S1|T",),
        ("OBR|1|S1||T",),
        ('OBR|1|S1|""|T',),
        ("SPM|1|^S1&LIS", "OBR|1||F9|T"),
        ("SPM|1|S1&LIS^F1&LIS", "OBR|1||F9|T"),
        ("SPM|1|", "SAC|||S1^BARCODE", "OBR|1||F9|T"),
        ("ORC|RE|S1", "OBR|1|||T"),
        ("ORC|RE|P9|S1", "OBR|1|||T"),
    ],
)
def test_where_the_specimen_may_stand(segments: tuple[str, ...]) -> None:
    (draft,) = read(head(), "PID|1||P1", *segments, "OBX|1|NM|A||5|mg/L|||||F")
    assert (draft.specimen, draft.patient) == ("S1", "P1")


def test_every_patients_results_are_their_own() -> None:
    drafts = read(
        *(head(), "PID|1||P1", "OBR|1||S1|T", "NTE|1||of the order", "OBX|1|NM|A||1", "NTE|1||of the result"),
        *("PID|2||P2", "NTE|1||of the person", "ORC|RE", "OBR|1||S2|T", "OBX|1|NM|A||2"),
    )
    assert told(drafts, "patient", "specimen", "value") == [("P1", "S1", "1"), ("P2", "S2", "2")]
    assert drafts[0].attributes["order_comments"] == ["of the order"]
    assert drafts[0].attributes["comments"] == ["of the result"]
    assert "comments" not in drafts[1].attributes


def test_an_image_of_a_megabyte_is_kept_out_of_the_observation() -> None:
    drafts = read(*ONE, f"OBX|2|ED|IMG^Scattergram||^Image^PNG^Base64^{'iVBORw0K' * 131_072}||||||F")
    assert told(drafts, "value") == [("5.4",)]
    assert len(str(drafts[0].attributes)) < 2000


def test_corrected_results_say_so() -> None:
    (draft,) = read(*ONE[:3], "OBX|1|NM|GLU^Glucose||5.6|mmol/L|3-6|H|||C|||20260115090000", "NTE|1||was 6.6")
    assert (draft.value, draft.status, draft.quality) == ("5.6", Status.CORRECTED, Quality.GOOD)
    assert draft.attributes["comments"] == ["was 6.6"]


def test_a_tests_own_name_is_kept_beside_its_code() -> None:
    (draft,) = read(*ONE[:3], "OBX|1|NM|BN0280^cPRG^BN||1.33|ng/mL|||||F")
    assert (draft.test, draft.attributes["name"]) == ("BN0280", "cPRG")


# ---- numbers with commas


COMMA = ("OBR|1||S1|X", "OBX|1|NM|WBC||{}|10*9/L|3,50-9,50|||F", "OBX|2|NM|PLT||{}|10*9/L|||||F")


@pytest.mark.parametrize(
    ("one", "two", "values"),
    [
        ("11,49", "234", [11.49, "234"]),
        ("0,234", "1,234", [0.234, 1.234]),  # what the one shows, the other goes by
        ("1,234", "234", ["1,234", "234"]),  # a thousand, or not: nobody knows
        ("11,49", "2.5", ["11,49", "2.5"]),
    ],
)
def test_a_message_writes_decimal_commas_where_nothing_else_fits(one: str, two: str, values: list[Any]) -> None:
    drafts = read(head(), COMMA[0], COMMA[1].format(one), COMMA[2].format(two))
    assert [draft.value for draft in drafts] == values
    assert drafts[0].attributes.get("value_as_sent") == (one if values[0] != one else None)


# ---- more makers


def test_a_genruis_parameters_stand_in_a_second_component() -> None:
    drafts = read(
        *(head("Genrui|KT-6610", rest="|||||CHA|UTF-8|||"), "PID|1||CASE-11||name", "OBR|1|||||20260115090000"),
        *("OBX|1|NM|^WBC^||0.01|10^9/L|4.00-10.00|L|||F", "OBX|2|NM|^Neu#^||0.02|10^9/L|2.00-7.00|L|||F||e"),
        *("OBX|3|IS|^Blood Mode^||whole blood||||||F", "OBX|4|IS|^Age^||26|years old|||||F"),
        *("OBX|5|IS|^Remarks^||remark||||||F", "OBX|6|ED|^DIFFScatter_BMP^||bitmap data||||||F"),
    )
    assert told(drafts, "test", "value", "unit", "specimen", "patient") == [
        ("WBC", "0.01", "10^9/L", "CASE-11", "CASE-11"),
        ("Neu#", "0.02", "10^9/L", "CASE-11", "CASE-11"),
    ]


def test_settings_of_a_blood_count_are_no_results_whoever_sends_them() -> None:
    drafts = read(
        *(head("AR580|Aruma"), "OBR|1||S1|X", "OBX|1|NM|^WBC^||7.1|10^9/L|||||F"),
        *("OBX|2|IS|^Test Mode^||CBC+DIFF||||||F", "OBX|3|IS|^Ref Group^||man||||||F"),
    )
    assert told(drafts, "test") == [("WBC",)]


def test_an_edan_blood_counts_fields_have_meanings_of_their_own() -> None:
    drafts = read(
        *(r"MSH|^~\&|H30_Pro^52|EDANLAB|||20260216155459||ORU^R01|1|P|2.4||||0||UTF8", "PID|9|PT-7|35^Year"),
        "OBR||24||EDANLAB^H30Pro^Sample|0|General|20260216131108||0||1||||||||0|BAR-22||||0|0",
        *(r"OBX||NM|0|WBC|9.51|10\S\3/uL|3.50-9.50|1||0||9.514^10\S\3/uL|H", "OBX||NM|1|HGB|8.8|g/dL|11.5-17.5|2|0|0"),
        r"OBX||NM|0|PLT|258|10\S\3/uL|125-350|0|0|0||258.07^10\S\3/uL",
    )
    assert told(drafts, "test", "value", "unit", "flags", "status", "quality") == [
        ("WBC", "9.51", "10^3/uL", ("H",), Status.FINAL, Quality.GOOD),
        ("HGB", "8.8", "g/dL", ("L",), Status.FINAL, Quality.GOOD),
        ("PLT", "258", "10^3/uL", (), Status.FINAL, Quality.GOOD),
    ]
    assert {(draft.specimen, draft.patient) for draft in drafts} == {("BAR-22", "PT-7")}


def test_an_edans_blank_is_no_patients_result() -> None:
    drafts = read(
        *(r"MSH|^~\&|H90^^5|EDANLAB|||20260703135352||ORU^R01|5|P|2.4||||0||UTF8", "PID|3|PAT-157|^0"),
        *("OBR||B1||EDANLAB^H90|||20260703125023||||||||^^Blank sample||", "OBX||NM|0|WBC|0.0|10^9/L||0|0|0"),
        *("OBR||S2||EDANLAB^H90|||20260703125500", "OBX||NM|0|HGB|113|g/L|110-160|0|0|0"),
    )
    assert told(drafts, "specimen", "kind") == [("B1", Kind.QC), ("S2", Kind.RESULT)]


@pytest.mark.parametrize("sender", ["|", "YHLO|VP3", "E-LAB|ES-480"])
def test_who_says_what_results_are_of_is_of_mindrays_kind(sender: str) -> None:
    drafts = read(
        *(head(sender, rest="||||0||ASCII|||"), "PID|1|1001", "OBR|1|BAR-8|10|^|Y|20260115092900"),
        *("OBX|1|NM|2|TBil|100| umol/L |-|N|||F||100|20260115093000||op1|0|", "OBX|2|NM|GLU^Glucose||5|mmol/L|||||F"),
    )
    assert told(drafts, "test", "value", "specimen", "patient") == [
        ("TBil", "100", "BAR-8", "1001"),
        ("GLU", "5", "BAR-8", "1001"),
    ]


def test_a_liats_row_without_a_unit_says_when_and_no_more() -> None:
    (draft,) = read(
        *(head("cobas Liat|Roche", "ORU^R30^ORU_R30"), "PID|||Unknown", "ORC|NW", "OBR||||Flu"),
        "OBX||NM|Influenza A||0|0|||||F|||||OP1||f8:dc|20260115092000-0400",
        "OBX||ST|Influenza A||Not Detected||||||F",
    )
    assert (draft.value, draft.device_time) == ("Not Detected", "20260115092000-0400")


@pytest.mark.parametrize(
    ("flag", "flags", "texts"),
    [
        ('""^""^HL70078', (), None),  # the name of a system says nothing
        ("^^^H^High^HL70078", ("H",), {"H": "High"}),
        ("U06T^Clot detected^99ROC", ("U06T",), {"U06T": "Clot detected"}),
        ("^Haemolysed", ("Haemolysed",), None),
    ],
)
def test_flags_are_codes_or_texts_never_systems(flag: str, flags: tuple[str, ...], texts: object) -> None:
    (draft,) = read(head(), "OBR|1||S1|X", f"OBX|1|NM|A||1|g/L||{flag}|||F")
    assert (draft.flags, draft.attributes.get("flag_texts")) == (flags, texts)


@pytest.mark.parametrize("kind", ["QC3", "QC", "Control"])
def test_a_specimen_type_may_say_that_it_is_a_control(kind: str) -> None:
    (draft,) = read(
        *(head("CentraLink", "OUL^R22^OUL_R22"), "SPM|1|2091||" + kind, "OBR|1|2091|2091|RBC"),
        "OBX|1|NM|RBC||4.88||||||F",
    )
    assert draft.kind is Kind.QC


def test_nobody_is_no_operator() -> None:
    (draft,) = read(head(), "OBR|1||S1|X", "OBX|1|NM|A||1|g/L|||||F|||||^<None>")
    assert draft.operator is None
