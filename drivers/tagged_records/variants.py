"""Tags of known instruments, as data."""

from __future__ import annotations

from typing import Any, Final

from drivers.kit.declare import Evidence, Variant

NUMBER: Final = r"[-+]?\d*\.?\d+"

# bioMerieux BCI: what calibration and controls say of a result (VIDAS PC user's manual, chapter 10)
CALIBRATED: Final = {
    "valid": "good",
    "": "good",
    "lotexp": "uncertain: the reagent lot has expired",
    "calexp": "uncertain: the calibration has expired",
    "contneff": "uncertain: a control was not run",
    "calinc": "uncertain: the calibration is not complete",
    "conthnor": "uncertain: a control is out of range",
    "conthwst": "uncertain: a control violates the Westgard rules",
}
UNITS: Final = {"mUI/ml": "m[IU]/mL", "UI/ml": "[IU]/mL", "uUI/ml": "u[IU]/mL", "µUI/ml": "u[IU]/mL"}
ASSAYS: Final = [
    {"test": "TSH", "quantity": "tsh", "attached": True, "low": 0.05, "high": 40.0, "step": 0.01},
    {"test": "FER", "quantity": "ferritin", "attached": True, "low": 1.0, "high": 900.0, "step": 0.1},
    {"test": "HCV", "quantity": "hcv-ab", "words": ["Negative", "Positive"]},
]
BCI: Final[dict[str, Any]] = {
    "framing": "blocks",
    "start": "\x02",
    "end": "\x03",
    "checksum": "sum8-inside",
    "acknowledge": True,
    "greeted": True,
    "separators": "|\x1d",
    "folded": "\x1e",
    "tag_width": 2,
    "tag_end": "",
    "kind_tag": "mt",
    "results": ("rsl",),
    "ignored": ("mpr",),
    "facts": {"pi": "patient", "si": "si", "ci": "specimen"},
    "groups": [
        {
            "begins": "rt",
            "names": {"rt": "test", "rn": "name", "tt": "time", "td": "date", "ql": "call", "qn": "value",
                      "y3": "unit", "qd": "dilution", "nc": "status"},
            "item": {"kind": "result", "attached": True, "comma": True},
        }
    ],
    "hidden": ("mt", "pn", "pb", "ps", "zz"),
    "statuses": CALIBRATED,
    "qc": (r"C[1-3]", r"S[1-3]", r"QCV.*"),
    "analytes": ASSAYS,
    "print": "mtrsl|",
    "print_end": "zz|\x1d",
    "print_width": 80,
    "print_date": "%d/%m/%Y",
}  # fmt: skip

MINI_VIDAS: Final = Variant(
    name="mini-vidas",
    models=("bioMerieux mini VIDAS", "bioMerieux VIDAS"),
    options={**BCI, "print_date": "%m/%d/%y"},
    evidence=Evidence.RECORDING,
    recordings=("github.com/senaite/senaite.astm src/senaite/astm/tests/data/mini_vidas.txt",),
    device={"time_format": "mdy", "units": UNITS},
    note="Tags of two letters between STX and ETX, the sum before ETX over all that stands before it. ENQ, ACK, "
    "block, ACK, EOT; 4800 baud, 8N1. Captures have the date as month/day/year: declare `time_format` as it is set.",
)

VIDAS_PC: Final = Variant(
    name="vidas-pc",
    models=("bioMerieux VIDAS PC (BCI RS232, BCI NET)",),
    options=BCI,
    device={"time_format": "dmy", "units": UNITS},
    note="The same with day/month/year and a decimal comma, as in the maker's example `qn28,94mUI/ml|y3mUI/ml`, or a "
    "dot, as in published uploads.",
)

VITEK: Final = Variant(
    name="vitek-2",
    models=("bioMerieux Vitek 2", "bioMerieux Vitek 2 Compact (BCI, BCI Link)"),
    options={
        **BCI,
        "groups": [
            {"begins": "o1", "names": {"o1": "value", "o2": "name", "o3": "bionumber", "o9": "probability"},
             "item": {"test": "organism", "quantity": "organism", "kind": "result"}},
            {"begins": "a1", "names": {"a1": "test", "a2": "name", "a3": "value", "a4": "call", "an": "an"},
             "item": {"kind": "result"}},
        ],
        "facts": {"pi": "patient", "ci": "specimen", "rt": "card", "rr": "run", "t1": "isolate", "o2": "organism"},
        "hidden": ("mt", "pn", "pb", "ps", "pd", "ta", "ra", "zz", "af", "ap"),
        "calls": {"S": "susceptible", "I": "intermediate", "R": "resistant", "-": "", "+": ""},
        "statuses": {},
        "analytes": [
            {"test": "am", "quantity": "ampicillin", "unit": "ug/mL", "low": 2.0, "high": 32.0, "step": 1.0},
            {"test": "gm", "quantity": "gentamicin", "unit": "ug/mL", "low": 1.0, "high": 16.0, "step": 1.0},
        ],
    },
    note="What was identified (o1, o2) and what it is susceptible to (a1 to a4); `an` stays in the attributes. Long "
    "messages are folded: each line of 80 characters begins with RS, wherever it falls. Tags as in published uploads "
    "of Vitek 2 and BCI Link, in whose sum RS and GS count. Dates in them are the specimen's, not the result's.",
)  # fmt: skip

