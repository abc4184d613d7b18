"""The wire between an instrument's side of a protocol and its endpoint: where faults happen to bytes, both ways.

No I/O and no clock: bytes and a time go in, what arrives comes out when its time has come. The same stage stands on
the virtual bench, before real endpoints, and between a recorder's two ends.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from simulators.damage import DAMAGE
from simulators.faults import GONE, LATE, MERGE, NAKS, SILENCE, SLOW, UNPLUGGED, Faults

ACK, NAK, ENQ = b"\x06", b"\x15", b"\x05"
BREAKS = ("reset", "half-open", "unplug", "mqtt-will")


@dataclass(frozen=True, slots=True)
class ToHost:
    """Bytes arrive at the host; `channel` where they were written to, on links that have several places (topics)."""

    data: bytes
    channel: str = ""


@dataclass(frozen=True, slots=True)
class ToInstrument:
    """Bytes arrive at the instrument."""

    data: bytes
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """The connection is gone: "disconnect", "reset", "half-open" (the host does not know), "unplug", "mqtt-will"."""

    how: str


Step = ToHost | ToInstrument | Broken


class Wire:
    """Carries what both sides write; each way keeps its order. After `Broken`, `cut` before anything else is said.

    `whole`: a write is a message, a file, that no link takes apart or puts together.
    """

    def __init__(self, faults: Faults, *, whole: bool = False) -> None:
        self.faults = faults
        self.whole = whole
        self._to_host: deque[tuple[float, Step]] = deque()
        self._to_instrument: deque[tuple[float, Step]] = deque()
        self._held = b""  # a write that waits for the next one
        self._held_until = 0.0
        self._gone_until: float | None = None  # nobody is there, and the other side does not know
        self._naks = 0

    @property
    def deadline(self) -> float | None:
        """When `take` has something."""
        heads = [way[0][0] for way in (self._to_host, self._to_instrument) if way]
        if self._held:
            heads.append(self._held_until)
        if self._gone_until is not None:
            heads.append(self._gone_until)
        return min(heads, default=None)

    def say(self, data: bytes, now: float, channel: str = "") -> None:
        """The instrument writes."""
        if self._gone_until is not None:
            return
        faults = self.faults
        if not faults.rates:
            self._send(data, now, channel)
            return
        for how in BREAKS:
            if faults.happens(how):
                self._break(how, now)
                return
        if data == ENQ and faults.happens("enq-contention"):
            self._answer(ENQ, now)
            return
        data = self._damaged(data)
        if not data:
            return
        if not self.whole:
            if faults.happens("merge") and not self._held:
                self._held, self._held_until = data, now + MERGE
                return
            data, self._held = self._held + data, b""
        self._send_in_pieces(data, now, channel)

    def hear(self, data: bytes, now: float, channel: str = "") -> None:
        """The host writes."""
        faults = self.faults
        if self._gone_until is not None or (faults.rates and faults.happens("no-ack")):
            return
        if data == ACK and (self._naks or faults.happens("nak")):
            self._naks = (self._naks or NAKS) - 1
            data = NAK
        self._answer(data, now + (LATE if faults.happens("late-ack") else 0.0), channel)

    def take(self, now: float) -> Step | None:
        """What happens next, if its time has come."""
        if self._gone_until is not None:
            if now < self._gone_until:
                return None
            self._gone_until = None
            return Broken("half-open")
        if self._held and now >= self._held_until:
            held, self._held = self._held, b""
            self._send(held, now)
        ways = [way for way in (self._to_host, self._to_instrument) if way and way[0][0] <= now]
        if not ways:
            return None
        return min(ways, key=lambda way: way[0][0]).popleft()[1]

    def cut(self) -> None:
        """The connection is gone, and with it what was on its way."""
        self._to_host.clear()
        self._to_instrument.clear()
        self._held, self._gone_until, self._naks = b"", None, 0

    # ---- on the way to the host

    def _break(self, how: str, now: float) -> None:
        if how == "half-open":
            self.cut()
            self._gone_until = now + GONE
            return
        self._to_host.clear()
        self._held = b""
        self._put(Broken(how), now)

    def _damaged(self, data: bytes) -> bytes:
        """At most one damage a write: two may make up for each other in a check sum of eight bits."""
        for name, damage in DAMAGE.items():
            if self.faults.happens(name):
                damaged = damage(data, self.faults.rng)
                if damaged != data:
                    return damaged
                self.faults.struck[name] -= 1  # nothing there that it could do something to
        return data

    def _send_in_pieces(self, data: bytes, now: float, channel: str) -> None:
        faults = self.faults
        at = faults.rng.randrange(len(data))
        if faults.happens("silence"):
            now += SILENCE
        if faults.happens("disconnect"):
            self._send(b"" if self.whole else data[:at], now, channel)
            self._put(Broken("disconnect"), now)
            return
        pause = SLOW if not self.whole and faults.happens("slow") else 0.0
        if pause or (not self.whole and faults.happens("split")):
            self._send(data[:at], now, channel)
            now += pause
            self._send(data[at:], now, channel)
        else:
            self._send(data, now, channel)
        if faults.happens("duplicate"):
            self._send(data, now, channel)

    def _send(self, data: bytes, now: float, channel: str = "") -> None:
        if self._held:
            data, self._held = self._held + data, b""
        if data:
            self._put(ToHost(data, channel), now)

    def _put(self, step: Step, now: float) -> None:
        before = self._to_host[-1][0] if self._to_host else now
        self._to_host.append((max(now, before), step))

    # ---- on the way back

    def _answer(self, data: bytes, now: float, channel: str = "") -> None:
        before = self._to_instrument[-1][0] if self._to_instrument else now
        self._to_instrument.append((max(now, before), ToInstrument(data, channel)))


def away(how: str) -> float:
    """Seconds after a break until the instrument is there again."""
    return UNPLUGGED if how == "unplug" else 0.0
