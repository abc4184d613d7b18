"""OBX-5 as its type says, its unit, and the calls that stand in codes and flags. Texts stay as sent."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from drivers.hl7.options import Hl7Options
from drivers.kit.hl7 import Segment
from drivers.kit.hl7_groups import Entry, located
from drivers.kit.observation import Comparator, Interpretation, Json
from drivers.kit.words import interpret

I = Interpretation  # noqa: E741 - tables read better with a short name

# SNOMED CT qualifier values laboratories answer with.
SNOMED: Final[Mapping[str, I]] = MappingProxyType(
    {
        "10828004": I.POSITIVE, "260385009": I.NEGATIVE, "260373001": I.DETECTED, "260415000": I.NOT_DETECTED,
        "895231008": I.NOT_DETECTED, "455371000124106": I.INVALID, "125154007": I.INVALID,
        "42425007": I.INDETERMINATE, "419984006": I.INDETERMINATE, "82334004": I.INDETERMINATE,
        "11214006": I.REACTIVE, "131194007": I.NON_REACTIVE,
    }
)  # fmt: skip
_SNOMED_NAMES = frozenset({"SCT", "SNM", "SNM3", "SNOMED", "SNOMED-CT", "2.16.840.1.113883.6.96"})

# Table 0078 (v2.7 on, and senders of earlier versions). N and A say normal and abnormal: they stay flags.
FLAG_CALLS: Final[Mapping[str, I]] = MappingProxyType(
    {
        "POS": I.POSITIVE, "NEG": I.NEGATIVE, "DET": I.DETECTED, "ND": I.NOT_DETECTED, "RR": I.REACTIVE,
        "WR": I.REACTIVE, "NR": I.NON_REACTIVE, "IND": I.INDETERMINATE,
    }
)  # fmt: skip
# The same table's calls of susceptibility: letters that other tests' flags use for other things.
SUSCEPTIBILITY: Final[Mapping[str, I]] = MappingProxyType({"R": I.RESISTANT, "S": I.SUSCEPTIBLE, "I": I.INTERMEDIATE})
_SUSCEPTIBLE = re.compile(r"(?i)suscept|resist|\bMIC\b")
_YES = frozenset({I.POSITIVE, I.DETECTED, I.REACTIVE})
_NO = frozenset({I.NEGATIVE, I.NOT_DETECTED, I.NON_REACTIVE})

# ISO/IEEE 11073 units (IHE PCD-01).
MDC_UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "MDC_DIM_PERCENT": "%", "MDC_DIM_MMHG": "mm[Hg]", "MDC_DIM_DEGC": "Cel", "MDC_DIM_MILLI_G_PER_DL": "mg/dL",
        "MDC_DIM_X_G_PER_DL": "g/dL", "MDC_DIM_MILLI_G_PER_L": "mg/L", "MDC_DIM_X_G_PER_L": "g/L",
        "MDC_DIM_NANO_G_PER_ML": "ng/mL", "MDC_DIM_PICO_G_PER_ML": "pg/mL", "MDC_DIM_MICRO_G_PER_L": "ug/L",
        "MDC_DIM_MILLI_MOLE_PER_L": "mmol/L", "MDC_DIM_MICRO_MOLE_PER_L": "umol/L",
        "MDC_DIM_MILLI_INTL_UNIT_PER_ML": "m[IU]/mL", "MDC_DIM_BEAT_PER_MIN": "/min", "MDC_DIM_RESP_PER_MIN": "/min",
        "MDC_DIM_SEC": "s", "MDC_DIM_X_SEC": "s", "MDC_DIM_MIN": "min",
    }
)  # fmt: skip

_NUMBER = re.compile(r"[<>]?=?\s*[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?")
_WORD = re.compile(r"[^\W\d]{2,}[^\d]*")
_COMPARATORS: Final[Mapping[str, Comparator]] = MappingProxyType({"<": "<", "<=": "<=", ">": ">", ">=": ">="})
CODED: Final = frozenset({"CE", "CWE", "CNE", "CF"})
MOST_FLAGS: Final = 32
_LONG: Final = frozenset({"TX", "FT"})
_PLAIN_NUMBER = re.compile(r"[-+]?\d[\d.,]*")
_POWER = re.compile(r"[-+]?\d+([.,]\d+)?\s*[xX×*]\s*10\^[-+]?\d{1,2}")  # 1.2x10^5, its ^ not escaped
# The ^ of "10^9/L" and "1.73m^2" is mostly not escaped and makes two components of one unit.
_BEFORE_CARET = re.compile(r"(.*\D)?10|(.*[^A-Za-z])?[cdmuµμ]?m")
_BEHIND_CARET = re.compile(r"-?\d{1,2}(?![\d.])")
# A comma that separates no thousands: "11,49", "0,234", not "1,234".
_DECIMAL_COMMA = re.compile(r"[<>]?=?\s*[-+]?(\d+,(\d{1,2}|\d{4,})|0,\d+)")
_WITH_COMMA = re.compile(r"([-+]?\d{1,15}),(\d{1,15})")
_WITH_POINT = re.compile(r"\d\.\d")
_NUMBERS: Final = frozenset({"NM", "SN"})
_NUMERIC = re.compile(r"\s*[<>≤≥]?=?\s*[-+]?[.,]?\d")  # begins as a number, with or without a comparator


@dataclass(slots=True)
class Said:
    """What an observation's value fields say."""

    value: str | None = None
    number: float | None = None  # which number the value is, where that does not show
    comparator: Comparator | None = None
    call: str | None = None
    unit: str | None = None
    doubt: str | None = None
    extra: dict[str, Json] = field(default_factory=dict)


