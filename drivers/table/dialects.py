"""Whose export has which columns: variants as data."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from drivers.table.dialects_care import CARE
from drivers.table.dialects_loggers import LOGGERS
from drivers.table.dialects_pcr import PCR

# What the driver's example declares, as it is where nothing does: a variant stands for itself.
PLAIN: Final = {
    "separator": ",",
    **dict.fromkeys(("time", "specimen", "operator", "kind", "samples", "qc", "empty"), ()),
}

VARIANTS: Final = tuple(replace(variant, options={**PLAIN, **variant.options}) for variant in (*CARE, *PCR, *LOGGERS))
