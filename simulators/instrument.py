"""One simulated instrument: a source of messages, its driver's side of the protocol, a wire, and an endpoint."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from drivers.kit.exchange import Event, Send
from simulators.endpoints import Endpoint, GoneError, build, either
from simulators.faults import Faults
from simulators.outbox import Outbox
from simulators.plan import Plan
from simulators.recorder import Tape
from simulators.source import Source
from simulators.wire import Broken, ToHost, Wire, away

__all__ = ["Instrument", "Plan", "simulate"]

AHEAD = 20  # messages offered and not delivered yet, at most
RETRY = 0.2  # seconds between tries to connect
TURN = 0.25  # seconds within which a change of rate is noticed


class Instrument:
    """Runs a plan. Errors: LookupError for what there is not, ValueError for wrong options."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.source = Source(plan, datetime.now(UTC))
        self.rate = plan.rate  # may be changed while it runs
        self.paused = False
        self._speaker = Outbox(
            lambda: self.source.driver.instrument(self.source.options), answered=not plan.link.startswith("folder")
        )
        self._wire = Wire(self.faults, whole=plan.link.startswith(("mqtt", "folder", "opcua", "sila")))
        self._endpoint: Endpoint = build(plan, self._acknowledged, self.faults, self._speaker)
        self._tape = Tape(plan.record, plan.driver)
        self._settled = 0  # deliveries the source knows of
        self._published: deque[int] = deque()  # by message: publications not acknowledged; below 0: of no message
        self._moved = asyncio.Event()
        self._stopped = asyncio.Event()
        self.source.begin(confirmed=self._endpoint.acknowledges or self._speaker.confirms)

    @property
    def address(self) -> str:
        """Where it can be reached."""
        return self._endpoint.address

    @property
    def faults(self) -> Faults:
        """The dice, to be changed while it runs."""
        return self.source.faults

    @property
    def sent(self) -> int:
        return self.source.sent

    @property
    def acknowledged(self) -> int:
        return self.source.acknowledged

    def happen(self, event: str) -> None:
        """Something happens to it. ValueError where it knows no such event."""
        self.source.happen(event)
        self._moved.set()

    def stop(self) -> None:
        """End `run`."""
        self._stopped.set()

    async def run(self) -> None:
        """Until the plan's count or seconds are over, stopped, or cancelled."""
        running = asyncio.create_task(self._run(), name=f"instrument:{self.plan.device or self.plan.driver}")
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait({running, stopped}, timeout=self.plan.seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (running, stopped):
                if not task.done():
                    task.cancel()
            await asyncio.gather(stopped, return_exceptions=True)
            with contextlib.suppress(asyncio.CancelledError):
                await running
            await self._endpoint.close()
            self.source.end()
            self._tape.close()

    async def _run(self) -> None:
        drawing = asyncio.create_task(self._draw(), name=f"draw:{self.plan.driver}")
        try:
            while not self._finished():
                how = "disconnect"
                try:
                    await self._endpoint.open(self._received)
                    how = await self._converse()
                except GoneError:
                    await asyncio.sleep(RETRY)
                self._wire.cut()
                await self._endpoint.drop(how)
                if seconds := away(how):
                    await asyncio.sleep(seconds)
                self._wire.cut()  # what was said meanwhile was said to nobody
                self._carry_out(self._again())
                if drawing.done():
                    drawing.result()
        finally:
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)

    def _finished(self) -> bool:
        return self.plan.count is not None and self.acknowledged >= self.plan.count

    def _again(self) -> Iterable[Event]:
        """After a lost link an instrument begins its unacknowledged messages again. What went to a broker and does not
        say which it is, is given up: nobody could tell its repetition from a new one."""
        if not self._endpoint.acknowledges:
            self._settle()
            return self._speaker.again(self._now())
        if not self.source.identified:
            self.source.give_up()
        self._published.clear()
        for _ in self._speaker.close():
            pass
        for message in self.source.unsettled:
            self._carry_out(self._speaker.offer(message, self._now()), of_message=True)
        return ()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # ---- what it has to say

    async def _draw(self) -> None:
        plan, source = self.plan, self.source
        started = self._now()
        last = started - (1 / self.rate if self.rate else 0.0)
        most = AHEAD * (50 if self._endpoint.acknowledges else 1)
        while plan.count is None or source.sent < plan.count or source.again_at is not None:
            last = await self._turn(last, started)
            while source.waiting >= most:
                self._moved.clear()
                await self._moved.wait()
            if plan.count is None or source.sent < plan.count:
                self._offer(source.draw(self._now() - started))

    async def _turn(self, last: float, started: float) -> float:
        """Wait until the next message is due: rate and pause may change meanwhile. When it was due."""
        await asyncio.sleep(0)
        while True:
            now = self._now()
            for message in self.source.resend(now - started):
                self._offer(message)
            due = last + 1 / self.rate if self.rate else now
            if self.paused:
                last = now
            elif due <= now:
                return due
            await asyncio.sleep(TURN if self.paused else min(TURN, due - now))

    def _offer(self, message: bytes) -> None:
        self._carry_out(self._speaker.offer(message, self._now()), of_message=True)
        self._settle()

    # ---- the wire

    def _received(self, data: bytes, channel: str = "") -> None:
        self._tape.note(data, self._now(), incoming=False)
        self._wire.hear(data, self._now(), channel)
        self._moved.set()

    def _carry_out(self, events: Iterable[Event], *, of_message: bool = False) -> None:
        now, written = self._now(), 0
        for event in events:
            data, channel = (event.data, event.channel) if isinstance(event, Send) else (event.reply, "")
            if data:
                self._wire.say(data, now, channel)
                written += 1
        if written and self._endpoint.acknowledges:
            self._published.append(written if of_message else -written)
        self._moved.set()

    def _settle(self) -> None:
        """Note what the speaker has had acknowledged."""
        if self._endpoint.acknowledges:
            return
        while self._settled < self._speaker.delivered and self.source.waiting:
            self._one_delivered()

    def _acknowledged(self) -> None:
        """The broker acknowledged one publication more: what a message became is acknowledged with the last of it."""
        left = self._published.popleft() if self._published else -1
        if abs(left) > 1:
            self._published.appendleft(left - 1 if left > 0 else left + 1)
        elif left > 0:
            self._one_delivered()

    def _one_delivered(self) -> None:
        self._settled += 1
        if self.source.waiting:
            self.source.delivered()
        self._moved.set()

    async def _converse(self) -> str:
        """Carry bytes both ways until the link breaks, all is said, or the other end is gone (GoneError)."""
        while True:
            self._moved.clear()
            while (step := self._wire.take(self._now())) is not None:
                if isinstance(step, Broken):
                    return step.how
                if isinstance(step, ToHost):
                    self._tape.note(step.data, self._now(), incoming=True)
                    await self._endpoint.write(step.data, step.channel)
                else:
                    self._carry_out(self._speaker.receive_from(step.channel, step.data, self._now()))
                    self._settle()
            if self._endpoint.gone.is_set():
                raise GoneError("the connection ended")
            deadline = self._speaker.deadline
            if deadline is not None and self._now() >= deadline:
                self._carry_out(self._speaker.tick(self._now()))
                self._settle()
                continue
            if self._finished() and self._speaker.idle and self._wire.deadline is None:
                return "disconnect"
            await self._something(deadline)

    async def _something(self, deadline: float | None) -> None:
        """Until bytes move, the link goes, or a timer is due."""
        if self._moved.is_set():
            return
        due = min((at for at in (deadline, self._wire.deadline) if at is not None), default=None)
        limit = None if due is None else max(0.0, due - self._now())
        await either(self._endpoint.gone, self._moved, timeout=limit)


async def simulate(plan: Plan, tell: Callable[[str], None]) -> Instrument:
    """Run one instrument to its end; `tell` is given where it can be reached."""
    instrument = Instrument(plan)
    tell(instrument.address)
    await instrument.run()
    return instrument
