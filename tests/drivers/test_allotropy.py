"""Exports through allotropy: published files of real software, beside what the declared tables read of them."""

from __future__ import annotations

import io
import sys
import zipfile
from collections import Counter
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

import drivers
from drivers.allotropy.dates import Dates
from drivers.allotropy.documents import drafts
from drivers.allotropy.options import AllotropyOptions
from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError, Reason
from drivers.kit.observation import Draft, Kind, Quality

pytest.importorskip("allotropy")

DRIVER, TABLE = drivers.load("allotropy"), drivers.load("table")
SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
ASM = SAMPLES / "Benchling-Open-Source+allotropy" / "tests" / "parsers"
published = pytest.mark.skipif(not ASM.is_dir(), reason="the recordings are not here")
NO_DATES = Dates((), None)

# folder, vendor, variant of `table`, what may differ: what allotropy reads beside, and what it leaves out
MAKERS = (
    ("appbio_quantstudio", "APPBIO_QUANTSTUDIO", "quantstudio"),
    ("cfxmaestro", "CFXMAESTRO", "cfx-maestro"),
    ("qiacuity_dpcr", "QIACUITY_DPCR", "qiacuity"),
    ("appbio_absolute_q", "APPBIO_ABSOLUTE_Q", "absolute-q"),
    ("novabio_flex2", "NOVABIO_FLEX2", "flex2"),
    ("thermo_fisher_nanodrop_one", "THERMO_FISHER_NANODROP_ONE", "nanodrop-one"),
    ("thermo_fisher_qubit4", "THERMO_FISHER_QUBIT4", "qubit-4"),
)
LEFT_OUT = {
    "appbio_quantstudio_example01.txt": 2,  # allotropy drops wells that the plate's setup does not name
    "Appbio_AbsoluteQ_multichannel.csv": 5,  # and partitions of no dye
    "Appbio_AbsoluteQ_fluorescence_columns.csv": None,  # raw fluorescence: no table of results
}


def files() -> list[tuple[Path, str, str]]:
    if not ASM.is_dir():
        return []
    found = []
    for folder, vendor, variant in MAKERS:
        for path in sorted((ASM / folder / "testdata").iterdir()):
            own = f"{variant}-workbook" if path.suffix == ".xlsx" else variant
            found.append((path, vendor, own))
    return found


def asm(path: Path, vendor: str, **given: Any) -> list[Draft]:
    options = DRIVER.options.model_validate({"vendor": vendor, **given})
    return list(DRIVER.decode(Message(path.read_bytes(), path.name), options))


def table(path: Path, variant: str) -> list[Draft]:
    options = TABLE.options.model_validate(TABLE.preset(variant).options)
    return list(TABLE.decode(Message(path.read_bytes(), path.name), options))


def number(value: object) -> float | None:
    try:
        return float(str(value).replace(",", "").rstrip("%"))
    except ValueError:
        return None


def facts(found: list[Draft], wells: bool) -> Counter[tuple[Any, ...]]:
    """What must agree: of PCR the kind, quantity and number of every well, else the number of every sample."""
    if not wells:
        return Counter((draft.specimen, number(draft.value)) for draft in found)
    return Counter(
        (draft.attributes.get("well"), draft.specimen, draft.kind, draft.quantity, number(draft.value))
        for draft in found
        if draft.quantity in ("cq", "quantity", "concentration")
    )


@published
@pytest.mark.parametrize(("path", "vendor", "variant"), files(), ids=lambda one: getattr(one, "name", ""))
def test_two_readers_of_one_file_agree(path: Path, vendor: str, variant: str) -> None:
    allowed = LEFT_OUT.get(path.name, 0)
    if allowed is None:
        with pytest.raises(DecodeError):
            table(path, variant)
        assert all(draft.value is None and draft.quality is Quality.UNCERTAIN for draft in asm(path, vendor))
        return
    pcr = not vendor.startswith(("NOVA", "THERMO"))
    ours, theirs = facts(table(path, variant), pcr), facts(asm(path, vendor), pcr)
    if path.name == "Appbio_AbsoluteQ_multichannel.csv":  # allotropy takes the well out of the sample's name
        ours, theirs = (Counter({key[1:]: n for key, n in one.items()}) for one in (ours, theirs))
        assert set(theirs) <= set(ours)
        return
    assert sum((ours - theirs).values()) == allowed
    if pcr:
        assert not theirs - ours


@published
def test_what_allotropy_puts_in_for_nothing_is_left_out_again() -> None:
    found = asm(ASM / "cfxmaestro" / "testdata" / "example01.csv", "CFXMAESTRO")
    assert {draft.device_time for draft in found} == {None}  # it says 1970
    assert {draft.run for draft in found} == {None}  # and N/A
    assert {draft.test for draft in found} == {"FAM", "VIC"}
    assert not any("N/A" in str(value) for draft in found for value in draft.attributes.values())


