"""What every driver must do, measured: for ours and for any driver outside this repository.

Each property belongs to a tier. A driver has earned a tier when every property up to it holds: bronze loses no byte and
survives anything, silver is shown by cases and talks to its own simulator, gold comes through every fault, platinum
has read a real instrument's traffic.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final

from drivers.kit import manual, recording
from drivers.kit.declare import Driver, Evidence, Message, Variant
from drivers.kit.exchange import DecodeError, Event, Exchange, Reason, Received, Rejected, WireError
from drivers.kit.observation import Draft, Kind
from simulators.bench import Bench
from simulators.cases import case_differs, shown
from simulators.faults import Faults, Medium, possible
from simulators.models import model
from simulators.outbox import Outbox
from simulators.probe import guards, media

START: Final = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
MESSAGES: Final = 6
MOST_DRAFTS: Final = 10_000
EVERY_CUT: Final = 3000  # bytes up to which a stream is cut at every place; beyond, at so many
RATE: Final = 0.15  # of each fault, a write
HEALING: Final = 600.0  # seconds of virtual time a conversation has after the faults have ended
VALUED: Final = (Kind.RESULT, Kind.QC, Kind.READING)
STREAMS: Final = frozenset({"serial", "tcp", "tcp-listen"})


class Tier(IntEnum):
    """What a driver has shown."""

    NONE = 0
    BRONZE = 1
    SILVER = 2
    GOLD = 3
    PLATINUM = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One property, and whether it holds; `detail` has the bytes or the fault it failed on."""

    name: str
    ok: bool
    detail: str = ""
    tier: Tier = Tier.BRONZE


@dataclass
class Trial:
    """A driver with the options it is tried with, and what its simulated instrument says."""

    driver: Driver
    options: Any
    seed: int = 1
    folder: Path | None = None
    unit_known: Callable[[str], bool] | None = None
    variant: str = ""
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    def host(self) -> Exchange:
        return self.driver.host(self.options)

    @cached_property
    def sent(self) -> list[bytes]:
        """What its model says, encoded."""
        source = model(self.driver.model, self.seed, self.driver.observed(self.options))
        times = (START + timedelta(seconds=10 * n) for n in range(MESSAGES))
        return [self.driver.encode(source.draw(at), self.options) for at in times]

    @cached_property
    def clean(self) -> Bench:
        """The whole conversation on a good wire."""
        return self.talk(Faults({}, 1))

    @cached_property
    def wire(self) -> bytes:
        """What the host used up of it: frames of whole messages, one after the other."""
        return b"".join(message.data for message in self.clean.heard)

    def talk(self, faults: Faults, *, brokered: bool = False) -> Bench:
        """Everything it has to say, under `faults` that end with it; then time to heal."""
        outbox = Outbox(lambda: self.driver.instrument(self.options))
        bench = Bench(self.host(), outbox, faults, host_again=self.host, brokered=brokered)
        for message in self.sent:
            bench.say(message)
            bench.run(bench.now + 5.0)
        bench.faults = Faults({}, 1)
        bench.run(bench.now + HEALING)
        return bench

    def drafts(self, message: Message) -> list[Draft]:
        """Errors: DecodeError."""
        return list(islice(self.driver.decode(message, self.options), MOST_DRAFTS))

    def said(self, message: Message) -> Counter[tuple[Any, ...]]:
        """The values in a message, without what differs when it is sent again."""
        values = [draft for draft in self.drafts(message) if draft.kind in VALUED]
        return Counter(
            (draft.kind, draft.test, draft.specimen, draft.value, draft.unit, draft.interpretation)
            for draft in values
            if (draft.value, draft.interpretation) != (None, None)  # "it did not answer" is no value
        )


def check(
    driver: Driver,
    options: Any = None,
    seed: int = 1,
    *,
    variant: str = "",
    folder: Path | None = None,
    unit_known: Callable[[str], bool] | None = None,
) -> list[Finding]:
    """Every property of the kit; `options` default to those of the driver's example and of the variant named.

    `folder` is where its `cases` are; `unit_known` says whether a unit is UCUM. Without them those are not looked at.
    """
    tried = options if options is not None else driver.trial(variant)
    trial = Trial(driver, tried, seed, folder, unit_known, variant)
    return [_finding(trial, tier, name, test) for tier, name, test in PROPERTIES]


def _finding(trial: Trial, tier: Tier, name: str, test: Callable[[Trial], str]) -> Finding:
    try:
        why = test(trial)
    except Exception as error:  # noqa: BLE001 - whatever a driver raises is the finding
        why = f"{type(error).__name__}: {error}"
    return Finding(name, not why, why, tier)


def earned(findings: Iterable[Finding]) -> Tier:
    """The highest tier all of whose properties, and those of the tiers below, hold."""
    failed = [finding.tier for finding in findings if not finding.ok]
    return Tier(min(failed) - 1) if failed else Tier.PLATINUM


# ---- bronze: no byte is lost, nothing breaks it


