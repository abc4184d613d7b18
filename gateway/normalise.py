"""Drafts into observations: values, units, words, codes, times and identity. Pure; nothing is guessed.

Whatever is changed leaves its trace in `attributes`: `value_as_sent`, `unit_as_sent`, and `rule` for what was done.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from drivers.kit.declare import Identity, Quantity
from drivers.kit.durations import Duration
from drivers.kit.observation import Draft, Interpretation, Kind, Quality, Value
from drivers.kit.values import device_time, number
from drivers.kit.words import interpret
from gateway.journal.transaction import RawMessage, Row
from gateway.observation import Observation
from gateway.units import Convert, UnitError, converter, folded, from_text, is_ucum

MOST_TEXT = 4096  # characters of a value
MOST_ATTRIBUTES = 65_536  # bytes of JSON
EARLIEST = datetime(2015, 1, 1, tzinfo=UTC)  # a clock that says less has never been set
DAY = 86_400.0


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def loinc_check_digit(code: str) -> int:
    """The digit after the dash of a LOINC number (mod 10, doubling from the right)."""
    total = 0
    for place, digit in enumerate(reversed(code.partition("-")[0])):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return -total % 10


class TestMap(_Strict):
    """What one of an instrument's tests is."""

    quantity: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9-]{0,99}$", description="lower-case-with-hyphens")
    loinc: str | None = Field(None, pattern=r"^\d{1,7}-\d$")
    code: str | None = Field(None, description='a code of another system, "local:abc"')
    from_unit: str | None = Field(
        None, description="what the instrument's unit means, UCUM, where it says it badly or not"
    )
    unit: str | None = Field(None, description="convert to this UCUM unit")
    molar_mass: float | None = Field(None, gt=0, description="g/mol, to convert mass to amount of substance")
    kind: Kind | None = None
    decimal: Literal[".", ","] | None = None
    ignore: bool = Field(False, description="make no observation of this test (its bytes stay in the journal)")

    @field_validator("loinc")
    @classmethod
    def _loinc(cls, code: str | None) -> str | None:
        if code and int(code[-1]) != loinc_check_digit(code):
            raise ValueError(f"{code} is no LOINC number: its check digit would be {loinc_check_digit(code)}.")
        return code

    @field_validator("unit", "from_unit")
    @classmethod
    def _ucum(cls, unit: str | None) -> str | None:
        if unit and not is_ucum(unit):
            near = from_text(unit)
            raise ValueError(f"{unit!r} is not a UCUM unit. {f'Write {near!r}.' if near else 'See https://ucum.org.'}")
        return unit

    @model_validator(mode="after")
    def _convertible(self) -> TestMap:
        if self.unit and self.from_unit:
            converter(self.from_unit, self.unit, self.molar_mass)
        return self


class DeviceSettings(_Strict):
    """How any device's values are read: keys of every `[[devices]]` table."""

    timezone: str = Field("UTC", description="of the instrument's clock, where its times carry none")
    identity: Identity | None = Field(None, description='"content" or "arrival"; the driver knows which by default')
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'"] | None = None
    time_format: Literal["ymd", "dmy", "mdy"] | None = Field(None, description="order in times such as 03/04/2026")
    clock_limit: Duration = Field(120.0, description="how far the instrument's clock may be ahead")
    tests: Mapping[str, TestMap] = Field(default_factory=dict, description="by the instrument's name of the test")
    units: Mapping[str, str] = Field(default_factory=dict, description="the instrument's units in UCUM")
    words: Mapping[str, Interpretation] = Field(default_factory=dict, description="calls only this instrument uses")

    @field_validator("timezone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            import difflib

            near = difflib.get_close_matches(name, available_timezones(), 1, 0.5)
            raise ValueError(
                f"no time zone is called {name!r}. {f'Did you mean {near[0]!r}?' if near else ''}"
            ) from None
        return name

    @field_validator("units")
    @classmethod
    def _units(cls, units: Mapping[str, str]) -> Mapping[str, str]:
        for unit in units.values():
            if not is_ucum(unit):
                raise ValueError(f"{unit!r} is not a UCUM unit. See https://ucum.org.")
        return units

    @model_validator(mode="after")
    def _signs(self) -> DeviceSettings:
        if self.thousands == self.decimal:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}. Make them different.")
        return self


