"""What a driver's protocol has a place for, and what it notices: found by trying it, so that no list goes stale."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import drivers
from drivers.kit.declare import Driver, Identity, Message
from drivers.kit.exchange import DecodeError
from drivers.kit.observation import Draft, Kind
from drivers.kit.recording import Piece, play
from simulators.bench import Bench
from simulators.damage import DAMAGE
from simulators.faults import Faults, Guard, Medium, possible
from simulators.ledger import CARRIED, Carried
from simulators.models import model

START: Final = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
MESSAGES: Final = 21  # one of them a control's
MEDIA: Final[Mapping[str, Medium]] = MappingProxyType(
    {"serial": Medium.LINE, "tcp": Medium.STREAM, "tcp-listen": Medium.STREAM, "mqtt": Medium.BROKER,
     "file": Medium.FOLDER, "opcua": Medium.BROKER, "sila": Medium.BROKER}
)  # fmt: skip
TRIES: Final = 40  # places at which a conversation is damaged
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
            held = guards(driver, driver.trial(variant))
            for medium in media(driver):
                unnoticed = [one for one in possible(medium) if one not in possible(medium, held)]
                yield f"{f'{name} {variant}':30} {medium:7} {', '.join(unnoticed) or '-'}"


def conversation(driver: Driver, options: Any, messages: int, named: str = "", faults: Faults | None = None) -> Bench:
    """So many messages of the driver's usual model, on a clean wire unless there are `faults`; `pieces` says how."""
    source = model(named or driver.model, 1, driver.observed(options))
    began = START.timestamp()
    bench = Bench(driver.host(options), driver.instrument(options), faults or Faults({}, 1), now=began, record=True)
    for _ in range(messages):
        bench.say(driver.encode(source.draw(START + timedelta(seconds=bench.now - began)), options))
        bench.run(bench.now + 10.0)
    bench.faults.rates.clear()
    bench.run(bench.now + CALM)
    return bench


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


def guards(driver: Driver, options: Any) -> frozenset[Guard]:
    """What the protocol has against faults."""
    found = set()
    if driver.identity(options) is Identity.CONTENT:
        found.add(Guard.IDENTIFIED)
    if _checked(driver, options):
        found.add(Guard.CHECKED)
    if all(_matched(driver, options, seed) for seed in range(SEEDS)):
        found.add(Guard.MATCHED)
    return frozenset(found)


def _checked(driver: Driver, options: Any) -> bool:
    """Whether no damage to one write of a conversation makes a result that was not meant."""
    pieces = conversation(driver, options, 2).pieces
    meant = _results(driver, options, pieces)
    places = [at for at, piece in enumerate(pieces) if piece.incoming]
    if not places or not meant:
        return False
    rng = random.Random(1)
    for number in range(TRIES):
        at = max(places, key=lambda place: len(pieces[place].data)) if number % 2 else rng.choice(places)
        for damage in DAMAGE.values():
            ruined = Piece(pieces[at].at, True, damage(pieces[at].data, rng), pieces[at].channel)
            if not _results(driver, options, [*pieces[:at], ruined, *pieces[at + 1 :]]) <= meant:
                return False
    return True


def _matched(driver: Driver, options: Any, seed: int) -> bool:
    """Whether nothing counts as delivered that never arrived, though answers are late and writes lost.

    Where an ACK carries no number and the instrument does not wait for the late one, no host can help it.
    """
    if not driver.instrument(options).confirms:
        return True
    faults = Faults({"late-ack": 0.3, "truncate": 0.3}, seed)
    bench = conversation(driver, options, 12, faults=faults)
    return bench.instrument.delivered <= len({one.data for one in bench.heard})


def _results(driver: Driver, options: Any, pieces: Iterable[Piece]) -> set[str]:
    """What is read with certainty."""
    heard = [one for one in play(driver.host(options), pieces) if isinstance(one, Message) and one.sound]
    drafts = [draft for message in heard for draft in _decoded(driver, message, options) if _says(draft)]
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
