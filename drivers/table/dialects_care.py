"""Point-of-care, serology, culture and cell analysis: whose export has which columns."""

from __future__ import annotations

from typing import Any, Final

from drivers.kit.declare import Evidence, Variant

CDX: Final = "github.com/instedd/cdx spec/fixtures"
TESTDATA: Final = "github.com/Benchling-Open-Source/allotropy tests/parsers"


def _epicenter(names: list[Any]) -> dict[str, Any]:
    """The sixteen columns of EpiCenter's result list; names where it has a header, numbers where not."""
    name, patient, sex, age, hiv, ethnicity, race, accession, collected, _, material = names[:11]
    test, status, organism, drug, sir = names[11:]
    return {
        "encoding": ["utf-8-sig", "cp1252"],
        "specimen": accession,
        "patient": patient,
        "attributes": {"collected": collected, "organism": organism, "status": status, "material": material},
        "ignore": [name, sex, age, hiv, ethnicity, race],
        "key": [accession, collected, test, drug, organism],
        "calls": {
            "S": "susceptible", "R": "resistant", "I": "intermediate",
            "Positivo": "positive", "Positiva": "positive", "BAAR NEGATIVO": "negative", "Negativo": "negative",
            "Negativa": "negative", "No válido": "invalid", "BAAR POSITIVO": "positive",
            **{f"BAAR POSITIVO ({'+' * count})": "positive" for count in (1, 2, 3)},
        },
        "results": [
            {"call": sir, "test": f"{{{test}}} {{{drug}}}", "when": {"column": drug, "filled": True},
             "words": ["susceptible", "resistant"]},
            {"call": status, "test": f"{{{test}}}", "when": {"column": drug, "filled": False},
             "words": ["positive", "negative"]},
            {"value": organism, "test": f"{{{test}}} organism", "when": {"column": drug, "filled": False},
             "empty": ["Sin especificar", "Unspecified"], "simulated": False},
        ],
        "panel": ["BACTEC MGIT"],
    }  # fmt: skip


_SPANISH = [
    *("Nombre del paciente", "ID del paciente", "Sexo del paciente", "Edad del paciente", "HIV", "Ethnicity", "Race"),
    *("N de Acceso", "Fecha y hora de recogida de la muesta", "Grupo de tipo de muestra", "Tipo de muestra"),
    *("Nombre del test", "Estatus del test", "Nombre del Organsimo del test", "Nombre del antibiotico del test"),
    "Resultado SIR del antibiotico del test",
]
_FINECARE_IGNORED = [26, 27, 28, 29, 30, 31, 34, 36]  # name, age, sex, bed, department, patient type, diagnosis, doctor

_FINECARE: Final[dict[str, Any]] = {
    "encoding": ["utf-8-sig", "gb18030"],
    "header": False,
    "skip": 2,
    "width": 40,
    "specimen": 2,
    "test": 4,
    "time": 22,
    "lot": 24,
    "operator": 32,
    "key": [1],
    "qc_names": ["QC", "CTRL"],
    "results": [{"value": 5, "unit_column": 6, "low": 0.1, "high": 50.0}],
    "attributes": {
        "serial": 1,
        "material": 3,
        "reference_range": 7,
        "test_line": 8,
        "control_line": 9,
        "ratio": 12,
        "software": 23,
        "remark": 35,
        "critical": 37,
        "admission": 33,
    },
    "ignore": _FINECARE_IGNORED,
    "keep_rest": False,
    "panel": ["TSH"],
}

_FLEX2 = (
    *("Gln", "Glu", "Gluc", "Lac", "NH4+", "Na+", "K+", "Ca++", "pH", "PO2", "PCO2", "Osm", "Total Density"),
    *("Viable Density", "Viability", "Avg. Live Diameter", "Total Live Count", "Total Cell Count", "O2 Saturation"),
    *("CO2 Saturation", "HCO3"),
)
_FLEX2_UNITS = {
    "mmol / L": "mmol/L",
    "g / L": "g/L",
    "mOsm / kg": "mosm/kg",
    "x10^6 Cells / mL": "10*6.{cells}/mL",
}

