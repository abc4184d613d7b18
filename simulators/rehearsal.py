"""An instrument and its host for hours on a virtual clock: what the bench of `simulators.instrument` would send, in a
moment and without a socket. Scenarios and chaos are tried here first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final

from drivers.kit.declare import Message
from drivers.kit.exchange import Rejected
from simulators.bench import Bench
from simulators.faults import Faults
from simulators.outbox import Outbox
from simulators.plan import Plan
from simulators.scenario import Placed, Scenario, happen
from simulators.source import Source

START: Final = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
CALM: Final = 300.0  # seconds after the last message until nothing can be under way any more


@dataclass(slots=True)
class Rehearsal:
    """One instrument's plan (its link is not opened) on the bench. What the host made of it is in `bench.log`."""

    plan: Plan
    channel: str = ""
    start: datetime = START
    fast: float = 1.0  # how many times faster than life a scenario runs: its rates are of life
    rate: float = field(init=False)
    paused: bool = False
    source: Source = field(init=False)
    bench: Bench = field(init=False)
    _settled: int = 0
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self.source = source = Source(self.plan, self.start)
        self.rate = self.plan.rate
        self._began = self.start.timestamp()
        self.bench = Bench(
            source.driver.host(source.options),
            Outbox(lambda: source.driver.instrument(source.options), answered=not self.plan.link.startswith("folder")),
            source.faults,
            now=self._began,
            host_again=lambda: source.driver.host(source.options),
            channel=self.channel,
            brokered=bool(self.channel),
        )
        source.begin(confirmed=self.bench.instrument.confirms)

    @property
    def faults(self) -> Faults:
        """The dice, to be changed while it runs."""
        return self.source.faults

    def happen(self, event: str) -> None:
        """Something happens to it. ValueError where it knows no such event."""
        self.source.happen(event)

    def run(self, seconds: float, happenings: Iterable[tuple[float, Callable[[Rehearsal], None]]] = ()) -> None:
        """So many seconds, with what happens when; then, without new messages or faults, until all is delivered."""
        waiting = [(at, order, what) for order, (at, what) in enumerate(happenings)]
        heapq.heapify(waiting)
        due = 0.0
        while due < seconds:
            while waiting and waiting[0][0] <= due:
                heapq.heappop(waiting)[2](self)
            self._go_on(due)
            if self.paused:
                due = waiting[0][0] if waiting else seconds
                continue
            self._say(self.source.draw(due))
            due += 1 / self.rate
            if waiting and waiting[0][0] < due:
                due = waiting[0][0]
        self._finish(seconds)

    def _go_on(self, until: float) -> None:
        """Let time pass, and what is sent again be sent."""
        while (again := self.source.again_at) is not None and again <= until:
            self.bench.run(self._began + again)
            for message in self.source.resend(max(again, self.bench.now - self._began)):
                self._say(message)
        self.bench.run(self._began + until)
        self._settle()

    def _finish(self, seconds: float) -> None:
        self.source.faults.rates.clear()
        self._go_on(seconds)
        while (again := self.source.again_at) is not None:
            self._go_on(again)
        self._go_on(self.bench.now - self._began + CALM)
        for _ in range(100):
            if self.bench.instrument.idle:
                break
            self._go_on(self.bench.now - self._began + CALM)
        self.bench.end()
        self.source.end()

    def _say(self, message: bytes) -> None:
        self.bench.say(message)
        self._settle()

    def _settle(self) -> None:
        while self._settled < self.bench.instrument.delivered and self.source.waiting:
            self._settled += 1
            self.source.delivered()

    @property
    def messages(self) -> list[tuple[float, Message]]:
        """Whole messages the host heard, with the Unix time they were whole."""
        return [(at, one) for at, one in self.bench.log if isinstance(one, Message) and one.sound]

    @property
    def refused(self) -> list[Rejected]:
        """What the host would not have."""
        return self.bench.refused


def rehearse(scenario: Scenario, seconds: float | None = None, seed: int = 0) -> dict[str, Rehearsal]:
    """A whole scenario, each instrument by itself, for so long in scenario time (by default as long as it lasts)."""
    lasts = seconds if seconds is not None else scenario.lasts
    if lasts is None:
        raise LookupError("the scenario does not say how long it lasts. Write lasts, or give a time.")
    return {placed.id: _one(scenario, placed, lasts, seed) for placed in scenario.instruments}


def _one(scenario: Scenario, placed: Placed, lasts: float, seed: int) -> Rehearsal:
    fast = scenario.speed
    rehearsal = Rehearsal(scenario.plan(placed, placed.link, seed=seed), channel=f"lab/{placed.id}", fast=fast)
    meant = [one for one in scenario.events if one.instrument in (placed.id, "*")]
    rehearsal.run(lasts / fast, [(one.at / fast, partial(happen, one, fast=fast)) for one in meant])
    return rehearsal
