"""What a `[[devices]]` table may say about an ASTM analyser."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from drivers.kit.analyser import AnalyserOptions
from drivers.kit.results import Place


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


class AstmOptions(AnalyserOptions):
    """Where an analyser says what, in places such as "R4" (a field) or "O3.1" (a component of it)."""

    recognise: bool = True
    """Take a known dialect's presets where the instrument names itself in H5; options given here go first."""
    time: tuple[Place, ...] = ("R13", "R12", "O23", "H14")
    """When it was measured: the first that holds a time; `time_source` in the attributes says which."""
    value: Annotated[str, Field(pattern=r"^R[1-9]\d?(\.[1-9]\d?|\.\*)?$")] = "R4"
    """"R4.2": that component; "R4.*": the whole field, its components together."""
    value_pattern: Annotated[str, AfterValidator(_compiles)] = ""
    """A regular expression whose group `value` is the value; its other named groups become attributes."""
    qualitative: dict[str, str] = Field(default_factory=dict)
    """First component of the value -> call, for analysers that send `call^index` ("-1" = "negative")."""
    unit: Place | Literal[""] = "R5"
    flags: Place | Literal[""] = "R7"
    operator: tuple[Place, ...] = ("R11",)
    run: tuple[Place, ...] = ()
    lot: tuple[Place, ...] = ()
    lot_expiry: tuple[Place, ...] = ()
    loinc: tuple[Place, ...] = ("R3.1",)
    """Where a LOINC code may stand; taken only with a right check digit."""