@published
def test_absorbance_has_no_unit_since_the_file_says_none() -> None:
    found = asm(ASM / "thermo_fisher_nanodrop_one" / "testdata" / "example1.xlsx", "THERMO_FISHER_NANODROP_ONE")
    first = next(draft for draft in found if draft.test == "absorbance 260 nm")
    assert (first.value, first.unit, first.attributes["asm_unit"]) == (14.309, None, "mAU")
    assert next(draft for draft in found if draft.test == "mass concentration").unit == "ng/µL"
    assert Counter(draft.test for draft in found)["mass concentration"] == 6


@published
def test_a_date_that_may_be_two_days_is_none_until_its_order_is_declared() -> None:
    path = ASM / "appbio_quantstudio" / "testdata" / "appbio_quantstudio_example10.xlsx"
    for order, time in ((None, None), ("mdy", "2024-03-10T10:45:00-05:00"), ("dmy", "2024-10-03T10:45:00-05:00")):
        found = asm(path, "APPBIO_QUANTSTUDIO", date_order=order)
        assert {draft.device_time for draft in found} == {time}
        assert {draft.quality for draft in found} == {Quality.UNCERTAIN if order is None else Quality.GOOD}


@published
def test_times_without_a_zone_stay_without_one_and_dates_are_no_midnights() -> None:
    nova = asm(ASM / "novabio_flex2" / "testdata" / "SampleResults2022-06-28_142558.csv", "NOVABIO_FLEX2")
    assert {draft.device_time for draft in nova} == {"2022-06-24T14:34:52"}
    wells = asm(ASM / "appbio_absolute_q" / "testdata" / "Appbio_AbsoluteQ_example01.csv", "APPBIO_ABSOLUTE_Q")
    assert {draft.device_time for draft in wells} == {"2023-05-19"}


@published
def test_a_file_reads_the_same_twice() -> None:
    path = ASM / "appbio_quantstudio" / "testdata" / "appbio_quantstudio_minimal_test07.txt"
    assert asm(path, "APPBIO_QUANTSTUDIO") == asm(path, "APPBIO_QUANTSTUDIO")


@published
@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("x.pdf", {"vendor": "CFXMAESTRO"}, "extension"),
        ("x.csv", {"vendor": "QIACUITY_DPCR"}, "Error"),
        ("x.csv", {"vendor": "NOBODY"}, "knows no vendor"),
    ],
)
def test_what_allotropy_cannot_read_is_refused(name: str, given: dict[str, str], said: str) -> None:
    data = (ASM / "cfxmaestro" / "testdata" / "example01.csv").read_bytes()
    with pytest.raises(DecodeError, match=said):
        list(DRIVER.decode(Message(data, name), DRIVER.options.model_validate(given)))


def test_a_bomb_is_refused_before_allotropy_sees_it() -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", bytes(50 << 20))
    options = DRIVER.options.model_validate({"vendor": "APPBIO_QUANTSTUDIO"})
    with pytest.raises(DecodeError) as refused:
        list(DRIVER.decode(Message(written.getvalue(), "x.xlsx"), options))
    assert refused.value.reason is Reason.TOO_LONG


def test_nothing_heavy_is_imported_before_a_file_comes() -> None:
    code = (
        "import sys, drivers; drivers.load('allotropy'); drivers.load('table');"
        "print([m for m in ('allotropy', 'pandas', 'openpyxl') if m in sys.modules])"
    )
    assert run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def document(role: str | None, sample: str, value: float = 20.5) -> dict[str, Any]:
    told = {"sample identifier": sample, "well location identifier": "A1"}
    if role:
        told["sample role type"] = role
    body = {
        "measurement identifier": sample,
        "measurement time": "2026-01-15T09:30:00+23:47",
        "target DNA description": "N1",
        "sample document": told,
        "processed data aggregate document": {
            "processed data document": [{"cycle threshold result (qPCR)": {"value": value, "unit": "(unitless)"}}]
        },
    }
    return {"measurement aggregate document": {"measurement document": [body]}}


def read(*documents: dict[str, Any], vendor: str = "QIACUITY_DPCR") -> dict[str | None, Draft]:
    options = AllotropyOptions(vendor=vendor)
    found = drafts({"qpcr aggregate document": {"qpcr document": list(documents)}}, options, "f", NO_DATES)
    return {draft.specimen: draft for draft in found}


def test_roles_decide_what_a_patients_result_is() -> None:
    found = read(
        document("unknown sample role", "S1"),
        document("standard sample role", "S2"),
        document("Blank Role", "S3"),
        document("something new", "S4"),
        document(None, "S5"),
        document("unknown sample role", "NTC-1"),
    )
    assert {name: draft.kind for name, draft in found.items()} == {
        "S1": Kind.RESULT,
        "S2": Kind.QC,
        "S3": Kind.QC,
        "S4": Kind.QC,
        "S5": Kind.QC,
        "NTC-1": Kind.QC,
    }
    assert found["S5"].quality is Quality.UNCERTAIN
    assert read(document(None, "S1"))["S1"].kind is Kind.RESULT


def test_a_negative_zero_is_no_number() -> None:
    found = read(document("unknown sample role", "S1", -0.0))["S1"]
    assert (found.value, found.quality, found.quantity) == (None, Quality.UNCERTAIN, "cq")
    assert read(document("unknown sample role", "S1", 0.0))["S1"].value == 0.0