def feed(exchange: Exchange, pieces: Iterable[bytes]) -> list[Event]:
    """The events of `pieces` and of the end of the link; a WireError ends it as a link would."""
    events: list[Event] = []
    for piece in pieces:
        try:
            events += exchange.receive(piece, 1.0)
        except WireError:
            break
    return [*events, *exchange.close()]


def used(events: Iterable[Event]) -> bytes:
    return b"".join(event.raw for event in events)


def _lossless(trial: Trial) -> str:
    wire = trial.wire
    cuts = sorted(trial.rng.randrange(len(wire) + 1) for _ in range(20))
    for name, pieces in (
        ("whole", [wire]),
        ("byte by byte", [wire[n : n + 1] for n in range(len(wire))]),
        ("at random cuts", [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]),
    ):
        if used(feed(trial.host(), pieces)) != wire:
            return f"fed {name}, the events' raw is not the input: {shown(wire)}"
    return ""


def _garbage(trial: Trial) -> str:
    for size in (1, 7, 200, 5000):
        data = trial.rng.randbytes(size)
        if used(feed(trial.host(), [data])) != data:
            return f"the events' raw is not the input: {shown(data)}"
    return ""


def _ruined(trial: Trial) -> str:
    """The conversation with bytes changed, lost and doubled in it."""
    for _ in range(30):
        data = bytearray(trial.wire)
        for _ in range(trial.rng.randrange(1, 6)):
            place = trial.rng.randrange(len(data) or 1)
            data[place : place + trial.rng.randrange(2)] = trial.rng.randbytes(trial.rng.randrange(3))
        if used(feed(trial.host(), [bytes(data)])) != data:
            return f"the events' raw is not the input: {shown(bytes(data))}"
    return ""


def _pure(trial: Trial) -> str:
    for heard in trial.clean.heard:
        if trial.drafts(heard) != trial.drafts(heard):
            return f"decoded twice, differently: {shown(heard.data)}"
    return ""


def _decodes_anything(trial: Trial) -> str:
    rng = trial.rng
    for message in [*trial.clean.heard, *map(Message, (*trial.sent, b"", rng.randbytes(300)))]:
        for _ in range(20):
            ruined = bytearray(message.data)
            for _ in range(rng.randrange(4)):
                if ruined:
                    ruined[rng.randrange(len(ruined))] = rng.randrange(256)
            cut = bytes(ruined[: rng.randrange(len(ruined) + 1)])
            try:
                trial.drafts(Message(cut, message.channel, sound=False))
            except DecodeError:
                continue
            except Exception as error:  # noqa: BLE001 - any other exception is the finding
                return f"{type(error).__name__} on {shown(cut)}"
    return ""


def _codes(trial: Trial) -> str:
    for quantity in trial.driver.observed(trial.options):
        code = (quantity.code or "").removeprefix("loinc:")
        if quantity.code and quantity.code.startswith("loinc:") and not _luhn(code):
            return f"{quantity.name}: {code} has the wrong check digit"
    return ""


