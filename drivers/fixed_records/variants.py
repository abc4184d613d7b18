"""Records of known instruments, as data: their columns, and what their signs mean."""

from __future__ import annotations

from typing import Any, Final

from drivers.kit.declare import Evidence, Variant

ELEXIS: Final = "github.com/elexis/elexis-3-base bundles/ch.elexis.connect.sysmex/testdaten"

# test: unit as the analyser leaves the factory, digits behind the decimal sign, a usual range
COUNTS: Final[dict[str, tuple[str, int, float, float]]] = {
    "WBC": ("10*3/uL", 1, 2.0, 20.0),
    "RBC": ("10*6/uL", 2, 2.5, 6.5),
    "HGB": ("g/dL", 1, 6.0, 18.0),
    "HCT": ("%", 1, 20.0, 55.0),
    "MCV": ("fL", 1, 70.0, 110.0),
    "MCH": ("pg", 1, 22.0, 36.0),
    "MCHC": ("g/dL", 1, 28.0, 37.0),
    "PLT": ("10*3/uL", 0, 20.0, 600.0),
    "LYM%": ("%", 1, 10.0, 60.0),
    "MXD%": ("%", 1, 2.0, 20.0),
    "NEUT%": ("%", 1, 30.0, 85.0),
    "LYM#": ("10*3/uL", 1, 0.5, 5.0),
    "MXD#": ("10*3/uL", 1, 0.1, 2.0),
    "NEUT#": ("10*3/uL", 1, 1.0, 15.0),
    "RDW-SD": ("fL", 1, 30.0, 60.0),
    "RDW-CV": ("%", 1, 10.0, 25.0),
    "RDW": ("fL", 1, 30.0, 60.0),
    "PDW": ("fL", 1, 8.0, 20.0),
    "MPV": ("fL", 1, 7.0, 14.0),
    "P-LCR": ("%", 1, 10.0, 50.0),
}
NAMES: Final = {"LYM%": "lym-percent", "MXD%": "mxd-percent", "NEUT%": "neut-percent",
                "LYM#": "lym-count", "MXD#": "mxd-count", "NEUT#": "neut-count"}  # fmt: skip
COUNTED: Final = tuple(COUNTS)[:14]
NOTHING: Final = {r"\*003": "bad: outside what the analyser can show", r"\*[\d ]{0,3}|\*+|-+": "bad: no reliable value"}


def _counts(begin: int, tests: tuple[str, ...], **more: Any) -> list[dict[str, Any]]:
    """Cells of four digits and a flag, one after the other."""
    cells = []
    for number, test in enumerate(tests):
        unit, decimals, low, high = COUNTS[test]
        at = begin + 5 * number
        cells.append(
            {"test": test, "quantity": NAMES.get(test, test.lower()), "unit": unit, "decimals": decimals,
             "value": [at, 4], "flags": [at + 4, 1], "nothing": NOTHING, "low": low, "high": high,
             "step": 10.0**-decimals, **more.get(test, {})}
        )  # fmt: skip
    return cells


SYSMEX: Final[dict[str, Any]] = {
    "acknowledge": True,
    "flag_codes": {"0": "", "1": "H", "2": "L", "3": ">", "4": ""},
    "flag_verdicts": {"3": "uncertain: outside the linear range", "4": "uncertain: low reliability"},
    "qc": (r"QC.*",),
}
OTHERS: Final[list[dict[str, Any]]] = [
    {"starts": ["D1C", "D1X", "D1Y"], "does": "event"},
    {"starts": ["D2", "DP", "R"], "does": "nothing"},
]

KX21N: Final = Variant(
    name="sysmex-kx-21n",
    models=("Sysmex KX-21N", "Sysmex pocH-100i", "Sysmex XP-100, XP-300 (KX-21N format)"),
    options={
        **SYSMEX,
        "records": [
            {
                "starts": ["D1U", "D1S"],
                "length": 129,
                "columns": [
                    {"name": "date", "at": [3, 8], "expect": r"(?:19|20)\d{6}"},
                    {"name": "analysis", "at": [11, 1]},
                    {"name": "specimen", "at": [12, 15], "strip": "0"},
                    {"name": "pda", "at": [27, 6]},
                ],
                "cells": _counts(34, (*COUNTED, "RDW-SD", "RDW-CV", "PDW", "MPV", "P-LCR")),
                "fill": "D1U" + "0" * 126,
            },
            *OTHERS,
        ],
    },
    evidence=Evidence.RECORDING,
    recordings=(f"{ELEXIS}/kx21N_1.txt",),
    note="Nineteen values of four digits and a flag; units are those the analyser is set to, here as it leaves the "
    "factory. A specimen called QC... is a control even where the record is of a sample.",
)

