"""One simulated instrument: a model, a driver's own side of the protocol, faults, and an endpoint."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import drivers
from drivers.kit.declare import Driver
from drivers.kit.exchange import Event, Send, Speaker
from simulators import ledger as ledgers
from simulators.endpoints import Endpoint, FolderEndpoint, GoneError, MqttEndpoint, PtyEndpoint, TcpEndpoint
from simulators.faults import Do, Faults, Pause
from simulators.models import Clock, Model, model

AHEAD = 20  # messages offered and not delivered yet, at most
RETRY = 0.2  # seconds between tries to connect
TIMEOUT = 5.0  # seconds a one-way message may take to be called delivered


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate."""

    driver: str
    link: str  # pty[:PATH], tcp:HOST:PORT, tcp-listen:HOST:PORT, mqtt:HOST:PORT/TOPIC, folder:PATH
    model: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    rate: float = 1.0  # messages a second; 0: as fast as they are acknowledged
    speed: float = 1.0
    seed: int = 1
    faults: Mapping[str, float] = field(default_factory=dict)
    ledger: Path | None = None
    device: str = ""
    seconds: float | None = None
    count: int | None = None
    zone: str = "UTC"
    variant: str = ""


class Instrument:
    """Runs a plan. Errors: LookupError for what there is not, ValueError for wrong options."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        try:
            self.driver: Driver = drivers.load(plan.driver)
        except KeyError:
            raise LookupError(
                f"no driver is called {plan.driver!r}. Known are: {', '.join(drivers.names())}."
            ) from None
        self.options = self.driver.trial(plan.variant, plan.options)
        self.model: Model = model(plan.model or self.driver.model, plan.seed, self.driver.observed(self.options))
        self.faults = Faults(plan.faults, plan.seed)
        self.sent = self.acknowledged = 0
        self._speaker: Speaker = self.driver.instrument(self.options)
        self._endpoint = self._build(plan.link)
        self._confirms = self._endpoint.acknowledges or self._speaker.confirms
        header = {"driver": plan.driver, "device": plan.device, "seed": plan.seed, "confirmed": self._confirms}
        self._ledger = ledgers.Ledger(plan.ledger, header)
        self._waiting: deque[bytes] = deque()  # of numbers acknowledged + 1 and on: kept until they are
        self._out: deque[bytes] = deque()
        self._moved = asyncio.Event()
        self._base = 0  # messages the present speaker was not there for

    def _build(self, link: str) -> Endpoint:
        kind, _, rest = link.partition(":")
        match kind:
            case "pty":
                return PtyEndpoint(Path(rest) if rest else None)
            case "tcp" | "tcp-listen":
                host, _, port = rest.rpartition(":")
                return TcpEndpoint(host or "127.0.0.1", int(port or 0), listen=kind == "tcp-listen")
            case "mqtt":
                where, _, topic = rest.partition("/")
                host, _, port = where.partition(":")
                name = f"sim-{self.plan.driver}-{self.plan.device or self.plan.seed}"
                return MqttEndpoint(host, int(port or 1883), topic or "sim", name, self._one_acknowledged)
            case "folder":
                return FolderEndpoint(Path(rest), f"{self.plan.driver}-{self.plan.seed}")
        raise LookupError(f"{link!r} is no link. Write pty, tcp:HOST:PORT, tcp-listen:HOST:PORT, mqtt:HOST:PORT/TOPIC.")

    @property
    def address(self) -> str:
        return self._endpoint.address

    async def run(self) -> None:
        """Until the plan's count or seconds are over, or cancelled."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.plan.seconds):
                    await self._run()
        finally:
            await self._endpoint.close()
            self._ledger.close()

    async def _run(self) -> None:
        drawing = asyncio.create_task(self._draw(), name=f"draw:{self.plan.driver}")
        try:
            while not self._finished():
                try:
                    await self._endpoint.open(self._received)
                    await self._converse()
                except GoneError:
                    await asyncio.sleep(RETRY)
                await self._endpoint.drop()
                self._start_over()
        finally:
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)

    def _finished(self) -> bool:
        return self.plan.count is not None and self.acknowledged >= self.plan.count

    def _start_over(self) -> None:
        """After a lost link a real instrument begins its unacknowledged messages again."""
        self._speaker = self.driver.instrument(self.options)
        self._base = self.acknowledged
        self._out.clear()
        if not self._endpoint.acknowledges:
            now = asyncio.get_running_loop().time()
            for message in self._waiting:
                self._carry_out(self._speaker.offer(message, now))

    # ---- what it has to say

    async def _draw(self) -> None:
        loop = asyncio.get_running_loop()
        plan, clock, started = self.plan, Clock(datetime.now(UTC), self.plan.speed), loop.time()
        number = 0
        while plan.count is None or number < plan.count:
            if plan.rate:
                await asyncio.sleep(max(0.0, started + number / plan.rate - loop.time()))
            while len(self._waiting) >= AHEAD * (50 if self._endpoint.acknowledges else 1):
                self._moved.clear()
                await self._moved.wait()
            if self.faults.happens("clock-jump"):
                clock.offset += timedelta(hours=1)
            if self.faults.happens("clock-drift"):
                clock.offset += timedelta(seconds=30)
            number += 1
            drawn = self.model.draw(clock.at(loop.time() - started))
            message = self.driver.encode(drawn, self.options)
            self._ledger.meant(number, ledgers.meant(drawn))
            self._ledger.sent(number)
            self._waiting.append(message)
            self.sent = number
            self._carry_out(self._speaker.offer(message, loop.time()))
            self._settle()

    # ---- the wire

    def _received(self, data: bytes) -> None:
        self._carry_out(self._speaker.receive(data, asyncio.get_running_loop().time()))
        self._settle()

    def _carry_out(self, events: Iterable[Event]) -> None:
        for event in events:
            data = event.data if isinstance(event, Send) else event.reply
            if data:
                self._out.append(data)
        self._moved.set()

    def _settle(self) -> None:
        """Note what the speaker has had acknowledged."""
        if self._endpoint.acknowledges:
            return
        while self._base + self._speaker.delivered > self.acknowledged and self._waiting:
            self._one_acknowledged()

    def _one_acknowledged(self) -> None:
        self._waiting.popleft()
        self.acknowledged += 1
        if self._confirms:
            self._ledger.acknowledged(self.acknowledged)
        self._moved.set()

    async def _converse(self) -> None:
        """Carry bytes out until the link is gone or all is said."""
        loop = asyncio.get_running_loop()
        while True:
            while self._out:
                await self._write(self._out.popleft())
            if self._endpoint.gone.is_set():
                raise GoneError("the connection ended")
            if self._finished() and self._speaker.idle:
                return
            self._moved.clear()
            if self._out:
                continue
            deadline = self._speaker.deadline
            gone = asyncio.create_task(self._endpoint.gone.wait())
            moved = asyncio.create_task(self._moved.wait())
            limit = None if deadline is None else max(0.0, deadline - loop.time())
            await asyncio.wait({gone, moved}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            for task in (gone, moved):
                task.cancel()
            if deadline is not None and loop.time() >= deadline:
                self._carry_out(self._speaker.tick(loop.time()))
                self._settle()

    async def _write(self, data: bytes) -> None:
        for step in self.faults.write(data):
            match step:
                case Pause():
                    await asyncio.sleep(step.seconds)
                case Do.DISCONNECT:
                    await self._endpoint.drop()
                    raise GoneError("a fault dropped the link")
                case _:
                    if step:
                        await self._endpoint.write(step)


async def simulate(plan: Plan, tell: Callable[[str], None]) -> Instrument:
    """Run one instrument to its end; `tell` is given where it can be reached."""
    instrument = Instrument(plan)
    tell(instrument.address)
    await instrument.run()
    return instrument