CARE: Final = (
    Variant(
        name="pima",
        models=("Alere Pima CD4", "Abbott Pima"),
        options={
            "header": [["Sample"], ["CD3+CD4+ Value [cells/mm3]"], ["ErrorMessage"]],
            "specimen": "Sample",
            "operator": "Operator",
            "date": "Result Date",
            "time": "Start Time",
            "run": "Test ID",
            "error": "ErrorMessage",
            "attributes": {"serial": "Device ID", "assay": "Assay Name"},
            "results": [
                {
                    "value": "CD3+CD4+ Value [cells/mm3]",
                    "test": "CD3+CD4+",
                    "quantity": "cd4",
                    "unit": "{cells}/mm3",
                    "low": 0.0,
                    "high": 2000.0,
                    "step": 1.0,
                }
            ],
            "qc_names": ["Pima Bead", "Bead"],
        },
        evidence=Evidence.RECORDING,
        recordings=(f"{CDX}/csvs/alere_pima.csv",),
        note="a row with an error message is an invalid test",
    ),
    Variant(
        name="alere-q",
        models=("Alere q HIV-1/2 Detect", "Abbott m-PIMA"),
        options={
            "separator": ";",
            "header": [["Sample ID"], ["Error Code"], ["Timestamp"]],
            "specimen": "Sample ID",
            "operator": "Operator",
            "time": "Timestamp",
            "run": "Result No",
            "lot": [],
            "error": "Error Code",
            "empty": ["---", "----"],
            "attributes": {"serial": "Device Serial", "assay": "Test Name", "cartridge": "Cartridge ID"},
            "results": [
                {"call": name, "test": name, "quantity": quantity, "words": ["detected", "not-detected"]}
                for name, quantity in (("HIV-1 M/N", "hiv-1-mn"), ("HIV-1 O", "hiv-1-o"), ("HIV-2", "hiv-2"))
            ],
        },
        evidence=Evidence.RECORDING,
        recordings=(f"{CDX}/csvs/alere_q.csv",),
        note="an error code other than 0 makes the three results of the cartridge invalid",
    ),
    Variant(
        name="epicenter",
        models=("BD EpiCenter", "BACTEC MGIT"),
        options={**_epicenter(_SPANISH), "header": [[_SPANISH[7]], [_SPANISH[11]], [_SPANISH[12]]]},
        evidence=Evidence.RECORDING,
        recordings=(f"{CDX}/csvs/epicenter_sample.csv",),
        note="Spanish column names; the time in the file is the specimen's collection, an attribute",
    ),
    Variant(
        name="epicenter-headless",
        models=("BD EpiCenter", "BACTEC MGIT"),
        options={**_epicenter(list(range(1, 17))), "header": False, "width": 16},
        evidence=Evidence.RECORDING,
        recordings=(f"{CDX}/csvs/epicenter_headless_sample.csv",),
    ),
    Variant(
        name="deki-reader",
        models=("Fio Deki Reader",),
        options={
            "format": "xml",
            "rows": "DiagnosticTest/Test/Assay",
            "specimen": "../../SampleId",
            "patient": "../../Patient/Id",
            "time": "../../TestDate",
            "run": "../../@id",
            "test": "@displayValue",
            "checks": [{"column": "../Control@qualitative", "words": ["Valid"], "otherwise": "invalid"}],
            "attributes": {
                "kit": "../Code@displayValue",
                "kit_code": "../Code@value",
                "control_line": "../Control@value",
                "test_line": "Result@value",
                "facility": "../../Facility",
            },
            "results": [{"call": "Result@qualitative", "words": ["positive", "negative"]}],
            "panel": ["P.f", "P.v"],
        },
        evidence=Evidence.RECORDING,
        recordings=(f"{CDX}/xmls/deki_reader_sample.xml",),
        note="a rapid test's reader; without a valid control line nothing counts",
    ),
    Variant(
        name="genexpert-event",
        models=("Cepheid GeneXpert Dx (event documents)",),
        options={
            "format": "json",
            "rows": "$.event",
            "specimen": "sample_ID",
            "operator": "system_user",
            "time": "end_time",
            "run": "event_id",
            "kind": "test_type",
            "samples": ["0"],
            "qc": ["1"],
            "test": "assay_name",
            "attributes": {"serial": "device_serial_number", "started": "start_time", "assay": "assay_name"},
            "results": [
                {
                    "call": "result",
                    "split": "|",
                    "pattern": r"(?i)^(?P<test>MTB|RIF(?:\s+Resistance)?|[A-Z0-9-]+(?:\s+[A-Z0-9-]+)??)\s+"
                    r"(?P<call>(?:(?:NOT|TRACE)\s+)?DETECTED.*|TRACE.*|INDETERMINATE|POSITIVE|NEGATIVE)$",
                    "words": ["detected", "not-detected"],
                },
            ],
            "panel": ["MTB", "RIF Resistance"],
        },
        evidence=Evidence.RECORDING,
        recordings=(f"{CDX}/jsons/genexpert_sample.json",),
        note="one event a document; its result is several calls with bars between",
    ),
    Variant(
        name="micro-imager",
        models=("CellScope microscope imager for TB",),
        options={
            "format": "json",
            "rows": "$",
            "specimen": "idString",
            "time": "endTime",
            "run": "id",
            "lot_expiry": "cartExpiry",
            "no_error": ["0"],
            "checks": [{"column": "InstrumentQCStatus", "words": ["TRUE"], "otherwise": "invalid"}],
            "attributes": {"cartridge": "CartridgeSerialNumber", "started": "startTime", "count_1": "TbCount1"},
            "results": [
                {"call": "TbFinalResultStr", "test": "TB", "quantity": "mtb", "words": ["positive", "negative"]}
            ],
        },
        evidence=Evidence.RECORDING,
        recordings=(f"{CDX}/jsons/micro_imager_sample.json",),
        note="`errors` is kept as an attribute: nothing public says what its number means",
    ),
    Variant(
        name="finecare",
        models=("Wondfo Finecare FIA Meter III Plus (FS-205)", "FIA Meter Plus (FS-113)"),
        options=_FINECARE,
        note="history.csv on a USB stick: a line about the device, 40 names in the instrument's language, 40 columns",
    ),
    Variant(
        name="finecare-semicolon",
        models=("Wondfo Finecare FIA Meter III Plus (FS-205)",),
        options={**_FINECARE, "separator": ";"},
        note="the same file with semicolons",
    ),
    Variant(
        name="genoscan",
        models=("Hain Lifescience GenoScan",),
        options={
            "encoding": ["utf-8-sig", "cp1252"],
            "separator": ";",
            "header": [["TypeOfTest"], ["SampleNo."], ["DateOfAnalysis"], ["Result"]],
            "specimen": ["PID", "SampleNo."],
            "test": "TypeOfTest",
            "time": "DateOfAnalysis",
            "operator": "WindowsUser",
            "kind": "Strip-Type",
            "samples": ["Patient"],
            "qc": ["Control"],
            "empty": ["n.a."],
            "attributes": {"bands": "Bands", "control": "Control", "revision": "Revision", "strip": "SampleNo."},
            "ignore": ["LastName", "Firstname", "Birthday", "Sex", "Company", "rShort"],
            "keep_rest": False,
            "key": ["No", "SampleNo."],
            "calls": {"No MTBC DNA detected.": "not-detected", "No MTBC DNA detected": "not-detected"},
            "results": [
                {
                    "call": "Result",
                    "split": "/",
                    "pattern": r"(?i)^(?P<test>[A-Z]{2,4})(?: DNA)?\s+"
                    r"(?P<call>detected|resistant|sensitive|susceptible)\.?$",
                    "words": ["resistant", "susceptible"],
                }
            ],
            "panel": ["RMP", "INH"],
        },
        device={"time_format": "dmy", "decimal": ","},
        evidence=Evidence.RECORDING,
        recordings=(f"{CDX}/csvs/genoscan_sample.csv",),
        note="a call a drug; what the strip says of genes stays a text",
    ),
    Variant(
        name="flex2",
        models=("Nova BioProfile FLEX2",),
        options={
            "encoding": ["utf-8-sig", "cp1252"],
            "header": [["Date & Time"], ["Sample ID"]],
            "units_row": True,
            "specimen": "Sample ID",
            "time": "Date & Time",
            "operator": "Operator",
            "lot": [],
            "attributes": {"vessel": "Vessel ID", "batch": "Batch ID", "cell_type": "Cell Type"},
            "results": [{"value": name, "low": 0.1, "high": 100.0} for name in _FLEX2],
        },
        device={"time_format": "mdy", "units": _FLEX2_UNITS},
        evidence=Evidence.RECORDING,
        recordings=(f"{TESTDATA}/novabio_flex2",),
        note="units as its row of units says; files without one leave numbers without units: declare from_unit",
    ),
    Variant(
        name="vi-cell-blu",
        models=("Beckman Coulter Vi-CELL BLU",),
        options={
            "header": [["Sample ID"], ["Viability (%)"], ["Analysis date/time"]],
            "specimen": "Sample ID",
            "time": "Analysis date/time",
            "operator": "Analysis by",
            "results": [
                {"value": "Total (x10^6) cells/mL", "quantity": "cells", "unit": "10*6.{cells}/mL", "simulated": False},
                {
                    "value": "Viable (x10^6) cells/mL",
                    "quantity": "viable-cells",
                    "unit": "10*6.{cells}/mL",
                    "simulated": False,
                },
                {"value": "Viability (%)", "quantity": "viability", "unit": "%", "high": 100.0},
                {"value": "Average diameter (μm)", "quantity": "cell-diameter", "unit": "um", "high": 60.0},
            ],
        },
        device={"time_format": "mdy"},
        evidence=Evidence.RECORDING,
        recordings=(f"{TESTDATA}/beckman_vi_cell_blu",),
    ),
)
