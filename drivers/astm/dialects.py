"""How makers depart from the standard: presets of the options, and how such an instrument names itself in H5."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from drivers.astm.options import AstmOptions
from drivers.kit.declare import Evidence, Variant
from drivers.kit.results import CONTROLS, Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One maker's way. `sender` is looked for in H5 and H6; without it the dialect has to be declared."""

    name: str
    models: tuple[str, ...]
    sender: str = ""
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    evidence: Evidence = Evidence.MANUAL
    note: str = ""
    recordings: tuple[str, ...] = ()
    device: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


DIALECTS = (
    Dialect(
        name="euroimmun",
        models=("Euroimmun Analyzer I",),
        options={"specimen": ("P4", "P3"), "patient": ()},
        evidence=Evidence.RECORDING,
        recordings=("github.com/blutspende/go-astm examples/euroimmun_analyzer1_v10",),
        device={"decimal": ","},
        note="The specimen stands in P4 only, and the header names nobody; numbers come with a decimal comma.",
    ),
    Dialect(
        name="bio-rad-ih",
        models=("Bio-Rad IH-1000", "Bio-Rad IH-500"),
        sender=r"\bIH v|\bIH-(500|1000)\b",
        options={"value": "R4.*", "unit": ""},
        evidence=Evidence.RECORDING,
        recordings=("github.com/blutspende/go-astm examples/ihcom_v52",),
        note="A blood group is several components (ABO^RhD^...): they stay together. R5 is no unit.",
    ),
    Dialect(
        name="yumizen",
        models=("Horiba Yumizen H500", "Horiba Yumizen H550"),
        sender=r"^H5[05]0(\^|$)",
        options={"loinc": ("R3.5", "R3.1")},
        evidence=Evidence.RECORDING,
        recordings=("github.com/blutspende/go-astm examples/yumizen",),
        note="R3 brings a LOINC code beside the maker's name; controls are marked in H12 and O16.",
    ),
    Dialect(
        name="amplilink",
        models=("Roche COBAS TaqMan 96", "Roche COBAS TaqMan 48"),
        sender=r"\bAMPLILINK\b",
        options={"value_pattern": r"^(?P<value>\S+) \((?P<log10>\d+[.,]\d+)\)$"},
        evidence=Evidence.RECORDING,
        recordings=("github.com/deforay/intelis-interfacing TaqMan 96 captures",),
        note="Titers come with their logarithm in brackets: `2.52E+3 (3.40)`; it goes into `attributes.log10`.",
    ),
    Dialect(
        name="cobas-e411",
        models=("Roche cobas e 411", "Roche Elecsys 2010"),
        sender=r"(?i)\b(cobas[- ]?e ?411|e411|elecsys)",
        options={"qualitative": {"-1": "negative", "0": "indeterminate", "1": "positive"}},
        note="Qualitative tests send `call^index`: the index is the value, the call the interpretation "
        "(Host Interface Manual 2.3, result record).",
    ),
    Dialect(
        name="sysmex-x",
        models=("Sysmex XN", "Sysmex XN-L", "Sysmex XS", "Sysmex XT"),
        sender=r"(?i)^(XN|XS|XT|XE|XP)-?\d",
        options={
            "specimen": ("O4.3", "O3"),
            "qc": (*CONTROLS, Mark(field="O4.3", prefix="QC-")),
        },
        note="The specimen is the third component of O4, after rack and position; controls are called `QC-...`.",
    ),
    Dialect(
        name="afinion",
        models=("Abbott Afinion 2", "Alere Afinion AS100"),
        sender=r"(?i)\bafinion",
        options={"specimen": ("O4", "O3"), "time": ("R13", "R12", "H14"), "lot": ("O24.2",)},
        note="The specimen number stands in O4, the cartridge lot in O24.",
    ),
    Dialect(
        name="dca-vantage",
        models=("Siemens DCA Vantage",),
        sender=r"(?i)\bDCA\b",
        options={"specimen": ("O3", "P3", "P4"), "patient": ()},
        note="The identifier typed in stands in P3; O4 counts the instrument's own records.",
    ),
)

VARIANTS = tuple(
    Variant(
        name=each.name,
        models=each.models,
        options=each.options,
        evidence=each.evidence,
        note=each.note,
        recordings=each.recordings,
        device=each.device,
    )
    for each in DIALECTS
)


@lru_cache(256)  # instruments call themselves few names; whoever makes up others fills no more than this
def _speaking(sender: str) -> Dialect | None:
    return next((each for each in DIALECTS if each.sender and re.search(each.sender, sender)), None)


def recognised(sender: str, options: AstmOptions) -> tuple[AstmOptions, str | None]:
    """The options as the dialect of an instrument that calls itself `sender` presets them, and its name.

    What the configuration says, a variant included, goes before the preset.
    """
    dialect = _speaking(sender) if options.recognise and sender else None
    if dialect is None:
        return options, None
    given = options.model_fields_set
    preset = {name: value for name, value in dialect.options.items() if name not in given}
    return options.model_copy(update=preset), dialect.name