KX21: Final = Variant(
    name="sysmex-k-1000",
    models=("Sysmex KX-21", "Sysmex K-1000, K-800", "Sysmex XP-100, XP-300 (K-1000 format)"),
    options={
        **SYSMEX,
        "records": [
            {
                "starts": ["D1U", "D1S"],
                "length": 119,
                "columns": [
                    {"name": "date", "at": [3, 6], "form": "date6", "expect": r"\d{6}"},
                    {"name": "analysis", "at": [9, 1]},
                    {"name": "specimen", "at": [10, 12], "strip": "0"},
                    {"name": "pda", "at": [22, 6]},
                    {"name": "rdw_select", "at": [28, 1], "expect": "[CS0]"},
                ],
                "cells": _counts(
                    29,
                    (*COUNTED, "RDW", "PDW", "MPV", "P-LCR"),
                    RDW={"unit": None, "low": 30.0, "high": 60.0},
                ),
                "fill": "D1U" + "0" * 25 + "S" + "0" * 90,
            },
            *OTHERS,
        ],
    },
    evidence=Evidence.RECORDING,
    recordings=(f"{ELEXIS}/kx21_1.txt",),
    device={"time_format": "ymd"},
    note="Eighteen values. RDW is a standard deviation (fL) or a variation (%), as `rdw_select` says with S or C, so "
    "it comes without a unit. The date is read as year, month, day; the analyser can be set otherwise.",
)

GRADES: Final = {"-": "negative", "+-": "indeterminate", "+/-": "indeterminate", "NORMAL": "normal",
                 **dict.fromkeys(("+", "1+", "2+", "3+", "4+"), "positive")}  # fmt: skip
PADS: Final = ("URO", "BLD", "BIL", "KET", "GLU", "PRO", "PH", "NIT", "LEU", "SG", "CRE", "ALB")
UC1000: Final = Variant(
    name="sysmex-uc-1000",
    models=("Sysmex UC-1000",),
    options={
        "acknowledge": True,
        "calls": GRADES,
        "qc": (r"QC.*",),
        "statuses": {"0": "good", "1": "ignore", "2": "ignore", "": "ignore"},
        "records": [
            {
                "starts": "",
                "length": 518,
                "columns": [
                    {"name": "specimen", "at": [0, 14], "strip": "0"},
                    {"name": "date", "at": [49, 10], "expect": r"\d{4}.\d\d.\d\d"},
                ],
                "cells": [
                    {"test": pad, "quantity": pad.lower(), "status": [at, 1], "call": [at + 2, 6], "value": [at + 8, 6],
                     "words": [] if pad in ("PH", "SG") else ["-", "1+", "2+"], "low": 5.0, "high": 8.0, "step": 0.5}
                    for at, pad in zip(range(69, 453, 32), PADS, strict=True)
                ],
                "fill": " " * 518,
            }
        ],
    },
    device={"time_format": "ymd"},
    note="A record of 518 characters, 32 a pad: its grade and beside it the concentration it stands for, whose unit "
    "is not sent. Columns as elexis-3-base reads them (ch.elexis.connect.sysmex, UC1000Data), where BLD is called BID.",
)  # fmt: skip

# Every laboratory gives its tests their numbers: which is which can only be declared.
AU_ITEMS: Final = [
    {"test": "001", "kind": "result", "low": 3.0, "high": 20.0, "step": 0.1},
    {"test": "002", "kind": "result", "low": 2.0, "high": 30.0, "step": 0.1},
    {"test": "003", "kind": "result", "low": 40.0, "high": 400.0, "step": 1.0},
]


# Identifiers have as many characters as the online menu says. The one of twenty goes first: it is simulated.
WIDTHS: Final = (20, *(width for width in range(4, 27) if width != 20))


def _au(data: int, flags: int, unit: int = 0, lead: int = 0, about: tuple[int, ...] = (0,)) -> list[dict[str, Any]]:
    """An Olympus or Beckman AU's records. Widths in bytes: of a value, its flags, the number of the unit, of what is
    said `about` the patient before the tests; `lead` bytes stand before each test.

    How wide the identifier is shows in where the mark of the block stands, behind four blanks.
    """
    ways = [_au_results(specimen, data, flags, unit, lead, person) for person in about for specimen in WIDTHS]
    return [
        *ways,
        {"starts": ["DQ", "DR", "DA"], "does": "event"},
        {"starts": ["DB", "DE", "RB", "RE", "R ", "RH", "Rh"], "does": "nothing"},
    ]


