"""Instruments' register tables as data."""

from __future__ import annotations

from drivers.kit.declare import Variant

VARIANTS: tuple[Variant, ...] = ()
