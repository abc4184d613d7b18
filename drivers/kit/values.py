"""Numbers and times as instruments write them. Nothing is guessed: what does not fit exactly is not read."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final, Literal

from drivers.kit.observation import Comparator

TimeOrder = Literal["ymd", "dmy", "mdy"]

MOST_CHARACTERS: Final = 64  # of a number
_COMPARATORS: Final[dict[str, Comparator]] = {
    "<=": "<=", "=<": "<=", "≤": "<=", ">=": ">=", "=>": ">=", "≥": ">=",
    "<": "<", ">": ">", "﹤": "<", "＜": "<", "＞": ">",
}  # fmt: skip
_COMPARED = re.compile(r"\s*(<=|=<|≤|>=|=>|≥|<|>|﹤|＜|＞)\s*(.*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?|[+-]?\.\d+(?:[eE][+-]?\d{1,3})?")
_TIMES_TEN = re.compile(r"\s*[x×*]\s*10\s*(?:\*|\^|\*\*)\s*([+-]?\d{1,2})$")
_BEHIND = re.compile(r"[%A-Za-zµμ°\[{][^\s]{0,31}")  # looks like a unit
# "37°C", "3.4mg/mmol": with letters alone it could be a code, "2A".
_ATTACHED = re.compile(r"(.*\d)\s*([%°℃‰]\S{0,8}|[A-Za-zµμ]{1,6}/[A-Za-zµμ]{1,8}\d?)")
# Abnormal flags some instruments print behind the number. "12 L" may be low or litres: it is neither here.
FLAGS: Final = frozenset(("L", "H", "LL", "HH", "N", "A", "AA", "S", "R", "I", "U", "D", "B", "W", "HI", "LO"))
_MOST_POWER: Final = 300  # of ten; what a double holds with all its digits
_BLANKS = str.maketrans({"\u00a0": " ", "\u202f": " ", "’": "'"})  # thousands as typographers write them
_NOTE = re.compile(r"(.*?\S)\s*(\([^()]*\))\s*$", re.DOTALL)
_STARRED = re.compile(r"\*\s*([^*]*\d[^*]*)|([^*]*\d)\s*\*")
STAR: Final = "*"  # the note of a number an asterisk stands by: analysers mark so what they do not rely on


@dataclass(frozen=True, slots=True)
class Number:
    """A number with what stood around it."""

    value: Decimal
    comparator: Comparator | None = None
    unit: str | None = None  # a unit written behind it
    note: str | None = None  # a remark in brackets, or a flag, behind it


def split_comparator(text: str) -> tuple[Comparator | None, str]:
    """ "< 20" -> ("<", "20"); also written ≤ or &lt;."""
    match = _COMPARED.match(html.unescape(text) if "&" in text else text)
    return (_COMPARATORS[match[1]], match[2].strip()) if match else (None, text.strip())


@lru_cache(maxsize=64)
def _grouped(decimal: str, thousands: str) -> re.Pattern[str]:
    d, t = re.escape(decimal), re.escape(thousands)
    return re.compile(rf"([+-]?)(\d{{1,3}}(?:{t}\d{{3}})+)({d}\d+)?((?:[eE][+-]?\d{{1,3}})?)")


def plain_number(text: str, decimal: str = ".", thousands: str | None = None) -> Decimal | None:
    """A number written with exactly this decimal sign and these thousands; None for anything else."""
    text = text.strip().replace("−", "-")
    if not text.isascii():
        text = text.translate(_BLANKS)
    if not text or len(text) > MOST_CHARACTERS:
        return None
    times_ten = _TIMES_TEN.search(text)
    if times_ten:
        text = text[: times_ten.start()].strip()
    if thousands and (match := _grouped(decimal, thousands).fullmatch(text)):
        text = match[1] + match[2].replace(thousands, "") + (match[3] or "").replace(decimal, ".") + match[4]
    elif decimal != ".":
        if "." in text:
            return None
        text = text.replace(decimal, ".", 1)
    if not _NUMBER.fullmatch(text) or not text.isascii():
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    if times_ten:
        value = value.scaleb(int(times_ten[1]))
    return value if not value or abs(value.adjusted()) < _MOST_POWER else None


def number(text: str, decimal: str = ".", thousands: str | None = None) -> Number | None:
    """A number with its comparator, and a unit or a bracketed remark behind it; None if it is not one.

    "<0.5", "2.52E+3 (3.40)", "12 mg/L", "226 x 10*4", "*12.3". Ranges, titres and "1+" are texts.
    """
    if STAR in text and (starred := _STARRED.fullmatch(text.strip())):
        found = number(starred[1] or starred[2], decimal, thousands)
        return replace(found, note="; ".join(filter(None, (STAR, found.note)))) if found else None
    comparator, rest = split_comparator(text)
    value = plain_number(rest, decimal, thousands)
    if value is not None:
        return Number(value, comparator)
    note = None
    if remark := _NOTE.fullmatch(rest):
        rest, note = remark[1], remark[2][1:-1].strip()
        value = plain_number(rest, decimal, thousands)
        if value is not None:
            return Number(value, comparator, None, note)
    head, _, unit = rest.partition(" ")
    unit = unit.strip()
    if not _BEHIND.fullmatch(unit):
        attached = _ATTACHED.fullmatch(rest)
        if attached is None:
            return None
        head, unit = attached[1], attached[2]
    value = plain_number(head, decimal, thousands)
    if value is None:
        return None
    if unit in FLAGS:
        return Number(value, comparator, None, "; ".join(filter(None, (unit, note))))
    return Number(value, comparator, unit, note)


# ---- times

_DIGITS = re.compile(
    r"(\d{4})(\d\d)(\d\d)(?:[T ]?(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,9}))?)?)?)?\s*(Z|[+-]\s*\d{4}|[+-]\s*\d\d:\d\d)?",
    re.ASCII,
)
_ISO = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)"
    r"(?:[T ]+(\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|z|[+-]\s*\d\d:?\d\d|[+-]\d\d)?)?",
    re.ASCII,
)
_YEAR_FIRST = re.compile(r"(\d{4})([./])(\d\d?)\2(\d\d?)(?!\d)", re.ASCII)  # nobody puts the day behind the year
_LOCAL = re.compile(
    r"(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})"
    r"(?:[T ,]+(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*([AaPp]\.?\s?[Mm]\.?)?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class DeviceTime:
    """An instrument's time. `local` is without zone where the text had none."""

    local: datetime
    precision: Literal["day", "hour", "minute", "second"]
    note: str = ""


