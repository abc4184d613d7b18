"""PCR and nucleic-acid software: whose export has which columns."""

from __future__ import annotations

from typing import Any, Final

from drivers.kit.declare import Evidence, Variant

TESTDATA: Final = "github.com/Benchling-Open-Source/allotropy tests/parsers"
CQ: Final = {"quantity": "cq", "low": 12.0, "high": 40.0, "step": 0.001}
CONTROLS: Final = ("NTC", "NAC", "NEC", "NRT")  # no template, no amplification, no extraction, no reverse transcriptase

_QUANTSTUDIO: Final[dict[str, Any]] = {
    "header": [["Well"], ["Sample Name"], ["Target Name", "SNP Assay Name"]],
    "preamble": "equals",
    "ends_blank": True,
    "short_rows": True,
    "test": ["Target Name", "SNP Assay Name"],
    "specimen": "Sample Name",
    "well": ["Well Position", "Well"],
    "run": ["meta:Experiment Name", "meta:Experiment File Name"],
    "operator": ["meta:Experiment User Name", "meta:User Name"],
    "time": ["meta:Experiment Run End Time", "meta:Experiment Run Stop Time"],
    "zones": {"UTC": "+00:00", "GMT": "+00:00", "EST": "-05:00", "EDT": "-04:00", "PST": "-08:00", "PDT": "-07:00",
              "PKT": "+05:00"},
    "kind": "Task",
    "samples": ["UNKNOWN"],
    "qc": ["NTC", "STANDARD", "IPC", "BlockedIPC", "PC", "Positive Control"],
    "qc_names": list(CONTROLS),
    "checks": [{"column": "Omit", "words": ["false"], "otherwise": "uncertain"}],
    "calls": {"Presence": "detected", "Absence": "not-detected"},
    "empty": ["NA", "N/A"],
    "ignore_rows": [
        {"column": ["Target Name", "SNP Assay Name"], "filled": False},  # a well without a reaction
    ],
    "ignore": ["Sample Color", "Target Color", "Biogroup Color", "SNP Assay Color"],
    "attributes": {
        "instrument": "meta:Instrument Type",
        "serial": "meta:Instrument Serial Number",
        "experiment_type": "meta:Experiment Type",
    },
    "results": [
        {"value": ["CT", "Ct", "Cq", "Crt", "Cт"], "call": "Call", **CQ},
        {"value": ["Allele1 Ct"], "test": "{test} Allele 1", "call": "Call", **CQ},
        {"value": ["Allele2 Ct"], "test": "{test} Allele 2", "call": "Call", **CQ},
        {"value": "Quantity", "test": "{test} quantity", "quantity": "quantity", "low": 1.0, "high": 99999.0},
    ],
}  # fmt: skip

_QUANTSTUDIO_NOTE = (
    "Undetermined is a text, no number; zones other than those of `zones` leave the time unread: declare them"
)

_NANODROP: Final[dict[str, Any]] = {
    "encoding": ["utf-8-sig", "cp1252"],
    "header": [["Date"], ["Sample Name"]],
    "specimen": "Sample Name",
    "time": "Date",
    "results": [
        {
            "value": "Nucleic Acid(ng/uL)",
            "test": "Nucleic Acid",
            "quantity": "nucleic-acid",
            "unit": "ng/uL",
            "low": 0.0,
            "high": 3000.0,
        },
        {"value": "A260/A280", "quantity": "a260-a280", "low": 1.0, "high": 2.2},
        {"value": "A260/A230", "quantity": "a260-a230", "low": 1.0, "high": 2.4},
        {"value": "A260", "quantity": "absorbance-260", "low": 0.0, "high": 30.0},
        {"value": "A280", "quantity": "absorbance-280", "low": 0.0, "high": 30.0},
    ],
}

