"""What every driver must do, checked: for ours and for any driver outside this repository."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from drivers.kit import manual
from drivers.kit.declare import Driver, Evidence, Message, Variant
from drivers.kit.exchange import DecodeError, Event, Exchange
from simulators.bench import Bench
from simulators.faults import Faults
from simulators.models import model

START = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
MESSAGES = 6
MOST_DRAFTS = 10_000
RUIN = {"corrupt": 0.2, "split": 0.3, "duplicate": 0.1, "drop": 0.1}


@dataclass(frozen=True, slots=True)
class Finding:
    """One property, and whether it holds."""

    name: str
    ok: bool
    detail: str = ""


def check(driver: Driver, options: Any = None, seed: int = 1) -> list[Finding]:
    """Every property of the kit; `options` default to those of the driver's example."""
    options = options if options is not None else driver.trial()
    sent = messages(driver, options, seed)
    wire = _on_the_wire(driver, options, sent)
    tests: tuple[tuple[str, Callable[[], str]], ...] = (
        ("no byte is lost at any cut", lambda: _lossless(driver, options, wire, seed)),
        ("garbage ends in events", lambda: _garbage(driver, options, seed)),
        ("host hears instrument", lambda: _meets(driver, options, sent)),
        ("faults give no wrong message", lambda: _recovers(driver, options, sent, seed)),
        ("decode is pure", lambda: _pure(driver, options, sent)),
        ("decode takes any bytes", lambda: _decodes_anything(driver, options, sent, seed)),
        ("evidence is named", lambda: _evidence(driver)),
        ("LOINC check digits", lambda: _codes(driver)),
        ("names are lower-case-with-hyphens", lambda: _names(driver)),
        ("manual renders", lambda: "" if driver.name in manual.page(driver) else "its name is missing"),
    )
    return [Finding(name, not (why := test()), why) for name, test in tests]


def messages(driver: Driver, options: Any, seed: int) -> list[bytes]:
    """What the driver's usual model says, encoded."""
    source = model(driver.model, seed, driver.observed(options))
    return [driver.encode(source.draw(START + timedelta(seconds=10 * n)), options) for n in range(MESSAGES)]


def _talk(driver: Driver, options: Any, sent: Iterable[bytes], faults: Faults | None = None) -> Bench:
    bench = Bench(driver.host(options), driver.instrument(options), faults or Faults({}, 1))
    for message in sent:
        bench.say(message)
        bench.run(bench.now + 5.0)
    bench.run(bench.now + 120.0)
    return bench


def _on_the_wire(driver: Driver, options: Any, sent: Iterable[bytes]) -> bytes:
    return b"".join(message.data for message in _talk(driver, options, sent).heard)


def _feed(exchange: Exchange, pieces: Iterable[bytes]) -> list[Event]:
    events: list[Event] = []
    for piece in pieces:
        events += exchange.receive(piece, 1.0)
    return [*events, *exchange.close()]


def _used(events: Iterable[Event]) -> bytes:
    return b"".join(event.raw for event in events)


def _lossless(driver: Driver, options: Any, wire: bytes, seed: int) -> str:
    rng = random.Random(seed)
    cuts = sorted(rng.randrange(len(wire) + 1) for _ in range(20))
    random_pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    for name, pieces in (
        ("whole", [wire]),
        ("byte by byte", [wire[n : n + 1] for n in range(len(wire))]),
        ("at random cuts", random_pieces),
    ):
        if _used(_feed(driver.host(options), pieces)) != wire:
            return f"fed {name}, the events' raw is not the input"
    return ""


def _garbage(driver: Driver, options: Any, seed: int) -> str:
    rng = random.Random(seed)
    for size in (1, 7, 200, 5000):
        data = rng.randbytes(size)
        if _used(_feed(driver.host(options), [data])) != data:
            return f"{size} random bytes: the events' raw is not the input"
    return ""


def _meets(driver: Driver, options: Any, sent: list[bytes]) -> str:
    bench = _talk(driver, options, sent)
    if bench.refused:
        return f"the host refused {bench.refused[0].raw[:60]!r}: {bench.refused[0].reason}"
    drafts = [draft for heard in bench.heard for draft in driver.decode(heard, options)]
    return "" if drafts else "nothing it said became a draft"


def _recovers(driver: Driver, options: Any, sent: list[bytes], seed: int) -> str:
    """Through a bad wire an acknowledging protocol delivers every message it says it has."""
    bench = _talk(driver, options, sent, Faults(RUIN, seed))
    if bench.instrument.confirms and bench.instrument.delivered > len(bench.heard):
        return f"{bench.instrument.delivered} acknowledged, {len(bench.heard)} heard"
    return ""


def _pure(driver: Driver, options: Any, sent: list[bytes]) -> str:
    for heard in _talk(driver, options, sent).heard:
        if list(driver.decode(heard, options)) != list(driver.decode(heard, options)):
            return f"decoded twice, differently: {heard.data[:60]!r}"
    return ""


def _decodes_anything(driver: Driver, options: Any, sent: list[bytes], seed: int) -> str:
    rng = random.Random(seed)
    heard = _talk(driver, options, sent).heard
    for message in [*heard, *map(Message, (*sent, b"", rng.randbytes(300)))]:
        for _ in range(20):
            ruined = bytearray(message.data)
            for _ in range(rng.randrange(4)):
                if ruined:
                    ruined[rng.randrange(len(ruined))] = rng.randrange(256)
            cut = bytes(ruined[: rng.randrange(len(ruined) + 1)])
            try:
                list(islice(driver.decode(Message(cut, message.channel, sound=False), options), MOST_DRAFTS))
            except DecodeError:
                continue
            except Exception as error:  # noqa: BLE001 - any other exception is the finding
                return f"{type(error).__name__} on {cut[:60]!r}"
    return ""


def _evidence(driver: Driver) -> str:
    claims: list[Driver | Variant] = [driver, *driver.variants]
    for one in claims:
        if (one.evidence >= Evidence.RECORDING) != bool(one.recordings):
            return f"{one.name}: evidence is {one.evidence.name}, recordings are {list(one.recordings)}"
    return ""


def _codes(driver: Driver) -> str:
    for quantity in driver.quantities:
        code = (quantity.code or "").removeprefix("loinc:")
        if quantity.code and quantity.code.startswith("loinc:") and not _luhn(code):
            return f"{quantity.name}: {code}"
    return ""


def _luhn(code: str) -> bool:
    digits = [int(digit) for digit in code.replace("-", "")]
    total = sum(digits[-1::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return total % 10 == 0


def _names(driver: Driver) -> str:
    for name in (driver.name, *(quantity.name for quantity in driver.quantities)):
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
            return name
    return ""