CELLS: Final = (
    ("WBC", "10*3/uL", 2.0, 20.0, 0.1), ("RBC", "10*6/uL", 2.5, 6.5, 0.01), ("HGB", "g/dL", 6.0, 18.0, 0.1),
    ("HCT", "%", 20.0, 55.0, 0.1), ("MCV", "fL", 70.0, 110.0, 0.1), ("MCH", "pg", 22.0, 36.0, 0.1),
    ("MCHC", "g/dL", 28.0, 37.0, 0.1), ("RDW", "%", 10.0, 25.0, 0.1), ("PLT", "10*3/uL", 20.0, 600.0, 1.0),
    ("MPV", "fL", 7.0, 14.0, 0.1), ("LYM", "10*3/uL", 0.5, 5.0, 0.1), ("MON", "10*3/uL", 0.1, 2.0, 0.1),
    ("NEU", "10*3/uL", 1.0, 15.0, 0.1), ("EOS", "10*3/uL", 0.0, 1.0, 0.1), ("BAS", "10*3/uL", 0.0, 0.5, 0.1),
)  # fmt: skip


def _cells(units: bool) -> list[dict[str, Any]]:
    return [
        {"test": test, "quantity": test.lower(), "low": low, "high": high, "step": step,
         **({"unit": unit} if units else {})}
        for test, unit, low, high, step in CELLS
    ]  # fmt: skip


LIMITS: Final = {r"\+{3,}": "bad: over the range", r"-{3,}(?:\.-+)?": "bad: no result"}
MYTHIC: Final = Variant(
    name="cell-dyn-emerald",
    models=("Orphee Mythic 18, Mythic 22", "Abbott CELL-DYN Emerald 18, 22, 22 AL"),
    options={
        "framing": "lines",
        "separators": "\r\n",
        "tag_width": 0,
        "tag_end": ";",
        "parts_end": ";",
        "head": r"(?P<instrument>[^;\r\n]*);(?P<number>[^;\r\n]*);(?P<serial>[^;\r\n]*)(?:;[^\r\n]*)?[\r\n]+"
        r"(?P<frame>[A-Z_]+)[^\r\n]*[\r\n]+",
        "results": ("RESULT",),
        "ignored": ("CALIBRATION", "STARTUP"),
        "page": {
            "last": r"END_(?:RESULT|CALI);(\d{1,5})",
            "crc": 1,
            "kept": "ACK_RESULT;OK",
            "refused": "ACK_RESULT;CRC_ERROR",
            "says": [
                {"match": r"CONNECT;[^;]*;([^;]*)", "reply": r"ACK_CONNECT;\1"},
                {"match": r"RESULT_READY(?:;.*)?", "reply": "ACK_RESULT_READY"},
                {"match": r"DISCONNECT(?:;.*)?"},
            ],
        },
        "facts": {"DATE": "date", "TIME": "time", "SID": "specimen", "PID": "patient", "OPERATOR": "operator",
                  "SEQ": "run", "MODE": "kind", "UNIT": "unit_system"},
        "hidden": ("ID", "BIRTH", "SEX", "PRESC", "LOCAT", "TYPE", "COMMENT", "PATIENT COMMENT"),
        "qc_kinds": ("QC", "CALIBRATION", "REPEATABILITY", "STARTUP", "BLANK"),
        "qc": (r"QC.*",),
        "flag_verdicts": {"*": "uncertain: the analyser suspects it"},
        "groups": (),
        "singles": {
            "tags": r"[A-Z][A-Z0-9#%_-]*",
            "parts": ("value", "flags", "flags", "low_panic", "low", "high", "high_panic"),
            "values": rf"{NUMBER}|\+{{3,5}}|-{{3,5}}",
            "least": 3,
            "until": r".* CURVE|ALARMS|INTERPRETIVE_.*|.*MATRIX",
            "item": {"kind": "result", "nothing": LIMITS},
        },
        "analytes": _cells(units=False),
        "longest": 65_536,
        "print": "EMD22;1;SIM-0001;op\rRESULT\r",
        "print_time": "%H:%M:%S",
    },
    device={"time_format": "dmy"},
    note="Written from published captures whose line ends are lost. A page of lines up to END_RESULT with its CRC. It "
    "says which system of units is set, not the units: "
    "declare them by test. TCP port 1200, or RS-232 and no answers (page.kept = \"\").",
)  # fmt: skip

