"""Makers' dialects that are recognised by what a sender calls itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

from drivers.kit.declare import Options, Variant

MOST_NAMES = 500  # characters of a sender's names that are looked at
Given = TypeVar("Given", bound=Options)


def recogniser(variants: Sequence[Variant]) -> Callable[[str], Variant | None]:
    """What gives the first variant whose sign fits what a sender calls itself."""

    @lru_cache(256)  # instruments call themselves few names; whoever makes up others fills no more than this
    def speaking(names: str) -> Variant | None:
        return next((each for each in variants if each.sign and re.search(each.sign, names)), None)

    return lambda names: speaking(names[:MOST_NAMES]) if names else None


def preset(options: Given, variant: Variant | None) -> tuple[Given, str | None]:
    """The options as a recognised variant presets them, and its name. What the configuration says goes before."""
    if variant is None:
        return options, None
    given = options.model_fields_set
    return options.model_copy(update={k: v for k, v in variant.options.items() if k not in given}), variant.name
