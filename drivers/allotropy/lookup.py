"""Looking into documents: lists that are lists, numbers that are numbers, names wherever they stand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

MOST_DEPTH: Final = 12


def everywhere(value: Any, name: str, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Every object of that name in it."""
    if isinstance(value, dict) and depth < MOST_DEPTH:
        for key, inner in value.items():
            if key == name and isinstance(inner, dict):
                yield inner
            elif isinstance(inner, dict | list):
                yield from everywhere(inner, name, depth + 1)
    elif isinstance(value, list) and depth < MOST_DEPTH:
        for inner in value:
            yield from everywhere(inner, name, depth + 1)


def objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; of anything else none."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def number(datum: Any) -> int | float | None:
    """The value of a number with a unit; None for what was put in for a missing one."""
    value = datum.get("value") if isinstance(datum, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return None if value == 0 and math.copysign(1.0, value) < 0 else value


def find(value: Any, name: str, depth: int = 0) -> Any:
    """The first thing of that name anywhere in it."""
    if depth > MOST_DEPTH:
        return None
    if isinstance(value, dict):
        if name in value:
            return value[name]
        value = list(value.values())
    if isinstance(value, list):
        return next((found for one in value if (found := find(one, name, depth + 1)) is not None), None)
    return None


def first(body: Mapping[str, Any], name: str) -> str | None:
    """The first text of that name anywhere in it."""
    found = find(body, name)
    return found if isinstance(found, str) and found != "N/A" else None
