"""What balances print, as data: columns are counted, so that a line that has lost a character is not read."""

from __future__ import annotations

from typing import Any, Final

from drivers.kit.declare import Variant

BALANCE: Final[dict[str, Any]] = {"quantity": "mass", "low": 0.01, "high": 220.0, "step": 0.01}
# Units of mass as balances shorten them; elsewhere some of these mean something else.
MASS: Final = {"lb": "[lb_av]", "oz": "[oz_av]", "ozt": "[oz_tr]", "GN": "[gr]", "dwt": "[pwt_tr]", "ct": "[car_m]"}
# The unit stands in the twelfth place, or the eighteenth: what has lost a character before it does not fit. Blanks
# behind it say nothing.
SBI: Final = r"(?P<label>[A-Za-z#][A-Za-z0-9#. ]{5})?(?P<value>[-+ ][ \d.[]{9})"


def _ask(send: str) -> list[dict[str, Any]]:
    return [{"name": "mass", "send": send}]


SARTORIUS: Final = Variant(
    name="sartorius-sbi",
    models=("Sartorius Quintix", "Sartorius Master, LE, BP, GC, EB, WZA series", "others that speak SBI"),
    options={
        "ask": _ask("\x1bP"),
        "poll": "2s",
        "patterns": [
            {
                **BALANCE,
                "match": SBI[:-1] + r"[\] ])(?P<unit>[A-Za-z/%]{1,3}) *",
                "print": "+{value:>9} g  ",
            },
            {
                **BALANCE,
                "match": r"(?=(?:.{14}|.{20})$)" + SBI + r"\]? {3,4}",
                "quality": "uncertain: not stable",
            },
            {**BALANCE, "match": r" *(?:Stat)? *(?P<value>H|High) *", "quality": "bad: overload"},
            {**BALANCE, "match": r" *(?:Stat)? *(?P<value>L|Low) *", "quality": "bad: underload"},
            {**BALANCE, "match": r" *(?:Stat)? *(?P<value>C|Cal\.(?:Ext\.|Int\.)?) *",
             "quality": "bad: being calibrated"},
            {**BALANCE, "match": r" *(?:Stat)? *(?P<value>(?:Err|ERR|E) *\d{1,3}|OFF|- ?-) *",
             "quality": "bad: no weight"},
        ],
    },
    device={"units": MASS},
    note="SBI in 16 or 22 characters with their CR LF, asked with ESC P. A blank unit means not stable; High, Low, "
    "Cal. and Err are no weight; digits in brackets are shown but not verified (operating manuals: Quintix p. "
    "87, Master series p. 79, LE p. 51, WZA p. 23). Older ones are delivered with 1200 baud, 7 bits, odd "
    "parity.",
)  # fmt: skip

AND: Final = Variant(
    name="and-balance",
    models=("A&D EJ, EK", "A&D GF, GX, FX", "A&D GX-A, GF-A, GH"),
    options={
        "ask": _ask("Q"),
        "poll": "2s",
        "statuses": {"ST": "good", "US": "uncertain: not stable"},
        "patterns": [
            {
                **BALANCE,
                "match": r"(?=.{15}$)(?P<status>ST|US),(?P<value>[-+][\d.]{8}) {0,2}(?P<unit>[A-Za-z%]{1,3})",
                "print": "ST,+{value:>08}  g",
            },
            {**BALANCE, "match": r"(?=.{16}$)(?P<status>ST|US),(?P<value>[-+][\d.]{8}), {0,2}(?P<unit>[A-Za-z%]{1,3})"},
            {**BALANCE, "match": r"OL,(?P<value>[-+]\d[\d.]{4,10}(?:E[-+]\d\d)?),? *(?P<unit>[A-Za-z%]{1,3})? *",
             "quality": "bad: overload"},
            {"quantity": "count", "unit": "{pcs}", "match": r"(?=.{15}$)QT,(?P<value>[-+]\d{8}) PC"},
        ],
    },
    device={"units": MASS},
    note="Standard format, 15 characters: ST stable, US unstable, QT counted; OL is an overload whatever number "
    "follows (EK-L manual 9-2, GX-A communication manual 7-2, GH manual 10.6; the CSV format as in FX-CT "
    "manual p. 31). Asked with Q. As delivered: 2400 baud, 7 bits, even parity.",
)  # fmt: skip


