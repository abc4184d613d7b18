"""The influxdb sink: every observation a point in a store, once, whatever the store does meanwhile."""

from __future__ import annotations

import asyncio
import importlib
import time
from contextlib import aclosing
from typing import Final

import structlog

from gateway.backoff import Backoff
from gateway.journal.age import UNSET
from gateway.journal.store import Journal
from gateway.sinks.answer import Answer, Store, UnreachableError
from gateway.sinks.lines import Lines, UnfitError
from gateway.sinks.options import InfluxOptions
from gateway.sinks.place import Batch, Place
from gateway.sinks.state import SinkState

log = structlog.get_logger()

LOOK: Final = 5.0  # seconds between looks at whether the store was restarted
CLOCK: Final = 2.0  # seconds by which the age of a store's process may be wrong
SLICE: Final = 100  # lines made in one go: others get their turn on the event loop in between
SMALLEST: Final = 50  # lines to which "too large" may shrink the batch for good
FOREVER: Final = 1 << 63  # unix microseconds

Line = tuple[int, bytes]  # seq, line


class _LaterError(Exception):
    """The batch cannot be delivered now. `lost`: what was acknowledged may be gone too."""

    def __init__(self, why: str, *, pause: float = 0.0, lost: bool = False, reopen: bool = False) -> None:
        super().__init__(why)
        self.pause, self.lost, self.reopen = pause, lost, reopen


