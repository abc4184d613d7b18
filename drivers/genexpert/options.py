"""What a `[[devices]]` table may say about a GeneXpert."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from drivers.kit.declare import Options
from drivers.kit.results import CONTROLS, Encoding, Mark, Place


class GeneXpertOptions(Options):
    """Places are written "O3" or "O3.1": record, field and component as the standard counts."""

    framing: Literal["lis01", "none"] = "lis01"
    encoding: Encoding | None = "utf-8"
    language: Literal["en", "fr"] = "en"
    """What the simulated instrument speaks. Both are understood; a French one also needs `decimal = ","`."""
    specimen: tuple[Place, ...] = ("O3",)
    patient: tuple[Place, ...] = ("P3", "P4", "P5")
    qc: tuple[Mark, ...] = CONTROLS
    host_query: Literal["answer", "ignore"] = "answer"
    demographics: bool = False
    max_frame: int = Field(65_536, ge=300, le=16_777_216)
    frame_size: int = Field(240, ge=16, le=63_993)
    split: Literal["record", "text"] = "text"
