"""What a `[[devices]]` table may say about an ASTM analyser."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from drivers.kit.declare import Options
from drivers.kit.results import CONTROLS, Encoding, Mark, Place


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


class AstmOptions(Options):
    """Places are written "R4" (a field of the record) or "O3.1" (a component of it), as the standard counts."""

    framing: Literal["lis01", "none"] = "lis01"
    """"lis01": ENQ, checksummed frames, EOT. "none": records as plain lines (files, some TCP senders)."""
    encoding: Encoding | None = None
    """Character set. Undeclared: UTF-8, else ISO 8859-1 with the result marked uncertain."""
    recognise: bool = True
    """Take a known dialect's presets where the instrument names itself in H5; options given here go first."""
    specimen: tuple[Place, ...] = ("O3", "O4")
    patient: tuple[Place, ...] = ("P3", "P4", "P5")
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
    qc: tuple[Mark, ...] = CONTROLS
    """Marks of a control material; any one of them makes the result a QC result."""
    host_query: Literal["answer", "ignore"] = "answer"
    """"answer": tell an analyser that asks for orders that there are none (some stall without an answer)."""
    demographics: bool = False
    """Keep name, birth date, sex, address and the like in the observations' attributes."""
    max_frame: int = Field(65_536, ge=300, le=16_777_216)
    frame_size: int = Field(240, ge=16, le=63_993)
    split: Literal["record", "text"] = "record"
    """How we send: one record a frame, or the whole text cut by `frame_size`."""
