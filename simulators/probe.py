"""What a driver's protocol has a place for, and what it notices: found by trying it, so that no list goes stale."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final

from pydantic import BaseModel, create_model

import drivers
from drivers.kit.declare import Driver, Identity, Message, Variant
from drivers.kit.exchange import DecodeError
from drivers.kit.observation import Draft, Kind
from simulators.bench import Bench
from simulators.damage import DAMAGE, Damage
from simulators.faults import Faults, Guard, Medium, possible
from simulators.ledger import CARRIED, Carried
from simulators.models import model
from simulators.wire import Wire

START: Final = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
MESSAGES: Final = 21  # one of them a control's
MEDIA: Final[Mapping[str, Medium]] = MappingProxyType(
    {"serial": Medium.LINE, "tcp": Medium.STREAM, "tcp-listen": Medium.STREAM, "mqtt": Medium.BROKER,
     "file": Medium.FOLDER, "opcua": Medium.BROKER, "sila": Medium.BROKER}
)  # fmt: skip
GATEWAY: Final[Mapping[str, str]] = MappingProxyType(
    {"tcp": "tcp-listen", "tcp-listen": "tcp", "mqtt": "mqtt", "folder": "file"}
)
"""The gateway's link to a simulator's; a serial line else."""
LINKS: Final[Mapping[Medium, str]] = MappingProxyType(
    {Medium.LINE: "pty", Medium.STREAM: "tcp-listen", Medium.BROKER: "mqtt", Medium.FOLDER: "folder"}
)
"""A simulator's link on each medium."""
TRIES: Final = 24  # places at which a conversation is damaged
TALK: Final = 12  # messages of a conversation with faults
SEEDS: Final = 12  # of conversations with late answers
CALM: Final = 120.0  # seconds after which a conversation is over


def media(driver: Driver) -> list[Medium]:
    """What it may be plugged into, the usual first."""
    return list(dict.fromkeys(MEDIA[link] for link in driver.links))


def table() -> Iterator[str]:
    """Driver, variant and medium, and the faults of that medium which nobody could notice there: a line each."""
    for name in drivers.names():
        driver = drivers.load(name)
        for variant in ("", *(one.name for one in driver.variants)):
            for medium in media(driver):
                held = guards(driver, plugged(driver.trial(variant), LINKS[medium]), medium)
                unnoticed = [one for one in possible(medium) if one not in possible(medium, held)]
                yield f"{f'{name} {variant}':30} {medium:7} {', '.join(unnoticed) or '-'}"


def conversation(
    driver: Driver, options: Any, messages: int, named: str = "", faults: Faults | None = None, wire: Wire | None = None
) -> Bench:
    """So many messages of the driver's usual model, on a clean wire unless there are `faults`; `pieces` says how."""
    source = model(named or driver.model, 1, driver.observed(options))
    began = START.timestamp()
    bench = Bench(driver.host(options), driver.instrument(options), faults or Faults({}, 1), now=began, record=True)
    if wire:
        bench.faults, bench.wire = wire.faults, wire
    for _ in range(messages):
        bench.say(driver.encode(source.draw(START + timedelta(seconds=bench.now - began)), options))
        bench.run(bench.now + 10.0)
    bench.faults.rates.clear()
    bench.run(bench.now + CALM)
    return bench


def plugged(options: Any, link: str, variant: Variant | None = None) -> Any:
    """Options as a driver of the gateway sees them: with the device's link (by the simulator's, "pty" or "tcp:...") and
    what the variant presets of the device."""
    device = dict(variant.device) if variant else {}
    extra: dict[str, Any] = {name: (Any, None) for name in ("link", *device) if name not in type(options).model_fields}
    model: type[BaseModel] = create_model("Plugged", __base__=type(options), **extra)
    there = SimpleNamespace(type=GATEWAY.get(link.partition(":")[0], "serial"))
    return model.model_construct(**{**dict(options), **{name: device.get(name) for name in extra}, "link": there})


def carried(driver: Driver, options: Any, named: str = "") -> Carried:
    """What of a ledger's observation this instrument has a place for."""
    heard = conversation(driver, options, MESSAGES, named).heard
    drafts = [draft for message in heard for draft in _decoded(driver, message, options)]
    fields = frozenset(name for name in CARRIED if any(getattr(draft, name) is not None for draft in drafts))
    return Carried(
        fields,
        frozenset(draft.quantity for draft in drafts if draft.quantity) or None,
        any(draft.flags for draft in drafts),
        any(draft.kind is Kind.QC for draft in drafts),
    )


def guards(driver: Driver, options: Any, medium: Medium = Medium.LINE) -> frozenset[Guard]:
    """What the protocol has against the faults of a medium; of what that itself guards against nothing is said."""
    found = set()
    if driver.identity(options) is Identity.CONTENT:
        found.add(Guard.IDENTIFIED)
    if medium is Medium.LINE and _checked(driver, options):
        found.add(Guard.CHECKED)
    if medium in (Medium.LINE, Medium.STREAM) and _matched(driver, options):
        found.add(Guard.MATCHED)
    return frozenset(found)


class _Spoiled(Wire):
    """A wire on which one write, the one with this number, is damaged."""

    def __init__(self, number: int, damage: Damage, rng: random.Random) -> None:
        super().__init__(Faults({"drop": 1e-9}, 1))
        self._left, self._damage, self._rng = number, damage, rng

    def _damaged(self, data: bytes) -> bytes:
        self._left -= 1
        return self._damage(data, self._rng) if self._left == -1 else data


def _checked(driver: Driver, options: Any) -> bool:
    """Whether no damage to one write of a conversation makes a result that was not meant."""
    clean = conversation(driver, options, 2)
    meant = _read(driver, options, clean)
    sizes = [len(piece.data) for piece in clean.pieces if piece.incoming]
    if not meant:
        return False
    rng = random.Random(1)
    for turn in range(TRIES):
        number = sizes.index(max(sizes)) if turn % 2 else rng.randrange(len(sizes))
        for damage in DAMAGE.values():
            wire = _Spoiled(number, damage, rng)
            if not _read(driver, options, conversation(driver, options, 2, wire=wire)) <= meant:
                return False
    return True


def _matched(driver: Driver, options: Any) -> bool:
    """Whether nothing counts as delivered that never arrived, and nothing is read that was not meant, though answers
    are late and writes lost. Where an answer does not say to what, and nobody waits for the late one, only being quick
    helps."""
    meant = _read(driver, options, conversation(driver, options, TALK))
    for seed in range(SEEDS):
        faults = Faults({"late-ack": 0.3, "silence": 0.2}, seed)
        asked = conversation(driver, options, TALK, faults=faults)
        faults = Faults({"late-ack": 0.3, "truncate": 0.3}, seed)
        told = conversation(driver, options, TALK, faults=faults)
        if told.instrument.confirms and told.instrument.delivered > len({one.data for one in told.heard}):
            return False
        if not _read(driver, options, asked) <= meant:
            return False
    return True


def _read(driver: Driver, options: Any, bench: Bench) -> set[str]:
    """What is read of a conversation."""
    drafts = [draft for message in bench.heard for draft in _decoded(driver, message, options) if _says(draft)]
    return {f"{draft.kind} {draft.test} {draft.value} {draft.unit} {draft.specimen}" for draft in drafts}


def _says(draft: Draft) -> bool:
    """Whether it has a value: "did not answer" is no damage gone unnoticed."""
    return draft.value is not None or draft.interpretation is not None


def _decoded(driver: Driver, message: Message, options: Any) -> list[Draft]:
    try:
        return list(driver.decode(message, options))
    except DecodeError:
        return []


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in table())