def device_time(text: str, order: TimeOrder | None = None) -> DeviceTime | None:
    """A time as instruments write it, by length and never by trial (strptime takes 2026011509 for 05:00:09).

    YYYYMMDD[HH[MM[SS[.f]]]][zone] (ASTM, HL7), ISO 8601 with T or blank, also with
    slashes or dots between year, month and day, and with `order` declared day, month and
    year in that order with any of ./- between. None for anything else.
    """
    text = _YEAR_FIRST.sub(r"\1-\3-\4", text.strip(), count=1)
    match = _DIGITS.fullmatch(text) or _ISO.fullmatch(text)
    if match:
        zone = _zone(match[8]) if match[8] else None
        return None if match[8] and zone is None else _build(match.groups()[:7], zone)
    match = _LOCAL.fullmatch(text) if order else None
    if match is None or order is None:
        return None
    date = dict(zip(order, match.groups()[:3], strict=True))
    year, month, day = date["y"], date["m"], date["d"]
    if len(year) == 2:
        year = "20" + year
    if len(year) != 4:
        return None
    hour = match[4]
    if hour and match[8]:
        if int(hour) > 12:
            return None  # 13:28 AM
        half = int(hour) % 12 + (12 if match[8].lower().startswith("p") else 0)
        hour = str(half)
    return _build((year, month, day, hour, match[5], match[6], match[7]), None)


def _zone(text: str) -> tzinfo | None:
    if text in ("Z", "z"):
        return UTC
    digits = text[1:].strip().replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if int(digits[:2]) > 14 or int(digits[2:]) > 59:
        return None  # no place on earth
    return timezone(-offset if text[0] == "-" else offset)


def _build(parts: tuple[str | None, ...], zone: tzinfo | None) -> DeviceTime | None:
    year, month, day, hour, minute, second, fraction = parts
    precision: Literal["day", "hour", "minute", "second"] = (
        "day" if hour is None else "hour" if minute is None else "minute" if second is None else "second"
    )
    clock_hour, clock_second, note, later = int(hour or 0), int(second or 0), "", timedelta()
    if clock_second == 60:
        clock_second, note = 59, "leap second"
    if clock_hour == 24 and not int(minute or 0) and not clock_second:
        clock_hour, later = 0, timedelta(days=1)
    micro = int((fraction or "0").ljust(6, "0")[:6])
    try:
        at = datetime(
            int(year or 0), int(month or 0), int(day or 0), clock_hour, int(minute or 0), clock_second, micro, zone
        )
        return DeviceTime(at + later, precision, note)
    except (ValueError, OverflowError):
        return None
