"""What a `[[devices]]` table may say about an ASTM analyser."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from drivers.kit.analyser import AnalyserOptions
from drivers.kit.astm_places import Place


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]
Meaning = Literal["final", "preliminary", "corrected", "cancelled", "doubtful"]


class AstmOptions(AnalyserOptions):
    """Where an analyser says what, in places such as "R4" (a field) or "O3.1" (a component of it)."""

    recognise: bool = True
    """Take a known dialect's presets where the instrument names itself in H5; options given here go first."""
    time: tuple[Place, ...] = ("R13", "R12", "O23", "H14")
    """When it was measured: the first that holds a time; `time_source` in the attributes says which."""
    value: Annotated[str, Field(pattern=r"^R[1-9]\d?(\.[1-9]\d?|\.\*)?$")] = "R4"
    """"R4.2": that component; "R4.*": the whole field, its components together."""
    value_pattern: Pattern = ""
    """A regular expression whose group `value` is the value; its other named groups become attributes."""
    call: Place | Literal[""] = ""
    """Where the qualitative call stands, if it is not in the value's own field."""
    qualitative: dict[str, str] = Field(default_factory=dict)
    """First component of the value -> call, for analysers that send `call^index` ("-1" = "negative") or a grade
    alone ("+-" = "indeterminate"), in any case of letters."""
    withheld: Pattern = ""
    """A regular expression of the whole value that stands for none, besides dashes, asterisks and five pluses."""
    flagged: dict[str, str] = Field(default_factory=dict)
    """Flag -> call, where a result without a value is a message of the analyser's ("A" = "abnormal")."""
    unit: Place | Literal[""] = "R5"
    flags: Place | Literal[""] | tuple[Place, ...] = "R7"
    """Of several places the first that holds letters: some makers' fields stand one further on."""
    doubtful_flags: tuple[str, ...] = ()
    """Flags by which the analyser says that a value is not reliable."""
    status: tuple[Place, ...] = ("R9",)
    statuses: dict[str, Meaning] = Field(default_factory=dict)
    """The maker's own letters of a result status."""
    operator: tuple[Place, ...] = ("R11.1",)
    run: tuple[Place, ...] = ()
    lot: tuple[Place, ...] = ()
    lot_expiry: tuple[Place, ...] = ()
    loinc: tuple[Place, ...] = ("R3.1",)
    """Where a LOINC code may stand; taken only with a right check digit."""
    passing: tuple[int, ...] = ()
    """Components of R3 that differ from run to run (a reagent lot): the key of `tests` is R3 without them."""
    name: Pattern = ""
    """A regular expression on R3 whose first group names the quantity."""
    aspects: dict[str, str] = Field(default_factory=dict)
    """Last component of R3 -> what is added to the quantity's name ("I" = "interpretation"); "-": no result."""
