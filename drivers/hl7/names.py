"""What an observation's test is called: its own name, the others it may be known by, the quantity's."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, Protocol

from drivers.hl7.options import Hl7Options
from drivers.hl7.values import Said
from drivers.kit.hl7_groups import Entry

# Units of a test's signal, cycle threshold or logarithm beside its result.
_ASPECTS: Final = (
    ("log", re.compile(r"(?i)log")),
    ("rlu", re.compile(r"(?i)(k?rlu|cps)\Z")),
    ("ct", re.compile(r"(?i)(c[tqnp]|cycles?( numbers?)?)\Z")),
)
_JAPANESE: Final = frozenset({"JC10", "JLAC10", "JC11", "JLAC11"})  # codes of 17 characters that nobody reads
_NUMBER: Final = re.compile(r"[\d.]+")


class Named(Protocol):
    """A result that is given its names."""

    entry: Entry
    told: Said
    test: str
    codes: tuple[str, ...]
    aspect: str


def test_name(entry: Entry, options: Hl7Options) -> str:
    """The test's name. A 0 is none: analysers that name their tests in OBX-4 send it in OBX-3; and OBX-4 names none
    where it counts and another place does."""
    told = [(place, text) for place in options.test if (text := entry.said(place)) and text != "0"]
    if not told:
        return ""
    place, first = told[0]
    if place == "OBX-4" and _NUMBER.fullmatch(first):
        return next((text for _, text in told[1:] if re.search(r"[^\W\d_]", text)), first)
    return first


def named(results: Sequence[Named], options: Hl7Options) -> None:
    """Give the results of one order their names.

    A code or text that several of them share is the first one's only; a signal, a cycle threshold or a logarithm beside
    the result of the same test is known by its own name alone.
    """
    for result in results:
        entry = result.entry
        result.test = test_name(entry, options) or entry.said("OBR-4.1") or entry.said("OBR-4.2") or "result"
    _tell_apart(results)
    owners = {result.test: result.test for result in results}
    for result in results:
        if not result.aspect:
            told = _others(result.entry, result.test)
            result.codes = tuple(each for each in told if owners.setdefault(each, result.test) == result.test)


def _tell_apart(results: Sequence[Named]) -> None:
    """Find the results that are an aspect of another's test."""
    same: dict[str, list[Named]] = {}
    for result in results:
        same.setdefault(result.test, []).append(result)
    for test, alike in same.items():
        aspects = [(each, found) for each in alike if (found := _aspect(each.told.unit))]
        if 0 < len(aspects) < len(alike):
            for each, found in aspects:
                each.test = f"{test}^{each.entry.said('OBX-4') or each.told.unit}"
                each.aspect = found


def _aspect(unit: str | None) -> str:
    return next((name for name, shape in _ASPECTS if shape.match(unit)), "") if unit else ""


def _others(entry: Entry, test: str) -> tuple[str, ...]:
    """The codes and texts of OBX-3, the sender's and the alternate one; of a bare number OBX-4's text too."""
    pieces = [*entry.obx.components(3), *[""] * 5]
    sub = entry.said("OBX-4")
    told = [pieces[0], pieces[1], pieces[3], pieces[4]]
    if _NUMBER.fullmatch(pieces[0]) and re.search(r"[^\W\d_]", sub):
        told.append(sub)
    return tuple(dict.fromkeys(piece for each in told if (piece := each.strip()) and piece not in (test, "0")))


def quantity(result: Named, options: Hl7Options) -> str | None:
    """A name for a test that is called by a bare number; None where its own name says enough."""
    entry, test = result.entry, result.test.split("^")[0] if result.aspect else result.test
    made = None
    if not re.search(r"[A-Za-z]", test) or entry.obx.at(3, 3).upper() in _JAPANESE:
        made = next((name for place in options.name if (name := _readable(entry.said(place)))), None)
    if result.aspect:
        return f"{made or _slug(test)}-{result.aspect}"
    return made


def _readable(text: str) -> str:
    return _slug(text.replace("#", " count").replace("%", " percent")) if re.search(r"[A-Za-z]", text) else ""


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].rstrip("-")
