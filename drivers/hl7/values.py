"""OBX-5 as its type says, its unit, and the calls that stand in codes and flags. Texts stay as sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
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
_NUMERIC = re.compile(r"\s*[<>≤≥]?=?\s*[-+]?[.,]?\d")  # begins as a number, with or without a comparator


@dataclass(slots=True)
class Said:
    """What an observation's value fields say."""

    value: str | None = None
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
    told.value = text or original or other_text or code or other or None
    for one, named in ((code, system), (other, other_system)):
        known = SNOMED.get(one) if named.upper() in _SNOMED_NAMES else None
        if known is not None:
            told.call = str(known)
            break
    else:
        if told.value and interpret(told.value) is None:
            known = FLAG_CALLS.get(code.upper()) or interpret(code)
            told.call = str(known) if known is not None else None
    if code and code != told.value:
        told.extra["value_code"] = f"{code}^{system}" if system else code


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
        return text
    return None


def _coded_flags(entry: Entry, options: Hl7Options) -> Iterator[list[str]]:
    """The components of each flag that says something."""
    if not options.flags:
        return
    name, number, *_ = located(options.flags)
    for segment in entry.all(name)[:1]:
        mark = segment.delimiters.component
        for each in segment.repeats(number)[:MOST_FLAGS]:
            pieces = [segment.plain(piece) for piece in (each.split(mark, 3) if mark else [each])]
            if any(pieces):
                yield pieces


def flags(entry: Entry, options: Hl7Options) -> tuple[str, ...]:
    """Each flag's code, or its text where it has none."""
    return tuple(dict.fromkeys(next(filter(None, pieces)) for pieces in _coded_flags(entry, options)))


def flag_texts(entry: Entry, options: Hl7Options) -> dict[str, Json]:
    """What coded flags say in words, by their codes."""
    return {
        pieces[0]: pieces[1]
        for pieces in _coded_flags(entry, options)
        if len(pieces) > 1 and pieces[0] and pieces[1] and pieces[0] != pieces[1]
    }


def _flagged(entry: Entry, options: Hl7Options, told: Said) -> None:
    """A call among the flags: it counts where the value is none; where both are and differ, nobody knows."""
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