def said(entry: Entry, options: Hl7Options) -> Said:
    """Value, call and unit of an observation, as sent."""
    told = Said()
    for place in options.value:
        if place == "OBX-5":
            _typed(entry.obx, told)
        else:
            told.value = entry.said(place) or None
            _beside(entry.obx, place, told)
        if told.value is not None or told.call is not None:
            break
    if told.value is not None and told.value.casefold() in {word.casefold() for word in options.no_value}:
        told.extra["value_as_sent"] = told.value
        told.value = None
    if options.call and (call := entry.said(options.call)):
        if told.value is None:
            told.value = call
        elif told.value != call:
            told.call = call
    told.unit = _unit(entry, options)
    _flagged(entry, options, told)
    return told


def _beside(obx: Segment, place: str, told: Said) -> None:
    """The value stands elsewhere: what OBX-5 says is kept beside it, and has to agree."""
    text = obx.text(5)
    if told.value is None or not text or text == told.value or place.startswith("OBX-5"):
        return
    told.extra["OBX5"] = text
    one, two = _NUMBER.match(told.value), _NUMBER.match(text)
    if one and two and one[0].replace(" ", "") != two[0].replace(" ", ""):
        told.doubt = f"{place} says {one[0]}, OBX-5 {two[0]}"


def _typed(obx: Segment, told: Said) -> None:
    kind = obx.at(2).upper()
    repeats = obx.repeats(5)
    if not repeats:
        return
    if kind in _LONG:
        told.value = "\n".join(text for each in repeats if (text := obx.plain(each))) or None
        return
    if len(repeats) > 1 and len(told_apart := [text for each in repeats if (text := obx.plain(each.strip("^& ")))]) > 1:
        told.value = "; ".join(told_apart)
        told.doubt = "the value has several repetitions"
        told.extra["values"] = list(told_apart)
        return
    number = next((place for place, each in enumerate(repeats, 1) if each.strip("^& ")), 1)
    pieces = obx.components(5, number)
    if kind in CODED:
        _coded(pieces, told)
    elif kind == "SN":
        _structured(pieces, told)
    else:
        _text(obx, pieces, told)


def _coded(pieces: list[str], told: Said) -> None:
    """CE and CWE: the text is the value, the code may be a call (code^text^system^code^text^system^^^original)."""
    code, text, system, other, other_text, other_system, _, _, original = (*pieces, *[""] * 9)[:9]
    worded = text or original or other_text
    told.value = worded or _as_code(code, system) or _as_code(other, other_system) or None
    if worded and _PLAIN_NUMBER.fullmatch(worded) and _PLAIN_NUMBER.fullmatch(code):
        told.doubt = "the code and the text of the value are both numbers: declare which in `value`"
    for one, named in ((code, system), (other, other_system)):
        known = SNOMED.get(one) if named.upper() in _SNOMED_NAMES else None
        if known is not None:
            told.call = str(known)
            break
    else:
        if told.value and interpret(told.value) is None:
            known = FLAG_CALLS.get(code.upper()) or interpret(code)
            told.call = str(known) if known is not None else None
    if code and worded and code != told.value:
        told.extra["value_code"] = f"{code}^{system}" if system else code


def _as_code(code: str, system: str) -> str:
    """A code without its text; one of digits keeps its system and so is no number."""
    return f"{code}^{system}" if system and _PLAIN_NUMBER.fullmatch(code) else code


def _structured(pieces: list[str], told: Said) -> None:
    """SN: comparator^number^separator^number; titres and ranges stay texts."""
    sign, first, separator, second = (*pieces, "", "", "", "")[:4]
    if first and not separator and not second and (sign in _COMPARATORS or sign in ("", "=")):
        told.value, told.comparator = first, _COMPARATORS.get(sign)
        return
    told.value = f"{'' if sign == '=' else sign}{first}{separator}{second}" or None


def _text(obx: Segment, pieces: list[str], told: Said) -> None:
    """NM, ST and whatever else: one text. A number and a word are a value and a call; more than that is unclear."""
    spoken = [piece for piece in pieces if piece]
    if len(spoken) <= 1:
        told.value = spoken[0] if spoken else None
        return
    told.value = obx.text(5)
    if _POWER.fullmatch(told.value):
        return
    first, second = spoken[:2]
    if len(spoken) == 2 and _WORD.fullmatch(first) and _NUMBER.fullmatch(second):
        first, second = second, first
    if len(spoken) == 2 and _NUMBER.fullmatch(first) and _WORD.fullmatch(second):
        told.value, told.call = first, second
        return
    told.doubt = "the value has several components: declare which in `value`"
    told.extra["components"] = list(spoken)