PCR: Final = (
    Variant(
        name="quantstudio",
        models=("Applied Biosystems QuantStudio 5, 6, 7 and 12K Flex", "ViiA 7"),
        options={**_QUANTSTUDIO, "separator": "\t", "section": "[Results]"},
        device={"thousands": ","},
        evidence=Evidence.RECORDING,
        recordings=(f"{TESTDATA}/appbio_quantstudio",),
        note=_QUANTSTUDIO_NOTE,
    ),
    Variant(
        name="quantstudio-workbook",
        models=("Applied Biosystems QuantStudio 5, 6, 7 and 12K Flex",),
        options={**_QUANTSTUDIO, "format": "xlsx", "sheet": "Results", "preamble": "cells"},
        device={"thousands": ","},
        evidence=Evidence.RECORDING,
        recordings=(f"{TESTDATA}/appbio_quantstudio (xlsx)",),
        note=f"{_QUANTSTUDIO_NOTE}; .xls of older software is read by the driver allotropy",
    ),
    Variant(
        name="cfx-maestro",
        models=("Bio-Rad CFX96, CFX384, CFX Opus", "CFX Manager 3"),
        options={
            "preamble": "cells",
            "header": [["Well"], ["Content"], ["Cq"]],
            "test": ["Target", "Fluor"],
            "specimen": "Sample",
            "well": "Well",
            "kind": "Content",
            "samples": ["Unkn", "Unknown"],
            "qc": ["NTC", "NRT", "Std", "Pos Ctrl", "Neg Ctrl", "Positive Control", "Negative Control"],
            "qc_names": list(CONTROLS),
            "time": ["meta:Run Ended", "meta:Run Started"],
            "run": ["meta:File Name"],
            "operator": ["meta:Created By User"],
            "results": [
                {"value": "Cq", **CQ},
                {
                    "value": ["Starting Quantity (SQ)", "Starting Quantity"],
                    "test": "{test} quantity",
                    "quantity": "quantity",
                    "empty": ["NaN", "N/A"],
                    "low": 1.0,
                    "high": 99999.0,
                },
            ],
            "panel": ["N gene"],
        },
        evidence=Evidence.RECORDING,
        recordings=(f"{TESTDATA}/cfxmaestro",),
        note="Quantification Cq Results; a Cq of NaN is a text; the table itself has no time",
    ),
    Variant(
        name="qiacuity",
        models=("QIAGEN QIAcuity One, Four, Eight",),
        options={
            "encoding": ["utf-8-sig", "cp1252"],
            "header": [["Sample/NTC/Control"], ["Reaction Mix"], ["Target", "Target (Name)"]],
            "test": ["Target", "Target (Name)"],
            "specimen": "Sample/NTC/Control",
            "well": ["Well", 1],
            "run": "Plate ID",
            "fill_down": ["Plate ID", "Plate name", "Plate type"],
            "kind": "Type",
            "samples": ["Sample"],
            "qc": ["Control", "Non Template Control", "NTC"],
            "qc_names": ["NTC"],
            "empty": ["-"],
            "results": [
                {
                    "value": [
                        "Concentration (copies/µL)",
                        "Conc. [copies/µL]",
                        "Conc. [cp/µL] (dPCR reaction)",
                    ],
                    "quantity": "concentration",
                    "unit": "{copies}/uL",
                    "low": 0.0,
                    "high": 9999.0,
                }
            ],
            "panel": ["eGFP"],
        },
        evidence=Evidence.RECORDING,
        recordings=(f"{TESTDATA}/qiacuity_dpcr",),
        note="the concentration in the reaction; that of the undiluted sample is an attribute; no time in the file",
    ),
    Variant(
        name="absolute-q",
        models=("QuantStudio Absolute Q",),
        options={
            "header": [
                ["Run", "Run name"],
                ["Name", "Sample"],
                ["Target", "Channels"],
                ["Conc. cp/uL", "Conc.", "Copies per microliter"],
            ],
            "test": ["Target", "Channels"],
            "specimen": ["Name", "Sample"],
            "well": "Well",
            "run": ["Run", "Run name"],
            "time": "Date",
            "ignore_rows": [
                {"column": "Well", "equals": ["Average", "Pooled", ""]},  # of a group of wells
            ],
            "checks": [{"column": "QC", "words": ["PASS"], "otherwise": "uncertain"}],
            "qc_names": list(CONTROLS),
            "results": [
                {
                    "value": ["Conc. cp/uL", "Conc.", "Copies per microliter"],
                    "quantity": "concentration",
                    "unit": "{copies}/uL",
                    "low": 0.0,
                    "high": 9999.0,
                },
                *(
                    {
                        "value": f"Conc.#{number}",
                        "test": f"{{Target#{number}}}",
                        "quantity": "concentration",
                        "unit": "{copies}/uL",
                        "simulated": False,
                    }
                    for number in range(2, 6)
                ),
            ],
            "panel": ["RPP30"],
        },
        device={"time_format": "mdy"},
        evidence=Evidence.RECORDING,
        recordings=(f"{TESTDATA}/appbio_absolute_q",),
        note="wells, summary and multichannel exports; raw fluorescence goes to quarantine: it holds no results",
    ),
    Variant(
        name="lightcycler-96",
        models=("Roche LightCycler 96",),
        options={
            "separator": "\t",
            "header": [["Sample Name"], ["Gene Name"], ["Cq"]],
            "short_rows": True,
            "test": "Gene Name",
            "specimen": "Sample Name",
            "well": ["Position", "Well"],
            "kind": "Sample Type",
            "samples": ["Unknown"],
            "qc": ["Negative Control", "Positive Control", "Standard", "NTC"],
            "qc_names": list(CONTROLS),
            "checks": [{"column": "Excluded", "words": ["", "false", "No"], "otherwise": "uncertain"}],
            "empty": ["-"],
            "results": [
                {"value": "Cq", "call": "Call", **CQ},
                {"value": "Concentration", "test": "{test} quantity", "quantity": "quantity"},
            ],
            "panel": ["RNaseP"],
        },
        note="result table saved as text: well, sample, gene, Cq, concentration, call, excluded, sample type",
    ),
    Variant(
        name="nanodrop-one",
        models=("Thermo Fisher NanoDrop One",),
        options=_NANODROP,
        device={"time_format": "mdy"},
        evidence=Evidence.RECORDING,
        recordings=(f"{TESTDATA}/thermo_fisher_nanodrop_one",),
        note="with the software's American date; a software of another locale needs its own time_format",
    ),
    Variant(
        name="nanodrop-one-workbook",
        models=("Thermo Fisher NanoDrop One",),
        options={**_NANODROP, "format": "xlsx"},
        device={"time_format": "mdy"},
        evidence=Evidence.RECORDING,
        recordings=(f"{TESTDATA}/thermo_fisher_nanodrop_one (xlsx)",),
    ),
    Variant(
        name="qubit-4",
        models=("Invitrogen Qubit 4",),
        options={
            "encoding": ["utf-8-sig", "cp1252"],
            "header": [["Test Name"], ["Test Date"], ["Original sample conc.", "Original Sample Conc."]],
            "specimen": "Test Name",
            "time": "Test Date",
            "run": "Run ID",
            "results": [
                {
                    "value": "Original sample conc.",
                    "test": "{Assay Name}",
                    "quantity": "concentration",
                    "unit_column": "Units#2",
                    "unit": "ng/µL",
                    "low": 0.0,
                    "high": 500.0,
                },
                {
                    "value": "Qubit® tube conc.",
                    "test": "{Assay Name} in the tube",
                    "quantity": "tube-concentration",
                    "unit_column": "Units",
                    "unit": "ng/mL",
                    "low": 0.0,
                    "high": 600.0,
                },
            ],
        },
        evidence=Evidence.RECORDING,
        recordings=(f"{TESTDATA}/thermo_fisher_qubit4",),
        note="dates come in the order of the instrument's region: declare time_format, else the times stay unread",
    ),
)
