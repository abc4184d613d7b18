"""Drafts into observations: values, units, words, codes, times and identity. Pure; nothing is guessed.

Whatever is changed leaves its trace in `attributes`: `value_as_sent`, `unit_as_sent`, and `rule` for what was done.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

from drivers.kit.declare import Identity, Quantity
from drivers.kit.observation import Comparator, Draft, Interpretation, Kind, Quality, Value
from drivers.kit.values import FLAGS, STAR, Number, number, split_comparator
from drivers.kit.words import interpret
from gateway.device_settings import NO_MAP, DeviceSettings, TestMap, loinc_check_digit
from gateway.identity import Uids
from gateway.journal.transaction import RawMessage, Row
from gateway.moment import Clock, best, instant, microseconds, offset, rfc3339
from gateway.naming import local_codes, slug, trimmed
from gateway.observation import MOST_TEXT, Observation, bounded
from gateway.units import Convert, UnitError, converter, folded, from_text, parse

__all__ = ["DeviceSettings", "Normaliser", "TestMap", "loinc_check_digit", "slug"]

DIGITS = re.compile(r"[+-]?\d[\d.,' ]*")
TITRE = re.compile(r"1 ?: ?\d{1,6}")
GRADE: Final = re.compile(r"\+{1,4}|\+-|\+/-|±|[1-4]\+|\+[1-4]|[1-4]\(\+\)|\([1-4]\+\)")  # how much, on a test strip
OFFSETS: Final = 20  # messages by which an instrument's clock is judged
MEANINGS: Final = frozenset(Interpretation)


@dataclass(slots=True)
class _Work:
    """What is being made of one draft."""

    value: Value
    comparator: Comparator | None
    quality: Quality
    interpretation: str | None = None
    unit: str | None = None  # written behind the value, then the observation's
    reasons: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        return isinstance(self.value, int | float) and not isinstance(self.value, bool)

    def doubt(self, reason: str) -> None:
        if self.quality is Quality.GOOD:
            self.quality = Quality.UNCERTAIN
        self.reasons.append(reason)

    def change(self, convert: Convert, rule: str) -> None:
        """Another number for the value; the one before stays beside it."""
        before = self.value
        try:
            self.value = plain(convert(Decimal(str(before))))
        except (ArithmeticError, ValueError):
            self.doubt(f"{rule} leaves the range of numbers")
            return
        self.extra.setdefault("value_as_sent", before)
        self.rules.append(rule)


class Normaliser:
    """Makes one device's observations.

    `quantities` are the driver's declared ones: a draft named like one takes its code and, where the instrument
    says none, its unit. `dialects`: the settings to go by where a draft says that its sender was recognised as one.
    """

    def __init__(
        self,
        device: str,
        settings: DeviceSettings,
        quantities: Sequence[Quantity],
        identity: Identity,
        dialects: Mapping[str, DeviceSettings] = MappingProxyType({}),
    ) -> None:
        self._device = device
        self._settings = settings
        self._declared = {quantity.name: quantity for quantity in quantities}
        self._identity = identity
        self._clock = Clock(ZoneInfo(settings.timezone), settings.time_format, settings.clock_limit)
        self._offsets: tuple[float, ...] = ()  # replaced whole: it is read by another thread
        self._tests = {trimmed(name): test for name, test in settings.tests.items()}
        self._words = {word.casefold().strip(): meaning for word, meaning in settings.words.items()}
        self._dialects = {name: Normaliser(device, own, quantities, identity) for name, own in dialects.items()}

    def rows(self, message: RawMessage, drafts: Iterable[Draft]) -> list[Row]:
        """The journal rows of one message's drafts. Never raises, whatever stands in a draft."""
        drafts = list(drafts)
        if self._dialects and drafts:
            recognised = self._dialects.get(str(drafts[0].attributes.get("dialect")))
            if recognised is not None:
                return recognised.rows(message, drafts)
        uids = Uids(self._device, message, self._identity)
        received = instant(message.received)
        rows = []
        for index, draft in enumerate(drafts):
            if index == 0:
                self._note_offset(draft, received)
            test = self._test(draft)
            uid = uids.uid(draft, index)
            if not test.ignore:
                rows.append(self._row(draft, test, message, received, uid))
        return rows

    def _row(self, draft: Draft, test: TestMap, message: RawMessage, received: datetime, uid: bytes) -> Row:
        observation, moment = self._observe(draft, test, message, received, uid)
        observation, body = bounded(observation)
        value = observation.value
        return Row(
            uid,
            message.id,
            self._device,
            observation.kind,
            observation.quantity,
            observation.specimen,
            microseconds(moment),
            float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None,
            body,
        )

    def _observe(
        self, draft: Draft, test: TestMap, message: RawMessage, received: datetime, uid: bytes
    ) -> tuple[Observation, datetime]:
        quantity = test.quantity or draft.quantity or slug(draft.test)
        declared = self._declared.get(quantity)
        work = _Work(draft.value, draft.comparator, draft.quality, flags=draft.flags)
        if draft.quality_reason:
            work.reasons.append(draft.quality_reason)
        self._value(draft, test, work)
        self._unit(draft, test, declared, work)
        moment = self._time(draft, received, work)
        observation = Observation(
            uid=uid.hex(),
            device=self._device,
            kind=test.kind or draft.kind,
            quantity=quantity,
            code=_code(draft, test, declared),
            value=work.value,
            unit=work.unit,
            comparator=work.comparator,
            interpretation=work.interpretation,
            flags=work.flags,
            status=draft.status,
            specimen=draft.specimen,
            patient=draft.patient,
            operator=draft.operator,
            lot=draft.lot,
            lot_expiry=draft.lot_expiry,
            run=draft.run,
            time=rfc3339(moment),
            device_time=draft.device_time,
            received=rfc3339(received),
            quality=work.quality,
            raw=message.id,
            attributes=_attributes(draft, quantity, work),
        )
        return observation, moment

    def _test(self, draft: Draft) -> TestMap:
        name = draft.test
        exact = self._settings.tests.get(name)
        if exact is not None or not self._tests:
            return exact or NO_MAP
        for key in (trimmed(name), *(local_codes(name) if draft.codes is None else draft.codes)):
            if key and (found := self._tests.get(key)):
                return found
        return NO_MAP

    # ---- values and calls

    def _value(self, draft: Draft, test: TestMap, work: _Work) -> None:
        value = draft.value
        if draft.interpretation is not None:
            self._call(draft.interpretation, work)
        if isinstance(value, str):
            self._text(value, draft, test, work)
        elif not isinstance(value, bool) and isinstance(value, int | float):
            self._counted(value, work)

    def _counted(self, value: float, work: _Work) -> None:
        """A number from a typed format: what JSON cannot carry is no value."""
        if abs(value) < 2**63 if isinstance(value, int) else math.isfinite(value):
            return
        work.value, work.quality = None, Quality.BAD
        work.extra["value_as_sent"] = str(value) if isinstance(value, float) else hex(value)[:MOST_TEXT]
        work.reasons.append("not a number" if isinstance(value, float) else "a number too large")

    def _text(self, value: str, draft: Draft, test: TestMap, work: _Work) -> None:
        text = value.strip()
        if len(text) > MOST_TEXT:
            text = text[:MOST_TEXT]
            work.doubt("text cut")
        work.value = text or None
        if not text:
            return
        own = self._words.get(text.casefold())  # even of a number: "1" may be a site's word for positive
        if own is not None and draft.interpretation is None:
            work.interpretation = own
        if GRADE.fullmatch(text) and draft.kind in (Kind.RESULT, Kind.QC) and not (draft.unit or test.unit):
            return  # "+1" of a strip is no number
        found = number(text, test.decimal or self._settings.decimal, self._settings.thousands)
        if found is not None:
            self._number(found, value, draft, work)
        elif work.interpretation is None and draft.interpretation is None:
            self._word(text, draft, work)

    def _number(self, found: Number, sent: str, draft: Draft, work: _Work) -> None:
        work.value = plain(found.value)
        work.comparator = work.comparator or found.comparator
        work.unit = found.unit
        note = found.note
        if found.unit and self._ucum(found.unit) is None and interpret(found.unit) is not None:
            work.unit, note = None, "; ".join(filter(None, (found.unit, note)))  # "12 POS"
        if note:
            self._note(note, draft, work)
        if str(work.value) != sent:
            work.extra["value_as_sent"] = sent[:MOST_TEXT]

    def _note(self, note: str, draft: Draft, work: _Work) -> None:
        """What stood beside a number: a call in brackets, a flag, an asterisk."""
        work.extra["value_note"] = note
        for each in note.split("; "):
            if each == STAR:
                work.doubt("marked * beside the value")
            elif each in FLAGS:
                if draft.unit and each not in work.flags:  # without a unit of its own "12 L" may be litres
                    work.flags += (each,)
            elif draft.interpretation is None and work.interpretation is None:
                work.interpretation = interpret(each)

    def _word(self, text: str, draft: Draft, work: _Work) -> None:
        """A text that is no number: a call, or something to keep as it is."""
        comparator, rest = split_comparator(text)
        if comparator and rest and not DIGITS.fullmatch(rest):
            work.comparator = work.comparator or comparator  # "> Titer max"
            return
        meaning = interpret(text)
        if meaning is not None:
            work.interpretation = meaning
        elif DIGITS.fullmatch(rest):
            work.doubt("number format not declared")
        elif TITRE.fullmatch(text) or draft.quality is Quality.BAD:
            return
        elif draft.kind in (Kind.RESULT, Kind.QC):
            work.doubt("word not known")

    def _call(self, text: str, work: _Work) -> None:
        meaning = self._words.get(text.casefold().strip())
        if meaning is None:
            meaning = Interpretation(text) if text in MEANINGS else interpret(text)
        if meaning is None:
            work.doubt("word not known")
            work.extra["interpretation_as_sent"] = text[:MOST_TEXT]
        else:
            work.interpretation = meaning

    # ---- units

    def _unit(self, draft: Draft, test: TestMap, declared: Quantity | None, work: _Work) -> None:
        sent = (draft.unit or "").strip() or work.unit
        unit = test.from_unit or self._ucum(sent)
        if unit and work.unit and sent != work.unit and not test.from_unit:
            unit = self._of_two(unit, work.unit, work)
        work.unit = None
        if sent and unit is None:
            work.extra["unit_as_sent"] = sent
            if work.numeric:
                work.doubt("unit not known")
            return
        if unit is None and declared is not None:
            unit = declared.unit
        if unit is None:
            if test.unit and work.numeric:
                work.doubt(f"no unit to convert to {test.unit} from")
            return
        if sent and unit != sent:
            work.extra.setdefault("unit_as_sent", sent)
        if sent and not test.from_unit and work.numeric and (power := folded(sent)):
            work.change(_scale(power[0]), f"{sent} folded")
        work.unit = self._converted(unit, test, sent, work) if test.unit and test.unit != unit else unit

    def _of_two(self, unit: str, behind: str, work: _Work) -> str | None:
        """The unit in its own field and the one behind the value: "1/mL" and "cp/mL" are one, the second says more."""
        other = self._ucum(behind)
        if other is None or other == unit:
            return unit
        one, two = parse(unit), parse(other)
        if one.factor == two.factor and _bare(one.dimension) == _bare(two.dimension):
            return other
        work.doubt(f"two units: {unit} and {other}")
        return None

    def _converted(self, unit: str, test: TestMap, sent: str | None, work: _Work) -> str:
        """The test's unit, or the one it has where that cannot become it."""
        target = test.unit or unit
        try:
            convert = converter(unit, target, test.molar_mass)
        except UnitError as error:
            work.doubt(str(error))
            return unit
        if not work.numeric:
            return unit
        mass = f" ({test.molar_mass:g} g/mol)" if test.molar_mass else ""
        changes = len(work.rules)
        work.change(convert, f"{unit} -> {target}{mass}")
        if len(work.rules) == changes:
            return unit
        work.extra.setdefault("unit_as_sent", sent or unit)
        return target

    def _ucum(self, text: str | None) -> str | None:
        if not text or not text.strip():
            return None
        own = self._settings.units.get(text)
        if own is not None:
            return own
        power = folded(text)
        return from_text(power[1]) if power else from_text(text)

    # ---- times

    def _time(self, draft: Draft, received: datetime, work: _Work) -> datetime:
        """The best knowledge of when it was measured; doubts are said."""
        moment = best(draft, received, self._clock)
        if moment.day_only:
            work.extra["time_precision"] = "day"
        if moment.offset is not None:
            work.extra["clock_offset_s"] = moment.offset
        if moment.note:
            work.reasons.append(moment.note)
        if moment.doubt:
            work.doubt(moment.doubt)
        return moment.at

    def _note_offset(self, draft: Draft, received: datetime) -> None:
        measured = offset(draft, received, self._clock)
        if measured is not None:
            self._offsets = (*self._offsets[1 - OFFSETS :], measured)

    @property
    def clock_offset(self) -> float | None:
        """Seconds the instrument's clock is ahead, by its last messages: of those that waited least on their way."""
        heard = [one._offsets for one in (self, *self._dialects.values())]  # noqa: SLF001 - of its own kind
        return max((offset for offsets in heard for offset in offsets), default=None)