def _au_results(specimen: int, data: int, flags: int, unit: int, lead: int, person: int) -> dict[str, Any]:
    at = 2 + unit
    behind = at + 11 + specimen
    return {
        "starts": ["D ", "DH", "d ", "dH"],
        "columns": [
            {"name": "rack", "at": [at, 4]},
            {"name": "cup", "at": [at + 4, 2]},
            {"name": "material", "at": [at + 6, 1]},
            {"name": "run", "at": [at + 7, 4], "expect": "[0-9EP]?[0-9]{0,3}"},
            {"name": "specimen", "at": [at + 11, specimen]},
            {"name": "dummy", "at": [behind, 4], "expect": ""},
            {"name": "block", "at": [behind + 4, 1], "expect": "[0-9E]"},
        ],
        "repeat": {
            "at": behind + 5 + person,
            "each": lead + 3 + data + flags,
            "name_at": [lead, 3],
            "value": [lead + 3, data],
            "flags": [lead + 3 + data, flags],
            "flag_width": 2,
            "expect_name": r"\d{3}",
            "expect_value": r"[<>]?-?\d*\.?\d*|\*+|-+|/+",
            "nothing": {r"\*+|-+|/+": "bad: not calculated"},
            "kind": "result",
        },
        "fill": " " * (behind + 4) + "E" + " " * person,
    }


AU: Final = Variant(
    name="beckman-au",
    models=("Beckman Coulter AU480, AU680", "Olympus AU400, AU640, AU2700"),
    options={
        "acknowledge": True,
        "more": "\x17",
        "answers": [{"match": r"R[ Hh].*", "reply": "SE"}],
        "records": _au(data=6, flags=2, about=(0, 6)),
        "flag_codes": {"ph": "HH", "pl": "LL"},
        "analytes": AU_ITEMS,
    },
    note='Kinds of message and the check byte (checksum = "xor") as in the AU2700/5400 host document 2.3; four bytes '
    "of rack, two of cup, one of material, four of number, an identifier of four to twenty-six, four blanks, the mark "
    "of the block, perhaps six of sex and age, and results of 3, 6 and 2 characters, as three published receivers "
    "of an AU480 and AU680 read them. Values of nine characters, more flags, other fields and the check byte are set "
    "in its online menu: declare `records` as they are there. Controls, blanks and calibrations become events; a "
    "question for orders is answered with SE, none.",
)
AU5800: Final = Variant(
    name="beckman-au5800",
    models=("Beckman Coulter AU5800",),
    options={
        "acknowledge": True,
        "checksum": "xor",
        "more": "\x17",
        "answers": [{"match": r"R[ Hh].*", "reply": "SE"}],
        "records": _au(data=9, flags=8, unit=2, lead=1),
        "flag_codes": {"ph": "HH", "pl": "LL"},
        "analytes": AU_ITEMS,
    },
    note="Two digits of unit, values of nine characters and four flags of two, each block with its check byte, as a "
    "published receiver reads them. Not yet tried on an upload: compare the first blocks with AU5800 Online "
    "Specification D-160845, section 3.",
)
# Bytes: 0 magic, 4 kind, 5 identifier (the sample number where none was typed), 20 item, 28 result, 34 unit,
# 42 and 46 reference, 50 sample number, 54 sum, 55 CR LF
HIPRO: Final = Variant(
    name="hipro-a1",
    models=("HIPRO A1",),
    options={
        "acknowledge": False,
        "sized": {"magic": "FF24FF24", "bytes": 57, "sum_from": 3, "sum_at": 54},
        "records": [
            {
                "starts": "",
                "columns": [
                    {"name": "specimen", "at": [5, 15]},
                    {"name": "reference_low", "at": [42, 4], "form": "float32"},
                    {"name": "reference_high", "at": [46, 4], "form": "float32"},
                    {"name": "run", "at": [50, 4]},
                ],
                "cells": [{"name_at": [20, 8], "value": [28, 6], "unit_at": [34, 8], "kind": "result"}],
                "fill": "\xff$\xff$\x03" + " " * 37 + "\0\0\0\0\0\0 A" + " " * 4 + "\0\r\n",
            }
        ],
        "analytes": [
            {"test": "hs-CRP", "quantity": "crp", "unit": "mg/L", "low": 0.5, "high": 20.0, "step": 0.1},
            {"test": "PCT", "quantity": "procalcitonin", "unit": "ng/mL", "low": 0.1, "high": 20.0, "step": 0.01},
        ],
    },
    note="Blocks of 57 bytes, cut by their size since a reference limit may hold CR LF. The sum runs from the fourth "
    "byte. `<0.5` stays what it is (HIPRO A1 LIS instruction). 38400 8N1, one way.",
)

VARIANTS: Final = (KX21N, KX21, UC1000, AU, AU5800, HIPRO)
