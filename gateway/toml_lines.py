"""Where a key stands in a TOML file: tomllib keeps no lines, and an error without a line is no help."""

from __future__ import annotations

import re
from collections.abc import Sequence

Path = tuple[str | int, ...]

_TABLE = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(
    r"""^\s*((?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'""")
_QUOTED = re.compile(r'"""|\'\'\'|"(?:[^"\\]|\\.)*"|\'[^\']*\'|#.*')


def _split(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


class _Tables:
    """Turns table headings into paths with array positions."""

    def __init__(self) -> None:
        self._counts: dict[Path, int] = {}

    def enter(self, dotted: str, *, array: bool) -> Path:
        path: Path = ()
        parts = _split(dotted)
        for number, part in enumerate(parts):
            path = (*path, part)
            if array and number == len(parts) - 1:
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path = (*path, self._counts[path])
        return path


def lines(text: str) -> dict[Path, int]:
    """Line number (from 1) of every table heading and key; keys inside inline tables stand where their table does."""
    found: dict[Path, int] = {}
    tables, depth, quote = _Tables(), 0, ""
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if quote:
            if quote in line:
                quote = ""
            continue
        if not depth:
            if heading := _TABLE.match(line):
                table = tables.enter(heading[2], array=heading[1] == "[[")
                found.setdefault(table, number)
                continue
            if key := _KEY.match(line):
                path = (*table, *_split(key[1]))
                for end in range(len(table) + 1, len(path) + 1):
                    found.setdefault(path[:end], number)
        depth, quote = _nesting(line, depth)
    return found


def _nesting(line: str, depth: int) -> tuple[int, str]:
    """Bracket depth after this line, and the quote mark of a text that goes on after it."""
    bare = ""
    position = 0
    while match := _QUOTED.search(line, position):
        bare += line[position : match.start()]
        position = match.end()
        if match[0] in ('"""', "'''"):
            close = line.find(match[0], position)
            if close < 0:
                return max(0, depth + _balance(bare)), match[0]
            position = close + 3
    bare += line[position:]
    return max(0, depth + _balance(bare)), ""


def _balance(bare: str) -> int:
    return bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}")


def line_of(found: dict[Path, int], path: Sequence[str | int]) -> int:
    """The line of `path`, or of the nearest thing around it that has one (1 where nothing has)."""
    at = tuple(path)
    while at:
        if at in found:
            return found[at]
        at = at[:-1]
    return 1
