"""How makers depart from the standard: presets of the options, and how such an instrument names itself in H5.

A maker whose instruments send what the standard says needs no dialect: the driver's defaults read it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from drivers.astm.options import AstmOptions
from drivers.kit.astm_places import CONTROLS, Mark
from drivers.kit.declare import Evidence, Variant
from drivers.kit.dialects import preset, recogniser

GO_ASTM: Final = "github.com/blutspende/go-astm"
INTELIS: Final = "github.com/deforay/intelis-interfacing"
SENAITE: Final = "github.com/senaite/senaite.astm src/senaite/astm/tests/data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect(Variant):
    """One maker's way. `sign` is looked for in H5 and H6, `processing` is what H12 must be; a dialect with neither
    has to be declared."""

    processing: str = ""


# Sysmex: the specimen is the third component of O4, behind rack and position; a message of the analyser's own rules
# ("Anemia", "Positive_Diff") has no value and the flag A; W marks a value of low reliability.
_SYSMEX: Final = MappingProxyType(
    {
        "specimen": ("O4.3", "O3.3", "O3.*", "O4.*"),
        "flagged": {"A": "abnormal"},
        "doubtful_flags": ("W",),
        "withheld": r"\+{4}",  # beyond what the analyser shows
    }
)
# Grades of a test strip or a sediment.
_GRADES: Final = MappingProxyType(
    {
        "-": "negative",
        **dict.fromkeys(("+-", "±", "+/-", "trace"), "indeterminate"),
        **dict.fromkeys(("(+)", "+", "++", "+++", "++++", "1+", "2+", "3+", "4+"), "positive"),
    }
)
# Roche's Elecsys modules send `call^index`.
_ELECSYS: Final = MappingProxyType({"-1": "negative", "0": "indeterminate", "1": "positive"})
# Abbott: the last component of R3 says which aspect of the result the row tells.
_ASPECTS: Final = MappingProxyType({"F": "", "I": "interpretation", "P": "signal", "G": "-"})

VARIANTS = (
    Dialect(
        name="euroimmun",
        models=("Euroimmun Analyzer I",),
        options={"specimen": ("P4", "P3"), "patient": ()},
        evidence=Evidence.RECORDING,
        recordings=(f"{GO_ASTM} examples/euroimmun_analyzer1_v10",),
        device={"decimal": ","},
        note="The specimen stands in P4 only, and the header names nobody; numbers come with a decimal comma.",
    ),
    Dialect(
        name="bio-rad-ih",
        models=("Bio-Rad IH-1000", "Bio-Rad IH-500"),
        sign=r"\bIH v|\bIH-(500|1000)\b",
        options={"value": "R4.*", "unit": ""},
        evidence=Evidence.RECORDING,
        recordings=(f"{GO_ASTM} examples/ihcom_v52",),
        note="A blood group is several components (ABO^RhD^...): they stay together. R5 is no unit.",
    ),
    Dialect(
        name="yumizen",
        models=("Horiba Yumizen H500", "Horiba Yumizen H550", "Horiba Yumizen H1500", "Horiba Yumizen H2500"),
        sign=r"(?i)^(yumizen[ -]?)?H(500|550|1500|2500)(\^|\s|$)",
        options={"loinc": ("R3.5", "R3.1")},
        evidence=Evidence.RECORDING,
        recordings=(f"{GO_ASTM} examples/yumizen", f"{SENAITE}/yumizen_h500.txt"),
        note="R3 brings a LOINC code beside the maker's name; controls are marked in H12 and O16. "
        "Units count in `1E03/mm3`.",
    ),
    Dialect(
        name="pentra",
        models=("Horiba ABX Pentra ES 60", "Horiba ABX Pentra 80", "Horiba ABX Pentra XL 80", "Horiba ABX Pentra XLR"),
        sign=r"(?i)^ABX(\^|\s|$)|\bpentra\b",
        options={"loinc": ("R3.5", "R3.1"), "statuses": {"N": "cancelled", "D": "final"}},
        evidence=Evidence.RECORDING,
        recordings=(f"{SENAITE}/pentra_xlr.txt",),
        note="R5 is a number that says which set of units is on: declare `unit` in `tests`. Status N is a rejected "
        "result, D one by dilution, W a suspicion; dashes stand for a value that is not given.",
    ),
    Dialect(
        name="amplilink",
        models=("Roche COBAS TaqMan 96", "Roche COBAS TaqMan 48"),
        sign=r"\bAMPLILINK\b",
        options={
            "value_pattern": r"^(?P<value>[<>]? ?\S+) \((?P<log10>\d+[.,]\d+)\)$",
            "qc": (*CONTROLS, Mark(field="O3", pattern=r"\([+-]\) ?C\b")),
        },
        evidence=Evidence.RECORDING,
        recordings=(f"{INTELIS} TaqMan 96 captures",),
        note="Titers come with their logarithm in brackets: `2.52E+3 (3.40)`; it goes into `attributes.log10`.",
    ),
    Dialect(
        name="cobas-e411",
        models=("Roche cobas e 411", "Roche Elecsys 2010"),
        sign=r"(?i)\b(cobas[-_ ]?e ?411|e411|elecsys)",
        options={"qualitative": _ELECSYS, "name": r"^\^*(\d+)"},
        note="Qualitative tests send `call^index`: the index is the value, the call the interpretation "
        "(Host Interface Manual 2.3, result record). R3 is `^^^test/dilution/predilution`.",
    ),
    Dialect(
        name="cobas-c111",
        models=("Roche cobas c 111",),
        sign=r"(?i)\bc[- ]?111\b|^c111",
        options={"specimen": ("O3", "O4.1")},
        evidence=Evidence.RECORDING,
        recordings=(f"{SENAITE}/cobas_c111.txt",),
        note="The specimen typed in is the first component of O4; M records bring the raw readings.",
    ),
    Dialect(
        name="cobas-c",
        models=("Roche cobas c 311", "Roche cobas c 501", "Roche cobas 6000", "Roche cobas 8000", "Hitachi 7600"),
        sign=r"(?i)^(c ?(311|501|502|503|701|702)|H7600|H79\d\d|modular|cobas[-_ ]?(c ?\d|6000|8000|pure|pro)\w*)\b",
        options={
            "specimen": ("O3.2", "O3.*"),
            "qualitative": _ELECSYS,
            "name": r"^\^*(\d+)",
        },
        evidence=Evidence.RECORDING,
        recordings=(f"{SENAITE}/cobas_c311.txt", f"{SENAITE}/cobas_311.txt", f"{SENAITE}/hitachi_7600.txt"),
        note="O3 is the specimen alone, or `count^specimen^...`; O4 tells rack and position, and QC for a control. "
        "R3 is `^^^test/dilution`; the time stands in O23.",
    ),
    Dialect(
        name="sysmex-x",
        models=("Sysmex XN", "Sysmex XN-L", "Sysmex XS", "Sysmex XT", "Sysmex XP", "Sysmex KX-21N", "Sysmex pocH-100i"),
        sign=r"(?i)^(XN|XS|XT|XE|XP|XR|KX|pocH)(-?\d|\^|$)",
        options=_SYSMEX,
        evidence=Evidence.RECORDING,
        recordings=(f"{SENAITE}/sysmex_xn550.txt", f"{SENAITE}/sysmex_xp100.txt"),
        note="The specimen is the third component of O4, after rack and position; controls are called `QC-...`. "
        "Scattergrams are kept as the names of their files.",
    ),
    Dialect(
        name="sysmex-ca",
        models=("Sysmex CA", "Sysmex CS-1600", "Sysmex CS-2500", "Sysmex CS-5100", "Sysmex CN"),
        sign=r"(?i)^(CA|CS|CN)-?\d",
        options={"specimen": ("O4.3", "O3.3", "O3.*", "O4.*")},
        note="As the haematology analysers: the specimen is the third component of O4. R3 is "
        "`^^^code^test~unit^dilution^...` (published message logs of a laboratory's interface).",
    ),
    Dialect(
        name="sysmex-u",
        models=("Sysmex UN-2000 with U-WAM", "Sysmex UC-3500", "Sysmex UF-4000", "Sysmex UF-5000"),
        sign=r"(?i)^(U-WAM|U[CFN]-\d{4})",
        options={"value": "R4.1", "qualitative": _GRADES},
        note="R4 is `value^RAW` or `value^MAINFORMAT`: a test has a row in each, in the units of each; one of them may "
        "be blank. A strip's grade may stand in either (a laboratory's published wire log).",
    ),
    Dialect(
        name="afinion",
        models=("Abbott Afinion 2", "Alere Afinion AS100"),
        sign=r"(?i)\bafinion",
        options={"specimen": ("O4", "O3"), "time": ("R13", "R12", "H14"), "lot": ("O24.2",)},
        evidence=Evidence.RECORDING,
        recordings=(f"{SENAITE}/abbott_afinion2.txt",),
        note="The specimen number stands in O4, the cartridge lot in O24.",
    ),
    Dialect(
        name="dca-vantage",
        models=("Siemens DCA Vantage",),
        sign=r"(?i)\bDCA\b",
        options={"specimen": ("O3", "P3", "P4"), "patient": ()},
        evidence=Evidence.RECORDING,
        recordings=(f"{SENAITE}/dca_vantage.txt",),
        note="The identifier typed in stands in P3; O4 counts the instrument's own records.",
    ),
    Dialect(
        name="architect",
        models=("Abbott ARCHITECT", "Abbott Alinity ci-series (ASTM)"),
        sign=r"(?i)^(ARCHITECT|Alinity)\b",
        options={"passing": (8, 9), "lot": ("R3.8",), "aspects": _ASPECTS},
        note="A test has up to three rows: R3 ends in F (the result), I (its interpretation), P (the signal). R3 also "
        "tells the reagent's lot and serial number: the key of `tests` is R3 without them, "
        "`^^^0021^B-hCG^UNDILUTED^P^^^^F`.",
    ),
    Dialect(
        name="m2000",
        models=("Abbott m2000rt", "Abbott RealTime"),
        sign=r"(?i)^m2000",
        options={
            "passing": (6, 7),
            "lot": ("R3.6",),
            "aspects": {**_ASPECTS, "P": "cycle"},
            "qc": (*CONTROLS, Mark(field="O3", pattern=r"(?i)^[A-Z0-9]+_(NEG|LOPOS|HIPOS|CAL ?[AB])(_|$)")),
        },
        evidence=Evidence.RECORDING,
        recordings=("github.com/deforay/vlsm tests/Unit/Utilities/AnalyzerRawTextTest.php",),
        note="R3 ends in F (the result), I (its interpretation), P (the cycle number) and tells the reagent's lot: the "
        "key of `tests` is R3 without it. A failed order has no result: O26 is X, the reason a comment.",
    ),
    Dialect(
        name="access",
        models=("Beckman Coulter Access 2", "Beckman Coulter DxI 600/800"),
        sign=r"(?i)^(ACCESS|DxI|UniCel)\b",
        note="As the standard says; R3 may name the test with its reagent's version, `^^^B12II^1` "
        "(published message logs of laboratories' interfaces).",
    ),
    Dialect(
        name="maglumi",
        models=("Snibe MAGLUMI 600/800/1000/2000/4000/X3/X8",),
        sign=r"(?i)^(maglumi|snibe)",
        note="As the standard says; the header has a day only, each result its own time (published message logs of "
        'laboratories\' interfaces). An analyser that waits for an ACK to STX alone needs `framing = "bare"`.',
    ),
    Dialect(
        name="mindray",
        models=("Mindray BS-120 to BS-800", "Mindray CL-900i to CL-2000i", "Mindray-like: eCL 8000"),
        sign=r"(?i)^(mindr|BS-?\d|CL-?\d)",
        processing="PR|QR|CR",
        options={
            "specimen": ("O4.1", "O3"),
            "time": ("R14", "R13", "R12", "O23", "H14"),
            "flags": ("R7", "R8"),
            "status": ("R9", "R10"),
            "operator": (),
        },
        note="The specimen's bar code stands in O4, O3 is `number^tray^position`; H12 says PR for patients, QR for "
        "controls. Some versions send a range more: flag and status then stand one field further on "
        "(Host Interface Manual, chapter 2).",
    ),
    Dialect(
        name="urised",
        models=("77 Elektronika UriSed", "77 Elektronika LabUMat 2", "77 Elektronika Urilyzer 100 Pro"),
        sign=r"(?i)^(urised|labumat|LUP?2?\b|urilyzer)",
        options={"time": ("R13", "R12", "O15", "O23", "H14"), "qualitative": _GRADES},
        note="The time may stand in O15 only. Sediment has rows of its own for the count a field, the count a "
        "microlitre and the call, told apart by the LOINC code in R3 (published message logs).",
    ),
    Dialect(
        name="cobas-u",
        models=("Roche Urisys 1100", "Roche cobas u 411"),
        sign=r"(?i)^(urisys|cobas[ _-]?u[ _-]?\d)",
        options={
            "specimen": ("O3", "O4.2"),
            "value": "R4.1",
            "call": "R4.2",
            "qualitative": _GRADES,
            "time": ("R13", "R12", "O15", "O23", "H14"),
        },
        note="R4 is `concentration^grade`, or one of them; the specimen's identifier may stand behind the running "
        "number in O4 (the operators' manuals' printed examples).",
    ),
    Dialect(
        name="vitros",
        models=("Ortho VITROS ECi", "Ortho VITROS ECiQ", "Ortho VITROS 250/350/5600"),
        sign=r"(?i)^VITROS",
        options={"name": r"\+(\w+)\+", "flags": "R7.1"},
        note="R3 is `^^^dilution+test+diluent`, the dilution not always written as it was ordered (a laboratory's "
        "published wire log).",
    ),
    Dialect(
        name="immunocap",
        models=("Phadia ImmunoCAP 100/250", "Phadia Prime / Data Manager"),
        sign=r"(?i)ImmunoCAP|Phadia",
        options={"value": "R4.1", "call": "R4.3"},
        note="R4 is `concentration^class^call^...`.",
    ),
)
_speaking = recogniser(VARIANTS)


def recognised(sender: str, processing: str, options: AstmOptions) -> tuple[AstmOptions, str | None]:
    """The options as the dialect of an instrument that calls itself `sender` presets them, and its name.

    `processing` is H12.
    """
    if not options.recognise:
        return options, None
    by_marks = (each for each in VARIANTS if each.processing and re.fullmatch(each.processing, processing))
    return preset(options, _speaking(sender) or next(by_marks, None))