class InfluxSink:
    """Delivers in order, one request at a time; only 204 moves the cursor.

    A store that cannot take points now (down, busy, wrong token, unknown bucket) is tried again for ever. A point
    it refuses is found by halving the batch, listed in the journal and left out, but only when the store accepts
    another point at the same time: a store that refuses everything has a problem of its own.
    """

    def __init__(
        self,
        options: InfluxOptions,
        journal: Journal,
        site: str,
        *,
        backoff: Backoff | None = None,
        slow: float = 20.0,
    ) -> None:
        self._options = options
        self._place = Place(journal, options.id, options.select, resend=options.resend, numbered=True)
        self._lines = Lines(site, options.measurement, words=options.words)
        self._backoff = backoff or Backoff()
        self._slow = slow  # seconds at least, where only a person can help
        self._limit = options.batch
        self._witness: bytes | None = None  # a line the store has accepted
        self._run: str | None = None  # which run of the store we are talking to
        self._seen = 0  # connections made when we last looked
        self._looked = self._acknowledged = float("-inf")
        self._doubt = False  # something happened after which the store may be another run of itself

    @property
    def id(self) -> str:
        return self._options.id

    @property
    def state(self) -> SinkState:
        return self._place.state

    async def run(self) -> None:
        # The client takes long to import: not where no such sink is configured, nor before the first reading.
        module = await asyncio.to_thread(importlib.import_module, "gateway.sinks.store")
        await self._place.open()
        while True:
            try:
                secret = await asyncio.to_thread(self._secret)
                store: Store = await module.HttpStore.open(self._options, secret)
            except (OSError, ValueError) as error:  # a secret or a certificate that cannot be read
                await self._wait(_LaterError(str(error), pause=self._slow))
                continue
            async with aclosing(store):
                self._seen, self._doubt = 0, True
                await self._drain(store)

    def _secret(self) -> str:
        ref = self._options.token or self._options.password
        return ref.resolve() if ref else ""

    async def _drain(self, store: Store) -> None:
        """Deliver until the store has to be opened again."""
        while True:
            try:
                batch = await self._next(store)
                if self._due(store) and await self._look(store):
                    continue
                await self._deliver(store, batch)
                if store.connections != self._seen:
                    await self._look(store)
            except _LaterError as error:
                self._doubt = self._doubt or error.lost
                await self._wait(error)
                if error.reopen:
                    return

    async def _next(self, store: Store) -> Batch:
        """The next batch; meanwhile a restart that may lose what was just acknowledged is noticed."""
        while True:
            try:
                async with asyncio.timeout(LOOK if self._unsettled else None):
                    return await self._place.next(self._limit, self._options.linger)
            except TimeoutError:
                await self._look(store)

    async def _wait(self, error: _LaterError) -> None:
        self._place.waits(error)
        await asyncio.sleep(self._backoff.next(error.pause))

    # ---- has the store been restarted?

    @property
    def _unsettled(self) -> bool:
        """True while the store may still lose what it acknowledged."""
        return time.monotonic() - self._acknowledged < self._options.resend + LOOK

    def _due(self, store: Store) -> bool:
        return self._doubt or store.connections != self._seen or time.monotonic() - self._looked >= LOOK

    async def _look(self, store: Store) -> bool:
        """Go back to what a restarted store may have lost. True where that was necessary."""
        unsettled, since = self._unsettled, time.monotonic() - self._looked
        try:
            run = await store.run() if self._options.resend else None
        except UnreachableError as error:
            raise _LaterError(str(error), lost=True) from error
        broken = self._doubt or (unsettled and store.connections != self._seen)
        # Two runs that began in the same second have the same name: only one older than our last look is the same.
        restarted = broken and (run is None or run.age < since + CLOCK)
        if run is not None and run.name != self._run:
            restarted, self._run = True, run.name
        # A new process of ours begins at the floor anyway.
        again = self._place.rewind() if restarted and self._acknowledged > 0 else 0
        if again:
            log.info("the store may have lost its last seconds: sending them again", sink=self.id, observations=again)
        self._seen, self._doubt, self._looked = store.connections, False, time.monotonic()
        return again > 0

    # ---- delivery

    async def _deliver(self, store: Store, batch: Batch) -> None:
        """Get the whole batch into the store but for what it refuses, and move the cursor."""
        lines, refused = await self._make(batch)
        suspects = await self._send(store, lines)
        if suspects and len(suspects) == len(lines):
            await self._ask_witness(store, suspects[lines[0][0]])
        refused.update(suspects)
        for seq, reason in refused.items():
            log.warning("point refused", sink=self.id, seq=seq, reason=reason)
        await self._place.delivered(batch, refused)
        self._acknowledged = time.monotonic()
        self._place.works()
        self._backoff.succeeded()

    async def _make(self, batch: Batch) -> tuple[list[Line], dict[int, str]]:
        """The batch's lines, and what cannot be one."""
        now = time.time()
        # Before our clock is set every backlog is in its future: then the store may judge.
        latest = int((now + self._options.ahead) * 1e6) if now >= UNSET else FOREVER
        lines: list[Line] = []
        unfit: dict[int, str] = {}
        for number, row in enumerate(batch.rows, 1):
            try:
                lines.append((row.seq, self._lines.line(row, latest)))
            except UnfitError as error:
                unfit[row.seq] = str(error)
            if number % SLICE == 0:
                await asyncio.sleep(0)
        return lines, unfit

    async def _send(self, store: Store, lines: list[Line]) -> dict[int, str]:
        """Send lines, halving what is refused until the points that are to blame stand alone: those, with why.

        Some of a refused batch may have been stored (InfluxDB 1.x always does so); they are sent again in their
        half, which changes nothing. Errors: _LaterError.
        """
        suspects: dict[int, str] = {}
        waiting = [lines] if lines else []
        while waiting:
            part = waiting.pop()
            answer = await self._write(store, part)
            if answer.stored:
                self._witness = part[0][1]
            elif len(part) == 1:
                suspects[part[0][0]] = answer.reason
            else:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
                if answer.status == 413:
                    self._limit = min(self._limit, max(SMALLEST, middle))
        return suspects

    async def _ask_witness(self, store: Store, reason: str) -> None:
        """Everything was refused: is it the points, or the store? Errors: _LaterError (it is the store, or we
        cannot tell yet)."""
        if self._witness is None or not (await self._write(store, [(0, self._witness)])).stored:
            raise _LaterError(f"the store refuses every point: {reason}", pause=self._slow)

    async def _write(self, store: Store, lines: list[Line]) -> Answer:
        """204, or a refusal that is about these lines. Errors: _LaterError."""
        try:
            answer = await store.write(b"\n".join(line for _, line in lines) + b"\n")
        except UnreachableError as error:
            raise _LaterError(str(error), lost=True) from error
        if answer.stored or answer.refused:
            return answer
        if answer.status == 429:
            raise _LaterError(answer.reason, pause=answer.retry_after)
        if answer.status >= 500:
            raise _LaterError(answer.reason, pause=answer.retry_after, lost=True)
        # Wrong token, no such bucket, not a store at all: nothing we send will change it.
        raise _LaterError(answer.reason, pause=self._slow, reopen=answer.status in {401, 403})