def _unit(entry: Entry, options: Hl7Options) -> str | None:
    for place in options.unit:
        text = entry.said(place)
        if not text:
            continue
        name, number, *_ = located(place)
        if name == "OBX" and number == 6:
            pieces = entry.obx.components(6)
            if "MDC" in pieces[2:3]:
                return MDC_UNITS.get(pieces[1], pieces[1] or text)
            return _with_carets(text, pieces)
        return text
    return None


def _with_carets(text: str, pieces: list[str]) -> str:
    """A unit whose `^` is none that separates components: "10^9/L", "10^6/mm^3", "kg/m^2"."""
    if not pieces or text != pieces[0]:
        return text
    for before, piece in itertools.pairwise(pieces):
        if not (_BEFORE_CARET.fullmatch(before) and _BEHIND_CARET.match(piece)):
            break
        text += f"^{piece}"
    return text


def _coded_flags(entry: Entry, options: Hl7Options) -> Iterator[tuple[str, str]]:
    """Code and text of each flag that says something: the name of their system alone says nothing."""
    if not options.flags:
        return
    name, number, *_ = located(options.flags)
    for segment in entry.all(name)[:1]:
        marks = segment.delimiters
        if marks.escape and marks.repeat and segment.raw(number).strip() == marks.escape + marks.repeat:
            yield marks.repeat, ""  # a flag that is the repetition mark itself
            return
        mark = marks.component
        for each in segment.repeats(number)[:MOST_FLAGS]:
            pieces = [segment.plain(piece) for piece in (each.split(mark, 5) if mark else [each])]
            code, text, _, other, other_text, *_ = (*pieces, *[""] * 5)
            if any(said := (code or other, text or other_text)):
                yield said


def flags(entry: Entry, options: Hl7Options) -> tuple[str, ...]:
    """Each flag's code, or its text where it has none."""
    sent = (code or text for code, text in _coded_flags(entry, options))
    return tuple(dict.fromkeys(flag for each in sent if (flag := options.flag_codes.get(each, each))))


def flag_texts(entry: Entry, options: Hl7Options) -> dict[str, Json]:
    """What coded flags say in words, by their codes."""
    return {code: text for code, text in _coded_flags(entry, options) if code and text and code != text}


def _compared(marks: tuple[str, ...], told: Said) -> None:
    """Table 0078's `<` and `>`: beyond the instrument's scale, which ends at the number sent."""
    if told.comparator or told.value is None or not _PLAIN_NUMBER.fullmatch(told.value):
        return
    if ("<" in marks) != (">" in marks):
        told.comparator = "<" if "<" in marks else ">"


def _flagged(entry: Entry, options: Hl7Options, told: Said) -> None:
    """A comparator or a call among the flags: a call counts where the value is none; where both are and differ, nobody
    knows."""
    _compared(flags(entry, options), told)
    table = FLAG_CALLS
    if told.value is None or _SUSCEPTIBLE.search(entry.obx.text(3)) or _SUSCEPTIBLE.search(entry.said("OBR-4.2")):
        table = MappingProxyType({**FLAG_CALLS, **SUSCEPTIBILITY})
    calls = [
        options.flag_calls.get(flag) or str(known)
        for flag in flags(entry, options)
        if flag in options.flag_calls or (known := table.get(flag.upper()))
    ]
    if len(set(calls)) != 1:
        return
    spoken = told.call or (told.value if told.value and not _NUMERIC.match(told.value) else None)
    meaning = interpret(spoken) if spoken else None
    if meaning is None:
        told.call = told.call or calls[0]
        return
    flagged = interpret(calls[0])
    if {meaning, flagged} & _YES and {meaning, flagged} & _NO:
        told.doubt = f"the value says {meaning}, the flag {flagged}"


def decimal_commas(entries: Iterable[Entry]) -> bool:
    """Whether a message writes decimal commas: some number (NM, SN) can be read in no other way, none has a point."""
    told = [entry.obx.text(5) for entry in entries if entry.obx.at(2).upper() in _NUMBERS]
    pieces = [text.replace("^", " ").strip() for text in told]
    return any(map(_DECIMAL_COMMA.fullmatch, pieces)) and not any(map(_WITH_POINT.search, pieces))


def with_comma(entry: Entry, told: Said) -> None:
    """Read a number's comma as a decimal one; what was sent stays beside it."""
    if entry.obx.at(2).upper() in _NUMBERS and told.value and (match := _WITH_COMMA.fullmatch(told.value)):
        told.extra["value_as_sent"] = told.value
        told.number = float(f"{match[1]}.{match[2]}")