def _code(draft: Draft, test: TestMap, declared: Quantity | None) -> str | None:
    if test.loinc:
        return f"loinc:{test.loinc}"
    return test.code or draft.code or (declared.code if declared else None)


def _bare(dimension: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Without what is counted."""
    return [(name, power) for name, power in dimension if not name.startswith("{")]


@lru_cache(maxsize=64)
def _scale(power: int) -> Convert:
    return lambda value: value.scaleb(power)


def plain(value: Decimal) -> int | float:
    """The shortest number: converted values carry no digits that no instrument gave. Errors: OverflowError."""
    _, digits, exponent = value.as_tuple()
    if isinstance(exponent, int) and exponent >= 0 and len(digits) + exponent <= 15:
        return int(value)
    number_ = float(value) if len(digits) <= 15 else float(f"{value:.12g}")
    if math.isinf(number_) or (value and not number_):
        raise OverflowError(f"{value} is no double")
    return number_


def _attributes(draft: Draft, quantity: str, work: _Work) -> Mapping[str, Any]:
    extra = work.extra
    if draft.test != quantity and draft.kind in (Kind.RESULT, Kind.QC):
        extra.setdefault("test", draft.test)
    if work.rules:
        extra["rule"] = "; ".join(work.rules)
    if work.reasons:
        extra["quality_reason"] = "; ".join(work.reasons)
    return {**draft.attributes, **extra} if extra else draft.attributes
