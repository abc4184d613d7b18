"""What a `[[devices]]` table may say about a GeneXpert."""

from __future__ import annotations

from typing import Literal

from drivers.kit.analyser import AnalyserOptions
from drivers.kit.astm_places import Place
from drivers.kit.results import Encoding


class GeneXpertOptions(AnalyserOptions):
    """What a GeneXpert does in its own way."""

    encoding: Encoding | None = "utf-8"
    language: Literal["en", "fr"] = "en"
    """What the simulated instrument speaks. Both are understood; a French one also needs `decimal = ","`."""
    specimen: tuple[Place, ...] = ("O3",)
    patient: tuple[Place, ...] = ("P5", "P3", "P4")
    """P5 is Patient ID 1, P3 Patient ID 2 (LIS Interface Protocol Specification 301-2002)."""
    split: Literal["record", "text"] = "text"