def _luhn(code: str) -> bool:
    digits = [int(digit) for digit in code.replace("-", "")]
    total = sum(digits[-1::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return total % 10 == 0


def _units(trial: Trial) -> str:
    known = trial.unit_known
    for quantity in trial.driver.observed(trial.options):
        if known and quantity.unit and not known(quantity.unit):
            return f"{quantity.name}: {quantity.unit!r} is no UCUM unit"
    return ""


def _names(trial: Trial) -> str:
    for name in (trial.driver.name, *(quantity.name for quantity in trial.driver.observed(trial.options))):
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
            return f"{name!r} is not lower-case-with-hyphens"
    return ""


def _manual(trial: Trial) -> str:
    return "" if trial.driver.name in manual.page(trial.driver) else "its name is missing"


def _evidence(trial: Trial) -> str:
    claims: list[Driver | Variant] = [trial.driver, *trial.driver.variants]
    for one in claims:
        if (one.evidence >= Evidence.RECORDING) != bool(one.recordings):
            return f"{one.name}: evidence is {one.evidence.name}, recordings are {list(one.recordings)}"
    return ""


# ---- silver: shown by cases, and host and instrument understand each other


def _every_cut(trial: Trial) -> str:
    """Wherever a stream is cut in two, the same messages come out. (What MQTT and folders bring is whole.)"""
    if not STREAMS.intersection(trial.driver.links):
        return ""
    wire = trial.wire[:EVERY_CUT]
    whole = [event for event in feed(trial.host(), [wire]) if not _silent(event)]
    for place in range(1, len(wire)):
        found = [event for event in feed(trial.host(), [wire[:place], wire[place:]]) if not _silent(event)]
        if [_outcome(event) for event in found] != [_outcome(event) for event in whole]:
            return f"cut at byte {place}, other events: {shown(wire[max(0, place - 20) : place + 20])}"
    return ""


def _silent(event: Event) -> bool:
    return not isinstance(event, Received | Rejected)


def _outcome(event: Event) -> tuple[object, ...]:
    if isinstance(event, Received):
        return ("received", event.raw, event.complete, event.sound)
    return ("rejected", event.raw, event.reason) if isinstance(event, Rejected) else ()


def _meets(trial: Trial) -> str:
    bench = trial.clean
    if bench.refused:
        return f"the host refused {shown(bench.refused[0].raw)}: {bench.refused[0].reason}"
    drafts = [draft for heard in bench.heard for draft in trial.drafts(heard)]
    told = [draft for draft in drafts if draft.kind not in (Kind.EVENT, Kind.STATUS)]
    return "" if told else "nothing it said became a result or a reading"


def _cases(trial: Trial) -> str:
    if trial.folder is None:
        return ""
    found = recording.cases(trial.folder)
    if not found:
        return f"no case in {trial.folder / 'cases'}"
    return next((f"{case.name}: {why}" for case in found if (why := case_differs(trial.driver, case))), "")


# ---- gold: through every fault


def _unplugged(trial: Trial) -> str:
    """The cable comes out in the middle of a message and goes in again: everything said afterwards arrives."""
    wire = trial.wire
    host = trial.host()
    feed(host, [wire[: len(wire) // 2]])
    bench = Bench(trial.host(), trial.driver.instrument(trial.options))
    bench.say(trial.sent[0])
    bench.run(3.0)
    bench.host = trial.host()
    list(bench.instrument.close())
    for message in trial.sent:
        bench.say(message)
        bench.run(bench.now + 5.0)
    bench.run(bench.now + HEALING)
    heard = sum((_read(trial, message) for message in bench.heard), Counter[tuple[Any, ...]]())
    wanted = sum((trial.said(message) for message in trial.clean.heard), Counter[tuple[Any, ...]]())
    missing = [one for one in wanted if one not in heard]
    return f"never heard again: {missing[0]}" if missing else ""


def _faults(trial: Trial) -> str:
    """Under each fault its wires can have, nothing acknowledged is missing, and nothing is heard that was not said.

    What the protocol has no means to notice (`simulators.probe.guards`) is left out.
    """
    clean = sum((trial.said(message) for message in trial.clean.heard), Counter[tuple[Any, ...]]())
    held = guards(trial.driver, trial.options)
    for medium, name in [(each, name) for each in media(trial.driver) for name in possible(each, held)]:
        if (medium, name) == (Medium.FOLDER, "slow"):
            continue  # whether a file is whole is for the folder's link to see
        bench = trial.talk(Faults({name: RATE}, trial.seed), brokered=medium is Medium.BROKER)
        heard = sum((_read(trial, message) for message in bench.heard), Counter[tuple[Any, ...]]())
        if bench.instrument.confirms:
            if bench.instrument.delivered < len(trial.sent):
                return f"{name}: {len(trial.sent) - bench.instrument.delivered} messages were never delivered"
            if lost := [one for one in clean if one not in heard]:
                return f"{name}: acknowledged and never heard: {lost[0]}"
        if wrong := [one for one in heard if one not in clean]:
            return f"{name}: heard and never said: {wrong[0]}"
    return ""


def _read(trial: Trial, message: Message) -> Counter[tuple[Any, ...]]:
    try:
        return trial.said(message)
    except DecodeError as error:
        return Counter({("quarantine", str(error.reason)): 1} if error.reason is Reason.FAULT else {})


# ---- platinum: real traffic


def _recorded(trial: Trial) -> str:
    shown: Driver | Variant = trial.driver.preset(trial.variant) if trial.variant else trial.driver
    return "" if shown.recordings else "no recording of a real instrument is named"


PROPERTIES: Final[Sequence[tuple[Tier, str, Callable[[Trial], str]]]] = (
    (Tier.BRONZE, "no byte is lost at any cut", _lossless),
    (Tier.BRONZE, "garbage ends in events", _garbage),
    (Tier.BRONZE, "a ruined conversation ends in events", _ruined),
    (Tier.BRONZE, "decode is pure", _pure),
    (Tier.BRONZE, "decode takes any bytes", _decodes_anything),
    (Tier.BRONZE, "LOINC check digits", _codes),
    (Tier.BRONZE, "units are UCUM", _units),
    (Tier.BRONZE, "names are lower-case-with-hyphens", _names),
    (Tier.BRONZE, "manual renders", _manual),
    (Tier.BRONZE, "evidence is named", _evidence),
    (Tier.SILVER, "cut at every byte, the same messages", _every_cut),
    (Tier.SILVER, "host hears instrument", _meets),
    (Tier.SILVER, "cases decode to what was meant", _cases),
    (Tier.GOLD, "goes on after the cable was out", _unplugged),
    (Tier.GOLD, "nothing acknowledged is lost, nothing wrong heard, under each fault", _faults),
    (Tier.PLATINUM, "read a real instrument's traffic", _recorded),
)