NO_MAP = TestMap()


@dataclass(slots=True)
class _Work:
    """What is being made of one draft."""

    value: Value
    comparator: Any
    interpretation: str | None
    unit: str | None
    quality: Quality
    reasons: list[str]
    rules: list[str]
    extra: dict[str, Any]

    def doubt(self, reason: str) -> None:
        if self.quality is Quality.GOOD:
            self.quality = Quality.UNCERTAIN
        self.reasons.append(reason)


class Normaliser:
    """Makes one device's observations.

    `quantities` are the driver's declared ones: a draft named like one takes its code and, where the instrument
    says none, its unit.
    """

    def __init__(
        self, device: str, settings: DeviceSettings, quantities: Sequence[Quantity], identity: Identity
    ) -> None:
        self._device = device
        self._settings = settings
        self._declared = {quantity.name: quantity for quantity in quantities}
        self._identity = identity
        self._zone: tzinfo = ZoneInfo(settings.timezone)
        self._tests = {_trimmed(name): test for name, test in settings.tests.items()}
        self._words = {word.casefold().strip(): meaning for word, meaning in settings.words.items()}

    def rows(self, message: RawMessage, drafts: Iterable[Draft]) -> list[Row]:
        """The journal rows of one message's drafts."""
        identity = Identity.CONTENT if message.retained else self._identity
        seen: dict[tuple[object, ...], int] = {}
        rows = []
        for index, draft in enumerate(drafts):
            test = self._test(draft.test)
            if test.ignore:
                continue
            uid = self._uid(draft, message, identity, index, seen)
            observation, moment, number_ = self._observe(draft, test, message, uid)
            rows.append(
                Row(
                    uid,
                    message.id,
                    self._device,
                    observation.kind,
                    observation.quantity,
                    observation.specimen,
                    int(moment.timestamp() * 1_000_000),
                    number_,
                    observation.to_json(),
                )
            )
        return rows

    # ---- identity

    def _uid(
        self,
        draft: Draft,
        message: RawMessage,
        identity: Identity,
        index: int,
        seen: dict[tuple[object, ...], int],
    ) -> bytes:
        """Sixteen bytes of SHA-256 over the device and what makes this observation itself.

        By arrival: the raw message and the place in it. By content: what the driver says identifies the result;
        where it says nothing, the message's bytes up to and including it, so that a message broken off after it
        gives the same. Equal ones in one message are numbered.
        """
        if identity is Identity.ARRIVAL or (draft.identity == () and not message.retained):
            key: tuple[object, ...] = ("arrival", message.id, index)
        elif draft.identity:
            key = ("result", *draft.identity)
        else:
            extent = len(message.data) if draft.extent is None else draft.extent
            key = ("bytes", message.channel_key, hashlib.sha256(message.data[:extent]).digest())
        ordinal = seen[key] = seen.get(key, -1) + 1
        digest = hashlib.sha256(self._device.encode())
        for part in (*key, ordinal):
            data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(4, "big") + data)
        return digest.digest()[:16]

    # ---- one observation

    def _observe(
        self, draft: Draft, test: TestMap, message: RawMessage, uid: bytes
    ) -> tuple[Observation, datetime, float | None]:
        quantity = test.quantity or draft.quantity or slug(draft.test)
        declared = self._declared.get(quantity)
        work = _Work(
            draft.value,
            draft.comparator,
            None,
            None,
            draft.quality,
            [draft.quality_reason] if draft.quality_reason else [],
            [],
            {},
        )
        self._value(draft, test, work)
        self._unit(draft, test, declared, work)
        received = datetime.fromtimestamp(message.received / 1e9, UTC)
        moment = self._time(draft, received, work)
        if isinstance(work.value, float) and work.value.is_integer() and isinstance(draft.value, int):
            work.value = int(work.value)
        observation = Observation(
            uid=uid.hex(),
            device=self._device,
            kind=test.kind or draft.kind,
            quantity=quantity,
            code=(f"loinc:{test.loinc}" if test.loinc else test.code)
            or draft.code
            or (declared.code if declared else None),
            value=work.value,
            unit=work.unit,
            comparator=work.comparator,
            interpretation=work.interpretation,
            flags=draft.flags,
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
            attributes=_attributes(draft, work),
        )
        plain = isinstance(work.value, int | float) and not isinstance(work.value, bool)
        return observation, moment, float(cast(float, work.value)) if plain else None

    def _test(self, name: str) -> TestMap:
        exact = self._settings.tests.get(name)
        if exact is not None:
            return exact
        return self._tests.get(_trimmed(name), NO_MAP)

    def _value(self, draft: Draft, test: TestMap, work: _Work) -> None:
        value = draft.value
        if draft.interpretation is not None:
            self._call(draft.interpretation, work)
        if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
            work.value, work.quality = None, Quality.BAD
            work.extra["value_as_sent"] = str(value)
            work.reasons.append("not a number")
            return
        if not isinstance(value, str):
            return
        text = value.strip()
        if len(text) > MOST_TEXT:
            text = text[:MOST_TEXT]
            work.doubt("text cut")
        work.value = text
        if not text:
            work.value = None
            return
        found = number(text, test.decimal or self._settings.decimal, self._settings.thousands)
        if found is not None:
            work.value = plain(found.value)
            work.comparator = work.comparator or found.comparator
            if found.note:
                work.extra["value_note"] = found.note
            if found.unit and not draft.unit:
                work.unit = found.unit
            if str(work.value) != text:
                work.extra["value_as_sent"] = value
            return
        if work.interpretation is None and draft.interpretation is None:
            self._word(text, draft, work)

    def _word(self, text: str, draft: Draft, work: _Work) -> None:
        """A text that is no number: a call, or something to keep as it is."""
        meaning = self._words.get(text.casefold()) or interpret(text)
        if meaning is not None:
            work.interpretation = meaning
            return
        if text[0] in "<>≤≥":
            from drivers.kit.values import split_comparator

            work.comparator = work.comparator or split_comparator(text)[0]
            return
        if draft.kind in (Kind.RESULT, Kind.QC):
            work.doubt("number format not declared" if re.fullmatch(r"[\d.,' ]+", text) else "word not known")

    def _call(self, text: str, work: _Work) -> None:
        meaning = self._words.get(text.casefold().strip())
        if meaning is None:
            meaning = Interpretation(text) if text in _MEANINGS else interpret(text)
        if meaning is None:
            work.doubt("word not known")
            work.extra["interpretation_as_sent"] = text[:MOST_TEXT]
        else:
            work.interpretation = meaning

    # ---- units

    def _unit(self, draft: Draft, test: TestMap, declared: Quantity | None, work: _Work) -> None:
        sent = draft.unit or work.unit
        unit = test.from_unit or self._ucum(sent)
        if sent and unit is None:
            work.extra["unit_as_sent"] = sent
            work.unit = None
            work.reasons.append("unit not known")
            return
        if unit is None and declared is not None and declared.unit:
            unit = declared.unit
        if unit is None:
            work.unit = None
            return
        if sent and unit != sent:
            work.extra["unit_as_sent"] = sent
        numeric = isinstance(work.value, int | float) and not isinstance(work.value, bool)
        if not test.from_unit and sent and (power := folded(sent)) and numeric:
            unit = self._ucum(power[1]) or power[1]
            self._change(work, _scale(power[0]), f"{sent} folded")
        target = test.unit
        if target and target != unit:
            try:
                convert = converter(unit, target, test.molar_mass)
            except UnitError as error:
                work.doubt(str(error))
            else:
                mass = f" ({test.molar_mass:g} g/mol)" if test.molar_mass else ""
                if numeric:
                    self._change(work, convert, f"{unit} -> {target}{mass}")
                work.extra.setdefault("unit_as_sent", sent or unit)
                unit = target
        work.unit = unit

    def _ucum(self, text: str | None) -> str | None:
        if not text or not text.strip():
            return None
        own = self._settings.units.get(text)
        if own is not None:
            return own
        power = folded(text)
        return from_text(power[1]) if power else from_text(text)

    def _change(self, work: _Work, convert: Convert, rule: str) -> None:
        before = work.value
        work.value = plain(convert(Decimal(str(before))))
        work.extra.setdefault("value_as_sent", before)
        work.rules.append(rule)

    # ---- times

    def _time(self, draft: Draft, received: datetime, work: _Work) -> datetime:
        """The best knowledge of when it was measured; doubts are said."""
        if draft.device_time is None:
            if draft.age is not None and 0 <= draft.age < 10 * 366 * DAY:
                return datetime.fromtimestamp(received.timestamp() - draft.age, UTC)
            return received
        read = device_time(draft.device_time, self._settings.time_format)
        if read is None:
            read_unix = _unix(draft.device_time)
            if read_unix is None:
                work.doubt(f"time not understood: {draft.device_time[:40]}")
                return received
            moment = read_unix
        else:
            if read.precision == "day":
                work.extra["time_precision"] = "day"
                if read.local.year >= EARLIEST.year:
                    return received
            moment = self._zoned(read.local, work)
            if read.note:
                work.reasons.append(read.note)
        ahead = (moment - received).total_seconds()
        if moment < EARLIEST or ahead > DAY:
            work.doubt(f"device clock impossible: {draft.device_time[:40]}")
            return received
        if ahead > self._settings.clock_limit:
            work.doubt(f"device clock ahead by {ahead:.0f} s")
            work.extra["clock_offset_s"] = round(ahead)
            return received
        return moment

    def _zoned(self, local: datetime, work: _Work) -> datetime:
        if local.tzinfo is not None:
            return local.astimezone(UTC)
        aware = local.replace(tzinfo=self._zone)
        if aware.utcoffset() != aware.replace(fold=1).utcoffset():
            work.reasons.append("local time happens twice or never: the clocks changed")
        try:
            return aware.astimezone(UTC)
        except (OverflowError, ValueError):
            return datetime(1, 1, 1, tzinfo=UTC)