def _ohaus(name: str, models: tuple[str, ...], width: int, note: str) -> Variant:
    """The weight right-aligned in `width` characters: of a shorter one a character was lost."""
    return Variant(
        name=name,
        models=models,
        options={
            "ask": _ask("IP"),
            "poll": "2s",
            "statuses": {"?": "uncertain: not stable, or below the least weight"},
            "patterns": [
                {
                    **BALANCE,
                    "match": rf"(?=[- \d.]{{{width}}} [A-Za-z%]) *(?P<value>-?\d+(?:\.\d+)?) (?P<unit>[A-Za-z%]{{1,5}})"
                    r" {0,5}(?P<status>\?)? {0,5}(?P<legend>[A-Z0-9:][A-Z0-9: ]{0,15})?",
                    "print": f"{{value:>{width}}} g     ",
                },
                {"match": r"OK!?|ES", "ignore": True},
                {**BALANCE, "match": r" *(?P<value>Err.{0,20}|E\d{1,3}|[-^_]{3,}) *", "quality": "bad: no weight"},
            ],
        },
        device={"units": MASS},
        note=note + " Then the unit, ? where it is not stable, and a legend such as NET or TOTAL. Asked with IP.",
    )


OHAUS: Final = _ohaus(
    "ohaus",
    ("Ohaus Explorer",),
    11,
    "The weight right-aligned in 11 characters (Explorer manual EN-156, the examples).",
)
OHAUS_KIT: Final = _ohaus(
    "ohaus-rs232",
    ("Ohaus balances with the RS232 interface kit",),
    12,
    "The weight right-aligned in 12 characters (RS232 interface manual EN-3). Models that print whole numbers in 11 "
    "need a pattern of their own.",
)

MARK: Final = r"(?P<status>[ ?^v]) (?P<value>[- ]"
RADWAG: Final = Variant(
    name="radwag",
    models=("Radwag PS, AS, APP, WPT", "others with the protocol of these manuals"),
    options={
        "ask": _ask("SI"),
        "poll": "2s",
        "statuses": {
            "": "good",
            "?": "uncertain: not stable",
            "^": "bad: above the weighing range",
            "v": "bad: below the weighing range",
        },
        "patterns": [
            {**BALANCE, "match": rf"(?=.{{14,16}}$){MARK}[ \d.]{{9}}) (?P<unit>[A-Za-z%]{{1,3}}) *",
             "print": "  {value:>10} g  "},
            {**BALANCE, "match": rf"(?=.{{16,18}}$){MARK}[ \d.[]{{10}}[\d\]]) (?P<unit>[A-Za-z%]{{1,3}}) *"},
            {**BALANCE, "match": rf"(?=.{{17,19}}$)S[IU ][I ]{MARK}[ \d.]{{9}}) (?P<unit>[A-Za-z%]{{1,3}}) *"},
            {"match": r"(?:SUI|SU|SI|S|Z|T|UI) [ADIE^v]", "ignore": True},
        ],
    },
    device={"units": MASS},
    note="The stability marker comes first: blank stable, ? not stable, ^ and v out of range; the mass is "
    "right-aligned in 9 characters, in verified balances 11 (AS R2 manual 14.2, R series manual p. 85). Asked with SI; "
    "the print key sends the same without the command's name.",
)  # fmt: skip

KERN: Final = Variant(
    name="kern",
    models=("Kern PCB, FKB",),
    options={
        "ask": _ask("w"),
        "ask_end": "",
        "poll": "2s",
        "patterns": [
            {**BALANCE, "match": r"(?P<mark>[ M])(?P<value>[- ][ \d.]{10}) (?P<unit>[A-Za-z%]{1,3}) *",
             "print": "  {value:>10} g  "},
            {**BALANCE, "match": r"(?=(?:.{13}|.{16})$)(?P<mark>[ M])(?P<value>[- ][ \d.]{10}) *",
             "quality": "uncertain: not stable"},
            {**BALANCE, "match": r" *(?P<value>Error) *", "quality": "bad: no weight"},
        ],
    },
    device={"units": MASS},
    note="Asked with w, which has no end. What is not stable comes without its unit (PCB manual PCB-BA-e-1315 p. "
    "35, FKB manual FKB_A-BA-e-1513 p. 37).",
)  # fmt: skip


