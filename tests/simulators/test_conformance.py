"""Every driver passes the kit."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

import drivers
from drivers.kit.declare import Driver, Evidence, Message, Quantity
from drivers.kit.exchange import Event, Exchange, Received, Send
from drivers.kit.lines import Lines
from drivers.kit.observation import Draft, Kind
from drivers.kit.printer import Printer
from gateway.units import is_ucum
from simulators.conformance import Tier, check, earned

WAYS = [(name, variant.name) for name in drivers.built_in() for variant in drivers.load(name).variants]


@pytest.mark.parametrize(("name", "variant"), [*((name, "") for name in drivers.built_in()), *WAYS])
def test_a_driver_does_what_every_driver_must(name: str, variant: str) -> None:
    findings = check(drivers.load(name), variant=variant, folder=drivers.folder(name), unit_known=is_ucum)
    assert [finding for finding in findings if not finding.ok and finding.tier < Tier.PLATINUM] == []


# ---- the kit itself: every promise broken on purpose is found


class Forgetful(Lines):
    """Loses the first byte of every line."""

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        for event in super().receive(data, now):
            yield replace(event, raw=event.raw[1:]) if isinstance(event, Received) else event


class Hasty(Lines):
    """Takes each read for a line."""

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        yield Received(data) if data.strip() else Send(b"", data)


class Liar:
    """Acknowledges every frame of an analyser and keeps every second message."""

    def __init__(self, host: Exchange) -> None:
        self._host, self._count = host, 0

    @property
    def deadline(self) -> float | None:
        return self._host.deadline

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        for event in self._host.receive(data, now):
            if isinstance(event, Received) and event.complete:
                self._count += 1
                if self._count % 2:
                    yield replace(event, sound=False)
                    continue
            yield event

    def tick(self, now: float) -> Iterator[Event]:
        return self._host.tick(now)

    def close(self) -> Iterator[Event]:
        return self._host.close()


class Sulking(Printer):
    """Says nothing more once the cable was out."""

    _gone = False

    def close(self) -> Iterator[Event]:
        self._gone = True
        return super().close()

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        return iter(()) if self._gone else super().offer(message, now)


READER = drivers.load("lateral-flow")
ANALYSER = drivers.load("astm")


def impure(decode: Callable[[Message, Any], Iterable[Draft]]) -> Callable[[Message, Any], Iterable[Draft]]:
    count = itertools.count()
    return lambda message, options: [replace(d, run=str(next(count))) for d in decode(message, options)]


def fragile(message: Message, options: Any) -> Iterable[Draft]:
    return [Draft(kind=Kind.READING, test="x", value=message.data.decode("ascii"))]


BROKEN = [
    ("no byte is lost at any cut", replace(READER, host=lambda _o: Forgetful())),
    ("cut at every byte, the same messages", replace(READER, host=lambda _o: Hasty())),
    ("decode is pure", replace(READER, decode=impure(READER.decode))),
    ("decode takes any bytes", replace(READER, decode=fragile)),
    ("LOINC check digits", replace(READER, quantities=(Quantity(name="x", code="loinc:1988-6"),))),
    ("units are UCUM", replace(READER, quantities=(Quantity(name="x", unit="mg/dl"),))),
    ("names are lower-case-with-hyphens", replace(READER, quantities=(Quantity(name="CRP"),))),
    ("evidence is named", replace(READER, evidence=Evidence.RECORDING)),
    ("host hears instrument", replace(READER, encode=lambda _drawn, _options: b"hello\r\n")),
    ("goes on after the cable was out", replace(READER, instrument=lambda _o: Sulking())),
    (
        "nothing acknowledged is lost, nothing wrong heard, under each fault",
        replace(ANALYSER, host=lambda options: Liar(ANALYSER.host(options))),
    ),
    ("cases decode to what was meant", replace(READER, decode=lambda _message, _options: [])),
]


@pytest.mark.parametrize(("name", "driver"), BROKEN, ids=[name for name, _ in BROKEN])
def test_a_broken_promise_is_found(name: str, driver: Driver) -> None:
    findings = check(driver, folder=drivers.folder(driver.name), unit_known=lambda unit: unit != "mg/dl")
    failed = {finding.name: finding for finding in findings if not finding.ok}
    assert name in failed
    assert failed[name].detail
    assert earned(findings) < failed[name].tier