ABACUS: Final = Variant(
    name="diatron-abacus",
    models=("Diatron Abacus, Abacus Plus, Abacus Junior (serial protocol 2.x)",),
    options={
        "framing": "blocks",
        "start": "\x01",
        "end": "\x03",
        "checksum": "unverified",
        "trail": "\x04",
        "separators": "\n",
        "tag_width": 0,
        "tag_end": "\t",
        "parts_end": "\t",
        "head": r"[A-Z]{1,2}\x02",
        "facts": {"SNO": "run", "DATE": "date", "TIME": "time", "SID": "specimen", "PID": "patient"},
        "hidden": ("NAME", "AGE", "MODE", "PARN", "PM1", "PM2", "RM1", "WM1", "WM2", "WM3"),
        "flag_codes": {"0": ""},
        "groups": (),
        "singles": {
            "tags": r"P\d\d",
            "parts": ("value", "flags"),
            "least": 2,
            "item": {"kind": "result", "nothing": {r"[-+*]{3,}": "bad: no result"}},
        },
        "analytes": [
            {"test": "P01", "quantity": "p01", "low": 2.0, "high": 20.0, "step": 0.1},
            {"test": "P02", "quantity": "p02", "low": 2.5, "high": 6.5, "step": 0.01},
        ],
        "print": "BD\x02",
        "print_date": "%Y%m%d",
        "print_time": "%H%M%S",
    },
    note="Names and values between SOH and ETX (Diatron Abacus service manual, 10.2). Values are numbered, P01 and on: "
    "say which is which in `tests` from the manual of the software. The check digits' rule is not public.",
)

# What the letters of a Micros 60 are: in a published upload of one they agree with each other as these must
# (MCV = HCT/RBC, MCH = HGB/RBC, PCT = PLT x MPV, counts = percentages of WBC).
MICROS: Final = (
    ("!", "wbc", 2.0, 20.0, 0.1), ("2", "rbc", 2.5, 6.5, 0.01), ("3", "hgb", 60.0, 180.0, 1.0),
    ("4", "hct", 0.2, 0.55, 0.001), ("5", "mcv", 70.0, 110.0, 1.0), ("6", "mch", 22.0, 36.0, 0.1),
    ("7", "mchc", 280.0, 370.0, 1.0), ("8", "rdw", 10.0, 25.0, 0.1), ("@", "plt", 20.0, 600.0, 1.0),
    ("A", "mpv", 7.0, 14.0, 0.1), ("B", "pct", 0.05, 0.5, 0.001), ("C", "pdw", 8.0, 20.0, 0.1),
    ("#", "lym-percent", 10.0, 60.0, 0.1), ("%", "mon-percent", 2.0, 20.0, 0.1), ("'", "gra-percent", 30.0, 85.0, 0.1),
    ('"', "lym-count", 0.5, 5.0, 0.1), ("$", "mon-count", 0.1, 2.0, 0.1), ("&", "gra-count", 1.0, 15.0, 0.1),
)  # fmt: skip
ABX: Final = Variant(
    name="abx",
    models=("Horiba ABX Micros 60",),
    options={
        "framing": "blocks",
        "start": "\x02",
        "end": "\x03",
        "separators": "\r\n",
        "tag_width": 0,
        "tag_end": " ",
        "parts_end": " ",
        "head": r" *\d{5} *[\r\n]+(?:\xff )?(?P<kind>[A-Z-]+) *[\r\n]+",
        "results": ("RESULT", "DIF-RESULT", "RES-RR", "QC-RES"),
        "ignored": ("FILE", "QUERY"),
        "facts": {"u": "specimen", "q": "printed_time", "s": "sequence"},
        "hidden": ("v", "W", "X", "Y", "Z", "P", "S", "_", "]"),
        "flag_codes": {"h": "H", "l": "L"},
        "qc_kinds": ("QC-RES",),
        "groups": (),
        "singles": {
            "tags": r"[!-/2-8@A-C]",
            "parts": ("value", "flags", "flags"),
            "width": 7,
            "item": {"kind": "result", "nothing": {r"[-*]+(?:\.[-*]+)?": "bad: no result"}},
        },
        "analytes": [
            {"test": test, "quantity": quantity, "low": low, "high": high, "step": step}
            for test, quantity, low, high, step in MICROS
        ],
        "print": "00000\r\xff RESULT  \r",
    },
    note="A line a value, led by one character that says which it is. Units are those the analyser is set to and are "
    "not sent: declare them by test. The time is kept as it is printed. Written from a published upload of a Micros "
    "60, software 2.8; other ABX analysers use more letters.",
)

VARIANTS: Final = (MINI_VIDAS, VIDAS_PC, VITEK, MYTHIC, ABACUS, ABX)