def _shimadzu(name: str, models: tuple[str, ...], digits: int, note: str) -> Variant:
    """The weight in `digits` characters, two more with brackets, behind its sign."""
    plain = rf"(?P<value>[- ][ \d.]{{{digits}}})(?P<unit>[A-Za-z%][A-Za-z% ])"
    marked = rf"(?P<value>[- ][ \d.[\]]{{{digits + 2}}})(?P<unit>[A-Za-z%][A-Za-z% ])"
    return Variant(
        name=name,
        models=models,
        options={
            "ask": _ask("D07"),
            "ask_end": "\r",
            "poll": "2s",
            "statuses": {"S": "good", "U": "uncertain: not stable"},
            "patterns": [
                {**BALANCE, "match": "(?P<status>[SU])" + plain, "print": f"S {{value:>{digits}}}g "},
                {**BALANCE, "match": "(?P<status>[SU])" + marked},
                {**BALANCE, "match": plain, "quality": "uncertain: sent without its stability"},
                {**BALANCE, "match": r"[SU]?(?P<value>[- ] *[oO]L) *", "quality": "bad: overload"},
            ],
        },
        device={"units": MASS},
        note="Asked with D07, which puts S or U for stable or not before the weight; a weight without that letter is "
        "uncertain. " + note,
    )


SHIMADZU: Final = _shimadzu(
    "shimadzu",
    ("Shimadzu UP, UW, UX", "CAS CUX"),
    8,
    "Eight characters of weight (UP manual 12.4.2, CUX manual 15.2.2).",
)
SHIMADZU_AUW: Final = _shimadzu(
    "shimadzu-auw",
    ("Shimadzu AUW", "Shimadzu AP"),
    9,
    "Nine characters of weight (AUW manual 14.2.2 and 14.2.3, AP manual p. 133).",
)

AND_SCALE: Final = Variant(
    name="and-scale",
    models=("A&D FG, FS, HV, HW, FV, SK scales", "others that say gross or net"),
    options={
        "ask": _ask("Q"),
        "poll": "2s",
        "statuses": {"ST": "good", "US": "uncertain: not stable", "OL": "bad: overload"},
        "patterns": [
            {
                **BALANCE,
                "high": 60.0,
                "match": r"(?=.{16,18}$)(?P<status>ST|US|OL),(?P<weight>GS|NT|TR),(?P<value>[-+ ][ \d.]{7,8})"
                r" {0,2}(?P<unit>kg|lb|oz|g)",
                "print": "ST,GS,+{value:>07}kg",
            },
            {"quantity": "count", "unit": "{pcs}", "match": r"QT,(?:GS|NT|TR),(?P<value>[-+ ][ \d]{6}\d)PC"},
        ],
    },
    device={"units": MASS},
    note="ST, US or OL, then GS, NT or TR for gross, net or tare, then the weight in 8 characters and the unit in 2 "
    "(FG and HW/HV manuals, RS-232C standard format). OL is no weight whatever number follows. 2400 baud, 7 bits, even "
    "parity as delivered.",
)  # fmt: skip

VIBRA: Final = Variant(
    name="vibra",
    models=("Shinko ViBRA HG, HJ-K",),
    options={
        "statuses": {"S": "good", "U": "uncertain: not stable", "E": "bad: an error"},
        "patterns": [
            {**BALANCE, "match": r"(?P<value>[-+][\d.]{7})(?P<unit>[ A-Z][A-Z%])(?P<judgement>[ A-Z])"
             r"(?P<status>[SUE])", "print": "+{value:>07} G S"},
        ],
    },
    device={"units": {"G": "g", "KG": "kg"}},
    note="A sign, 7 characters of weight, two of unit, a judgement and S, U or E for stable, not stable or no data (HG "
    "operation manual p. 28, HJ-K manual 12.4). Models that send 8 need a pattern of their own. G and KG are grams and "
    "kilograms; declare other units.",
)  # fmt: skip

BALANCES: Final = (SARTORIUS, AND, AND_SCALE, OHAUS, OHAUS_KIT, RADWAG, KERN, SHIMADZU, SHIMADZU_AUW, VIBRA)