_MEANINGS = frozenset(Interpretation)


def _scale(power: int) -> Convert:
    return lambda value: value.scaleb(power)


def _unix(text: str) -> datetime | None:
    """Unix seconds with their fraction, as drivers give them where the protocol says so: "unix:1700000000"."""
    if not text.startswith("unix:"):
        return None
    try:
        return datetime.fromtimestamp(float(text[5:]), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def plain(value: Decimal) -> int | float:
    """The shortest number: converted values carry no digits that no instrument gave."""
    if value == value.to_integral_value() and abs(value) < 2**53 and value.as_tuple().exponent >= 0:  # type: ignore[operator]
        return int(value)
    digits = len(value.as_tuple().digits)
    return float(value) if digits <= 15 else float(f"{value:.12g}")


def rfc3339(moment: datetime) -> str:
    """UTC with as many digits of a second as there are."""
    text = moment.strftime("%Y-%m-%dT%H:%M:%S") if moment.year >= 1000 else moment.isoformat()[:19]
    if moment.microsecond:
        text += f".{moment.microsecond:06d}".rstrip("0")
    return text + "Z"


def _attributes(draft: Draft, work: _Work) -> Mapping[str, Any]:
    extra = work.extra
    if work.rules:
        extra["rule"] = "; ".join(work.rules)
    if work.reasons:
        extra["quality_reason"] = "; ".join(work.reasons)
    together = {**draft.attributes, **extra}
    if len(draft.attributes) > 8:
        try:
            size = len(orjson.dumps(together))
        except TypeError:
            size = MOST_ATTRIBUTES + 1
        if size > MOST_ATTRIBUTES:
            return {**extra, "attributes_cut": True}
    return together


@lru_cache(maxsize=4096)
def _trimmed(name: str) -> str:
    """A test's name without the delimiters around it: "^^^SARS" and "SARS" are one."""
    return name.strip("^ \t")


@lru_cache(maxsize=4096)
def slug(name: str) -> str:
    """A quantity's name from an instrument's: its most telling part, lower-case-with-hyphens."""
    parts = [part for part in re.split(r"[\\^@]", name.strip()) if part.strip()]
    first = next((part for part in parts if re.search(r"[A-Za-z]", part)), parts[0] if parts else "")
    ascii_ = unicodedata.normalize("NFKD", first).encode("ascii", "ignore").decode()
    made = re.sub(r"[^a-z0-9]+", "-", ascii_.lower()).strip("-")[:60]
    return made or f"test-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
