"""Wire traffic on tape: of a simulated instrument, or of a real one that a relay stands before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from drivers.kit import recording
from drivers.kit.masking import Mask
from drivers.kit.recording import Piece
from simulators.endpoints import Endpoint, GoneError, either
from simulators.faults import Faults
from simulators.wire import Broken, ToHost, Wire, away

MOST_HELD = 200_000  # pieces in memory until they are masked
RETRY = 0.2  # seconds between tries to connect


class Tape:
    """Writes pieces of traffic as they come (`drivers.kit.recording`); None writes nothing. Errors: OSError.

    With a `mask` nothing is written before the end: then all of it is, masked.
    """

    def __init__(self, path: Path | None, driver: str = "", note: str = "", mask: Mask | None = None) -> None:
        self._file = path.open("w", encoding="utf-8", buffering=1) if path else None
        self._mask = mask
        self._held: list[Piece] = []
        self._started: float | None = None
        self.pieces = 0
        if self._file:
            self._file.write(recording.write((), driver, note))

    def note(self, data: bytes, now: float, *, incoming: bool) -> None:
        """One piece; `incoming` from the instrument."""
        if self._file is None or not data:
            return
        self._started = now if self._started is None else self._started
        piece = Piece(now - self._started, incoming, data)
        self.pieces += 1
        if self._mask is None:
            self._file.write(recording.line(piece))
            return
        self._held.append(piece)
        if len(self._held) >= MOST_HELD:
            raise OSError(f"{MOST_HELD} pieces are as many as can be masked: record in parts")

    def close(self) -> None:
        """The end of the recording."""
        if self._file:
            if self._mask:
                self._file.writelines(recording.line(piece) for piece in self._mask.pieces(self._held))
            self._file.close()
            self._file = None


class Relay:
    """Two endpoints joined: a real instrument on one, its host on the other. What passes is recorded, and `faults`
    happen to it. When one side goes, the other is let go too, and both are sought again.

    A host with questions for an instrument that is not there yet waits: nothing is kept for later.
    """

    def __init__(
        self,
        instrument: Endpoint,
        host: Endpoint,
        faults: Faults,
        tape: Tape,
        tell: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._instrument, self._host, self._tape, self._tell = instrument, host, tape, tell
        self._wire = Wire(faults)
        self._moved = asyncio.Event()

    @property
    def address(self) -> str:
        """Where the host finds the instrument."""
        return self._host.address

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                how = "disconnect"
                try:
                    await self._host.open(self._said_by(self._wire.hear))
                    await self._instrument.open(self._said_by(self._wire.say))
                    self._tell(f"{self._instrument.address} and {self._host.address} are joined")
                    how = await self._pass_on()
                except GoneError:
                    await asyncio.sleep(RETRY)
                self._wire.cut()
                await self._host.drop(how)
                await self._instrument.drop()
                await asyncio.sleep(away(how))
        finally:
            await self._host.close()
            await self._instrument.close()
            self._tape.close()

    def _said_by(self, say: Callable[[bytes, float], None]) -> Callable[[bytes], None]:
        def received(data: bytes) -> None:
            say(data, asyncio.get_running_loop().time())
            self._moved.set()

        return received

    async def _pass_on(self) -> str:
        loop = asyncio.get_running_loop()
        while True:
            self._moved.clear()
            while (step := self._wire.take(loop.time())) is not None:
                if isinstance(step, Broken):
                    return step.how
                incoming = isinstance(step, ToHost)
                self._tape.note(step.data, loop.time(), incoming=incoming)
                await (self._host if incoming else self._instrument).write(step.data)
            if self._host.gone.is_set() or self._instrument.gone.is_set():
                raise GoneError("one side is gone")
            due = self._wire.deadline
            if not self._moved.is_set():
                limit = None if due is None else max(0.0, due - loop.time())
                await either(self._moved, self._host.gone, self._instrument.gone, timeout=limit)
