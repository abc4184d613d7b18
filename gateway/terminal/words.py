"""How texts, values and times are written on a terminal. What instruments and people wrote is hostile: an escape
sequence would be the terminal's to obey, a direction override would turn -80 around."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from typing import Final

from rich.cells import cell_len, set_cell_size

MOST: Final = 1000  # characters of one text
STANDS_FOR: Final = "\N{REPLACEMENT CHARACTER}"
SIGNS: Final = {"Cel": "°C", "[degF]": "°F", "1": ""}  # others are written as UCUM has them
LONGEST_INT: Final = 10**15


def plain(text: str) -> str:
    """The text on one line, without anything a terminal acts on: control, format and direction characters."""
    return "".join(_plain(one) for one in text[:MOST]) + ("…" if len(text) > MOST else "")


def _plain(one: str) -> str:
    if one in "\t\n" or unicodedata.category(one) == "Zs":
        return " "
    return one if one.isprintable() else STANDS_FOR


def readable(text: str) -> str:
    """Rules write UCUM; people read °C."""
    return re.sub(r"(\d) Cel\b", r"\1 °C", text)


def figures(number: float) -> str:
    """At most seven figures: more is noise of the conversion."""
    return str(number) if isinstance(number, int) and abs(number) < LONGEST_INT else f"{number:.7g}"


def measured(
    value: float | bool | str | None, unit: str | None = None, comparator: str | None = None, call: str | None = None
) -> str:
    """A value with its unit; where there is no value, what it was called (`positive`)."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        sign = SIGNS.get(unit or "", unit or "")
        return f"{comparator or ''}{figures(value)}{sign and ' '}{sign}"
    return value or (call or "-").replace("-", " ")


def duration(seconds: float) -> str:
    """In one unit, cut down: 59 s, 12 min, 3 h, 40 d."""
    whole = max(0, int(seconds))
    for length, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if whole >= length:
            return f"{whole // length} {name}"
    return f"{whole} s"


def clock(moment: float) -> str:
    """Unix seconds as this machine's time of day, with the date on other days; a wrong clock may say any."""
    try:
        at = datetime.fromtimestamp(moment).astimezone()
    except (ValueError, OverflowError, OSError):
        return "at no time"
    today = at.date() == datetime.now().astimezone().date()
    return f"{at:%H:%M:%S}" if today else f"{at:%Y-%m-%d %H:%M:%S}"


def cut(text: str, width: int) -> str:
    """Exactly so many cells wide. What does not fit shows that it goes on."""
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"
