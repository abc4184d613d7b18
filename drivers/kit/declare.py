"""A driver is a value: what it is, how it connects, what it observes, and its functions."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from drivers.kit.exchange import Exchange, Speaker
from drivers.kit.observation import Draft, Kind


class Options(BaseModel):
    """What a driver adds to its `[[devices]]` table. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Identity(StrEnum):
    """What makes a message the same message when it arrives again."""

    CONTENT = "content"  # its bytes: it carries its own time, number or specimen
    ARRIVAL = "arrival"  # nothing: every arrival counts


class Evidence(IntEnum):
    """What a driver's claim rests on."""

    MANUAL = 1  # written from a public document
    RECORDING = 2  # decodes traffic recorded from a real instrument
    HARDWARE = 3  # has run against the instrument itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One thing the instrument observes."""

    name: str  # lower-case-with-hyphens
    unit: str | None = None  # UCUM, case-sensitive; None: a text or a call
    code: str | None = None  # "loinc:..."
    kind: Kind = Kind.READING
    low: float | None = None  # the instrument's range and resolution, in `unit`
    high: float | None = None
    step: float | None = None
    words: tuple[str, ...] = ()  # what it says where it does not say a number
    field: str = ""  # where it stands on the wire: "R4", "$.temperature", "S"
    source: str = ""  # manual and section


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A model or a dialect of the same driver: options preset."""

    name: str
    models: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    evidence: Evidence = Evidence.MANUAL
    note: str = ""
    recordings: tuple[str, ...] = ()  # real traffic it was tried on: where that is published
    sign: str = ""  # what a sender calls itself, as a regular expression: it is recognised without being declared
    device: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Keys every device has that this one needs otherwise than usual (`decimal`, `time_format`, `units`, `words`)."""


@dataclass(frozen=True, slots=True)
class Message:
    """One whole message as it came off the wire, framing included."""

    data: bytes
    channel: str = ""  # MQTT topic, peer address, file name, or the question it answers (`Received.channel`)
    sound: bool = True  # False: the peer stopped before its end


class Instrument(Protocol):
    """What a simulated instrument is made of: the physics (`simulators.models`) seen by a driver.

    `draw` gives the next thing to report: a mapping of quantity name to value, with `specimen`, `time` and
    the like where a result has them. Pure but for its own seeded state.
    """

    def draw(self, now: float) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """One instrument family. Registered in `drivers/__init__.py` as `name -> "module:DRIVER"`."""

    name: str
    maker: str
    summary: str  # one sentence for the manual page
    links: tuple[str, ...]  # link types it is met on, the usual one first
    options: type[Options]
    quantities: tuple[Quantity, ...]  # () where the device's configuration declares them
    host: Callable[[Any], Exchange]  # options -> our side of the conversation
    decode: Callable[[Message, Any], Iterable[Draft]]  # message, options -> drafts; DecodeError; pure
    instrument: Callable[[Any], Speaker]  # options -> the simulated instrument's side
    encode: Callable[[Mapping[str, Any], Any], bytes]
    """What the model drew, options -> one message to `offer`: the simulator's half of the declaration."""
    variants: tuple[Variant, ...] = ()
    observes: Callable[[Any], tuple[Quantity, ...]] | None = None
    """options -> quantities, where the configuration declares them."""
    model: str = ""  # what the simulator measures (`simulators.models`); "" draws from the quantities
    identity: Callable[[Any], Identity] = lambda _options: Identity.CONTENT
    link_settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))  # baudrate, parity...
    evidence: Evidence = Evidence.MANUAL
    recordings: tuple[str, ...] = ()  # real traffic it was tried on: where that is published
    sources: tuple[str, ...] = ()  # manuals and standards the declaration was written from
    example: str = ""  # a [[devices]] table that works; the kit and the simulator take its options

    def observed(self, options: Any) -> tuple[Quantity, ...]:
        """The quantities of an instrument with these options."""
        return self.observes(options) if self.observes else self.quantities

    def preset(self, variant: str) -> Variant:
        """The variant of that name. Errors: LookupError."""
        for known in self.variants:
            if known.name == variant:
                return known
        names = ", ".join(known.name for known in self.variants) or "none"
        raise LookupError(f"{self.name} has no variant {variant!r}. Known are: {names}.")

    def trial(self, variant: str = "", given: Mapping[str, Any] = MappingProxyType({})) -> Any:
        """Options to try the driver with: the example's, the variant's over them, `given` over both.

        Errors: LookupError (no such variant), pydantic's ValidationError.
        """
        (table, *_rest) = tomllib.loads(self.example).get("devices", [{}])
        options = {name: value for name, value in table.items() if name in self.options.model_fields}
        if variant:
            options |= self.preset(variant).options
        return self.options.model_validate({**options, **given})
