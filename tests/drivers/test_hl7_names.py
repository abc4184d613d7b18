"""What HL7 tests are called, and which of several observations a name in `tests` means."""

from __future__ import annotations

import json
from typing import Any

import pytest

import drivers
from drivers.hl7.driver import decode
from drivers.hl7.options import Hl7Options
from drivers.kit.declare import Identity, Message
from drivers.kit.observation import Draft, Kind
from gateway.decode import Reading, read
from gateway.device_settings import DeviceSettings
from gateway.journal.schema import LAST
from gateway.journal.transaction import RawMessage
from gateway.normalise import Normaliser

DRIVER = drivers.load("hl7")
OUL = r"MSH|^~\&|{sender}||LIS||20260115093000||OUL^R22^OUL_R22|1|P|2.5.1"


def drafts(*segments: str, sender: str = "ANALYSER", **options: Any) -> list[Draft]:
    data = "".join(f"{segment}\r" for segment in (OUL.format(sender=sender), *segments)).encode()
    return list(decode(Message(data), Hl7Options.model_validate(options)))


def quantities(*segments: str, sender: str = "ANALYSER", tests: dict[str, Any]) -> list[tuple[str, object]]:
    """Quantity and value of each observation, as a device's table `tests` names them."""
    data = "".join(f"{segment}\r" for segment in (OUL.format(sender=sender), *segments)).encode()
    settings = DeviceSettings.model_validate({"tests": tests})
    reading = Reading(DRIVER, Hl7Options(), Normaliser("a", settings, (), Identity.CONTENT))
    rows = read(RawMessage(1, "a", "", 1_768_469_400_000_000_000, data, LAST, False, False), reading)
    assert isinstance(rows, list)
    told = [json.loads(row.body) for row in rows]
    return [(each["quantity"], each["value"]) for each in told]


SPECIMEN = ("SPM|1|S1||PLAS|||||||P", "OBR|1|||HIV^HIV^99X")
IN_TESTS = {"HIV": {"quantity": "hiv-vl", "unit": "{copies}/mL"}}


def test_a_text_two_tests_share_means_the_first_of_them() -> None:
    rows = quantities(
        *SPECIMEN,
        "OBX|1|ST|1006^HIV^99ABT||1234|Copies/mL|||||F",
        "OBX|2|ST|1006.I^HIV^99ABT||Detected||||||F",
        tests=IN_TESTS,
    )
    assert rows == [("hiv-vl", 1234), ("1006-i", "Detected")]


def test_a_text_that_is_another_tests_code_means_that_one() -> None:
    rows = quantities(
        *SPECIMEN,
        "OBX|1|ST|70241-5^HIV^LN|1/1|Reactive||||||F",
        "OBX|2|NM|HIV^HIV^99ROC||763|{copies}/mL|||||F",
        tests=IN_TESTS,
    )
    assert rows == [("hiv", "Reactive"), ("hiv-vl", 763)]


@pytest.mark.parametrize(
    ("unit", "sub", "aspect"), [("Log10", "2/2", "log"), ("RLU", "", "rlu"), ("Ct", "CT", "ct"), ("cycles", "", "ct")]
)
def test_another_aspect_of_a_test_is_not_its_result(unit: str, sub: str, aspect: str) -> None:
    """Whichever comes first: the number the test is asked for is the one without such a unit."""
    aside, main = f"OBX|2|NM|HIV^HIV^L|{sub}|3.1|{unit}|||||F", "OBX|1|NM|HIV^HIV^L|1/2|1250|{copies}/mL|||||F"
    assert quantities(*SPECIMEN, main, aside, tests=IN_TESTS) == [("hiv-vl", 1250), (f"hiv-{aspect}", 3.1)]
    assert quantities(*SPECIMEN, aside, main, tests=IN_TESTS) == [(f"hiv-{aspect}", 3.1), ("hiv-vl", 1250)]


def test_a_result_that_is_a_logarithm_alone_is_the_tests_result() -> None:
    (draft,) = drafts(*SPECIMEN, "OBX|1|NM|HIV^HIV^L||3.1|Log10|||||F")
    assert draft.test == "HIV"


def test_light_units_and_cut_off_of_siemens_stay_with_the_dose() -> None:
    rows = quantities(
        *("SPM|1|S1||SER|||||||P", "OBR|1|||FT3^FT3^99S"),
        "OBX|1|NM|FT3.COFF^FT3^99S|1|1.00|pg/mL|||||F",
        "OBX|2|NM|FT3.RLU^FT3^99S|1|149870|pg/mL|||||F",
        "OBX|3|NM|FT3.DOSE^FT3^99S|1|3.50|pg/mL|||||F",
        tests={"FT3": {"quantity": "ft3"}},
    )
    assert rows == [("ft3", 3.5)]


def test_a_sub_id_names_the_test_where_its_code_is_a_number() -> None:
    (draft,) = drafts("OBR|1||S1|X", "OBX|1|NM|1|ESR|8|mm/h|||||F")
    assert draft.codes == ("ESR",)
    (draft,) = drafts("OBR|1||S1|X", "OBX|1|NM|GLU|A|8|mmol/L|||||F")
    assert draft.codes == ()


def test_a_sub_id_that_counts_names_no_test() -> None:
    (draft,) = drafts("OBR|1|T1|S1|X", "OBX|1|NM|GLU|1|8|mmol/L|||||F", test=("OBX-4", "OBX-3.1"))
    assert draft.test == "GLU"


def test_japanese_codes_are_called_by_their_names() -> None:
    (draft,) = drafts("OBR|1||S1|X", "OBX|1|NM|3B035000002327201^GOT(AST)^JC10^10207^GOT^99L||14|U/L|||||F")
    assert (draft.test, draft.quantity) == ("3B035000002327201", "got-ast")


def test_a_text_under_the_code_of_a_number_is_a_remark_on_it() -> None:
    number = "OBX|1|NM|2345-7^GLUCOSE^LN|1|95|mg/dL|70-110|N|||F"
    (draft,) = drafts("OBR|1||S1|X", number, "OBX|2|TX|2345-7^COMMENT^LN|2|Slightly elevated last visit||||||F")
    assert (draft.value, draft.kind) == ("95", Kind.RESULT)
    supplements: Any = draft.attributes["supplements"]
    assert [each["value"] for each in supplements] == ["Slightly elevated last visit"]
    told = drafts("OBR|1||S1|X", number, "OBX|2|TX|718-7^Smear^LN||anisocytosis||||||F")
    assert [each.value for each in told] == ["95", "anisocytosis"]  # under a code of its own it is a result
