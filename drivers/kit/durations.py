"""Durations as people write them in a configuration: "250ms" "10s" "5m" "2h" "7d"."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
REMEDY = 'Write a number and its unit in quotes: "250ms", "10s", "5m", "2h" or "7d".'

_WRITTEN = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s?(ms|s|m|h|d)")


def seconds(text: str) -> float:
    """ "250ms" -> 0.25. ValueError where `text` is not a duration."""
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration. {REMEDY}")
    return float(match[1]) * SECONDS[match[2]]


def written(duration: float) -> str:
    """0.25 -> "250ms": in the largest unit that leaves a whole number."""
    for unit in ("d", "h", "m", "s"):
        if duration and duration % SECONDS[unit] == 0:
            return f"{duration / SECONDS[unit]:.0f}{unit}"
    return f"{duration * 1000:g}ms"


def _read(given: Any) -> float:
    if isinstance(given, str):
        return seconds(given)
    if isinstance(given, int | float) and not isinstance(given, bool):
        raise ValueError(f"{given} has no unit. {REMEDY}")
    raise ValueError(f"is not a duration. {REMEDY}")


Duration = Annotated[
    float,
    BeforeValidator(_read),
    PlainSerializer(written, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\d{1,9}(\.\d{1,6})?\s?(ms|s|m|h|d)\s*$"}),
]
"""Seconds as a float, written as a text with its unit."""
