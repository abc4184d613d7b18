"""What strip readers print, as data: a block of lines, of which the first say whose the others are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from drivers.kit.declare import Evidence, Variant

SPOTCHEM_ITEM: Final = (
    r"(?P<test>\S{1,5}) +(?P<flags>[\x1e\x1f])? *(?P<value>\d+(?:\.\d+)?) +(?P<unit>\S{1,6}) *(?P<at>[+*])? *"
)
SPOTCHEM_EZ: Final = Variant(
    name="spotchem-ez",
    models=("Arkray Spotchem EZ SP-4430",),
    options={
        "framing": "blocks",
        "more": "\x17",
        "flag_codes": {"\x1e": "H", "\x1f": "L"},
        "patterns": [
            {"match": r"(?P<date>\d\d/\d\d/\d\d) +(?P<time>\d\d:\d\d) *", "print": "{time:%y/%m/%d     %H:%M}  "},
            {"match": r"ID# ?(?P<specimen>\S*) *", "print": "ID# {specimen:<16}"},
            {"match": r" ?MULTI:(?P<panel>[^\r]*)|SINGLE: *", "print": " MULTI:PANEL-V      "},
            {"kind": "result", "match": SPOTCHEM_ITEM, "print": "{test:<5}  {value:>5} mmol/L "},
            {
                "kind": "result",
                "match": r"(?P<test>\S{1,5}) +(?:UNDER|OVER) *(?P<value>[<>] *\d+(?:\.\d+)?) *(?P<at>[+*])? *",
            },
            {
                "kind": "result",
                "match": r"(?P<test>\S{1,5}) +(?P<value>CANCEL|CAL\S{0,9}|E\d{1,3})(?: .{0,20})?",
                "quality": "bad: not measured",
            },
        ],
        "analytes": [
            {"test": name, "quantity": quantity, "kind": "result", "low": low, "high": high, "step": step}
            for name, quantity, low, high, step in (
                ("Glu", "glucose", 3.0, 20.0, 0.1),
                ("BUN", "urea-nitrogen", 2.0, 20.0, 0.1),
            )
        ],
    },
    evidence=Evidence.RECORDING,
    recordings=("github.com/sovcik/spotchem-pdf samples/001.txt and samples/002 Multi+Single.txt",),
    device={"time_format": "ymd"},
    note="Blocks of lines between STX and ETX, ETB where another strip follows; 1E and 1F before a value are high "
    "and low. UNDER and OVER print a limit without its unit, which is "
    "then not known: the analyser can be set to several.",
)  # fmt: skip

SPOTCHEM_EL: Final = Variant(
    name="spotchem-el",
    models=("Arkray Spotchem EL SE-1520",),
    options={
        "framing": "blocks",
        "patterns": [
            {
                "match": r"(?P<date>\d\d/\d\d/\d\d) +(?P<time>\d\d:\d\d) +ID# *(?P<specimen>\S+) +"
                r"\[(?P<material>[^\]]*)\] +Na +(?P<na>\S+) +(?P<unit_na>\S+) +K +(?P<k>\S+) +(?P<unit_k>\S+) +"
                r"Cl +(?P<cl>\S+) +(?P<unit_cl>\S+) *",
                "items": [
                    {"value": name.lower(), "test": name, "quantity": quantity, "kind": "result", "unit": "mmol/L",
                     "low": low, "high": high, "step": step, "nothing": {r"[-*]+(?:\.[-*]+)?": "bad: not measured"}}
                    for name, quantity, low, high, step in (
                        ("Na", "sodium", 120.0, 160.0, 1.0),
                        ("K", "potassium", 2.5, 7.5, 0.1),
                        ("Cl", "chloride", 85.0, 120.0, 1.0),
                    )
                ],
                "print": "{time:%y/%m/%d %H:%M} ID# {specimen:<14} [B. Plasma] Na {na:>8}  mmol/L K {k:>8}  mmol/L "
                "Cl {cl:>8}  mmol/L",
            }
        ],
    },
    device={"time_format": "ymd"},
    note="One line of sodium, potassium and chloride between STX and ETX.",
)  # fmt: skip

TEST: Final = r" {0,4}(?P<flags>\*)? {0,4}(?P<test>(?!No\.|NO\.|ID)[A-Za-z][A-Za-z:.]{1,5}) +"
# Dirui writes the colon of ID in double width, in GB 2312 or in UTF-8.
COLON: Final = r"(?::|\xa3\xba|\xef\xbc\x9a)"
# The first that fits whole: +1 is a grade, + 1.0 a grade and a number
GRADE: Final = (
    r"[+][1-4](?![\d.])|[+]/?-|\xb1|[+]{1,4}|[1-4][+]|-|[Nn]orm(?:al)?|[Nn]eg(?:ative?)?|[Pp]os(?:itive?)?|[Tt]race|"
    r"NORMAL|NEG(?:ATIVE?)?|POS(?:ITIVE?)?|TRACE|SMALL|MODERATE|LARGE"
)
AMOUNT: Final = r"(?:(?:[Cc]a\.? ?|[<>]?=?)\d+(?:\.\d+)?|neg|pos|norm(?:al)?)"
CLINITEK_TEST: Final = r"(?P<test>[A-Za-z]{2,3})(?P<flags>\*)? +"
CLINITEK_UNIT: Final = r"[A-Za-z][A-Za-z./]{0,11}"
UNIT: Final = r"[A-Za-z%][A-Za-z0-9/%*]{0,15}"
CALLS: Final = {
    "-": "negative",
    "norm": "normal",
    **dict.fromkeys(("+-", "+/-", "\xb1", "trace"), "indeterminate"),
    **dict.fromkeys(("neg", "negativ", "negative"), "negative"),
    **dict.fromkeys(("pos", "positiv", "positive", "small", "moderate", "large"), "positive"),
    **dict.fromkeys(("+", "++", "+++", "++++"), "positive"),
    **{form: "positive" for n in "1234" for form in (f"{n}+", f"+{n}")},
    "normal": "normal",
}
PADS: Final = {
    "LEU": "leukocytes",
    "NIT": "nitrite",
    "PRO": "protein",
    "GLU": "glucose",
    "KET": "ketones",
    "BIL": "bilirubin",
    "URO": "urobilinogen",
    "UBG": "urobilinogen",
    "BLO": "blood",
    "BLD": "blood",
    "OBL": "blood",
}
NUMBERS: Final = {"pH": "ph", "SG": "sg"}
ANALYTES: Final[list[dict[str, Any]]] = [
    {"test": test, "quantity": quantity, "kind": "result", "words": ["-", "+"] if test == "NIT" else ["-", "1+"]}
    for test, quantity in PADS.items()
]


def _written(calls: Mapping[str, str]) -> dict[str, str]:
    """The calls as they are printed: in small letters, capitals, or with a capital first."""
    return {form: call for said, call in calls.items() for form in (said, said.upper(), said.capitalize())}


def _said(match: str, printed: str | None = None, **more: Any) -> dict[str, Any]:
    return {"match": r" {0,4}" + match + r" *", "print": printed, **more}


URINE: Final = Variant(
    name="urine-strip",
    models=(
        "McKesson Consult 120",
        "URIT-50",
        "Human Combilyzer 13",
        "YD Diagnostics URiSCAN Pro II",
        "Dirui H-100, H-500",
    ),
    options={
        "framing": "blocks",
        "flag_codes": {"*": "A"},
        "calls": _written(CALLS),
        "qc": (r"QC.*",),
        "patterns": [
            _said(rf"ID{COLON} *(?P<specimen>[!-~]*)", " ID:{specimen}"),
            _said(r"ID_NO:(?P<run>\d{1,6})-(?P<specimen>\S*)"),
            _said(r"Date: *(?P<time>\d\d-\d\d-\d{4} +\d\d:\d\d(?: *[APap][Mm])?)", " Date:{time:%d-%m-%Y %H:%M}"),
            _said(r"Date: *(?P<time>\d{4}-\d\d-\d\d +\d\d:\d\d(?::\d\d)?)"),
            _said(r"Date *: *(?P<printed_time>[A-Z]{3}-\d\d-\d{4} \d\d:\d\d:\d\d)"),
            _said(r"Operator: *(?P<operator>\S*)"),
            _said(r"No\. *(?P<run>\S+)"),
            _said(r"NO\.(?P<run>\d{1,10}) +(?P<date>\d{4}-\d\d-\d\d)"),
            {"match": r" *(?P<time>\d\d:\d\d:\d\d) *"},
            _said(r"(?:Ward|NAME) *:[^\r]*", ignore=True),
            {
                "kind": "result",
                "match": TEST + rf"(?P<value>{GRADE}) *(?P<concentration>{AMOUNT})? *(?P<concentration_unit>{UNIT})? *",
                "print": " {test:<9} {call:>2}",
            },
            {"kind": "result", "match": TEST + rf"(?P<value>[<>]?=?\d+(?:\.\d+)?) *(?P<unit>{UNIT})? *"},
            {"match": r" {0,4}[A-Z][A-Za-z:]{1,4} *", "ignore": True},  # a pad this strip does not have
        ],
        "analytes": ANALYTES,
    },
    device={"time_format": "dmy"},
    note="A block of lines between STX and ETX: an ID, a date, a number, then a line a pad: * where it is abnormal, "
    "its grade, and beside it what that stands for. As published captures of a Consult 120 and a URIT-50 and "
    "published receivers of the Combilyzer 13 and the Dirui H-100 (user manual, appendix B) have them, and as the "
    "URiSCAN Pro II serial format prints them. A URiSCAN's date stays as it is printed. 9600 8N1.",
)

CLINITEK: Final = Variant(
    name="clinitek-50",
    models=("Siemens (Bayer) Clinitek 50",),
    options={
        "framing": "blocks",
        "checksum": "sum8-inside",
        "acknowledge": True,
        "flag_codes": {"*": "A"},
        "calls": _written(CALLS),
        "patterns": [
            {"match": r"(?P<product>6510)(?P<revision>..)(?P<software>\d\d\.\d\d) "
             r"(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)(?P<hour>\d\d)(?P<minute>\d\d) *",
             "print": "6510  01.02 {time:%y%m%d%H%M}"},
            {"match": r"(?P<run>\d{3}) (?P<appearance>[^\r]{0,40})", "print": "001 YELLOW CLEAR"},
            {
                "kind": "result",
                "match": rf"{CLINITEK_TEST}(?P<value>{GRADE}) *",
                "print": "{test:<5}{call}",
            },
            {"kind": "result", "match": rf"{CLINITEK_TEST}(?P<value>(?:[Cc]a |[<>]?=?)\d+(?:\.\d+)?) *"
             rf"(?P<unit>{CLINITEK_UNIT})? *"},
        ],
        "analytes": ANALYTES,
    },
    device={"time_format": "ymd"},
    note="Blocks of lines: product, software and time, the number and how the urine looks, then a line a pad, with * "
    "behind the name where it is abnormal; two digits of sum stand before ETX. Ca is about: such a value is a text. "
    "Written from the published driver of an electronic record that quotes a block of it. 9600 8N1, with XON and XOFF.",
)  # fmt: skip

ON_STRIP: Final = ("GLU", "BIL", "KET", "SG", "BLO", "pH", "PRO", "URO", "NIT", "LEU")


def _on_strip(pad: str) -> str:
    return rf",{pad},(?P<{pad.lower()}>[^,]*),(?P<flags_{pad.lower()}>\*?)"


STATUS: Final = Variant(
    name="clinitek-status",
    models=("Siemens Clinitek Status",),
    options={
        "flag_codes": {"*": "A"},
        "calls": _written(CALLS),
        "patterns": [
            {
                "match": r"(?P<run>\d+),(?P<printed_date>[^,]*),(?P<printed_time>[^,]*),[^,]*,(?P<specimen>[^,]*)"
                + r",[^,]*" * 7 + "".join(map(_on_strip, ON_STRIP)) + r"[, ]*",
                "items": [
                    {"value": pad.lower(), "test": pad, "quantity": (PADS | NUMBERS)[pad], "kind": "result",
                     **({} if pad in NUMBERS else {"words": ["Negative", "Trace"]})}
                    for pad in ON_STRIP
                ],
                "print": "000001,01-15-26,09:30,,{specimen},,,,,,," + "".join(
                    f",{pad},{{{pad.lower()}}}," for pad in ON_STRIP),
            }
        ],
    },
    note="One line of fields between commas: number, date, time, the identifier in the fifth, and from the thirteenth "
    "name, result and * of each pad of a Multistix 10 SG; other strips need a pattern of their own. The date stays as "
    "it is printed. As two published receivers read it.",
)  # fmt: skip

STRIPS: Final = (SPOTCHEM_EZ, SPOTCHEM_EL, URINE, CLINITEK, STATUS)
