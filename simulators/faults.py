"""Named faults of the wire: what may happen to bytes between an instrument and us. Seeded, so that a run repeats."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

SILENCE: Final = 8.0  # seconds
SLOW: Final = 0.2

FAULTS: Final = MappingProxyType(
    {
        "drop": "a byte is lost",
        "corrupt": "a byte is changed",
        "duplicate": "a write arrives twice",
        "split": "a write arrives in two pieces",
        "merge": "a write waits for the next one and arrives with it",
        "wrong-frame-number": "an ASTM frame carries another number (its checksum fits)",
        "truncate": "the end of a write is lost",
        "noise": "stray bytes come before a write",
        "silence": f"nothing for {SILENCE:g} s",
        "slow": f"a pause of {SLOW:g} s in the middle of a write",
        "disconnect": "the link drops in the middle of a write",
        "clock-drift": "the instrument's clock runs away",
        "clock-jump": "the instrument's clock is an hour off",
    }
)


class Do(Enum):
    """What the wire does besides carrying bytes."""

    DISCONNECT = auto()


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


Step = bytes | Pause | Do


class Faults:
    """Applies faults to an instrument's writes. `rates` are probabilities a write. Errors: LookupError."""

    def __init__(self, rates: Mapping[str, float], seed: int) -> None:
        unknown = sorted(set(rates) - set(FAULTS))
        if unknown:
            raise LookupError(f"no fault is called {unknown[0]!r}. Known are: {', '.join(FAULTS)}.")
        self.rates = dict(rates)
        self.count = 0
        self._rng = random.Random(f"faults/{seed}")
        self._held = b""

    def happens(self, name: str) -> bool:
        """Draw once for a fault."""
        rate = self.rates.get(name, 0.0)
        hit = rate > 0 and self._rng.random() < rate
        self.count += hit
        return hit

    def write(self, data: bytes) -> Iterator[Step]:
        """What one write becomes."""
        if not self.rates:
            yield data
            return
        data = self._bytes(data)
        if self.happens("merge") and not self._held:
            self._held = data
            return
        data, self._held = self._held + data, b""
        yield from self._steps(data)

    def _bytes(self, data: bytes) -> bytes:
        place = self._rng.randrange(len(data)) if data else 0
        if data and self.happens("drop"):
            data = data[:place] + data[place + 1 :]
        if data and self.happens("corrupt"):
            place = min(place, len(data) - 1)
            data = data[:place] + bytes([data[place] ^ (1 << self._rng.randrange(7))]) + data[place + 1 :]
        if self.happens("wrong-frame-number") and data[:1] == b"\x02" and len(data) > 6:
            data = _renumbered(data)
        if self.happens("truncate"):
            data = data[:place]
        if self.happens("noise"):
            data = self._rng.randbytes(self._rng.randrange(1, 9)) + data
        return data

    def _steps(self, data: bytes) -> Iterator[Step]:
        place = self._rng.randrange(len(data)) if data else 0
        if self.happens("silence"):
            yield Pause(SILENCE)
        if self.happens("disconnect"):
            yield data[:place]
            yield Do.DISCONNECT
            return
        if self.happens("slow"):
            yield data[:place]
            yield Pause(SLOW)
            data = data[place:]
        elif self.happens("split"):
            yield data[:place]
            data = data[place:]
        yield data
        if self.happens("duplicate"):
            yield data

    def flush(self) -> bytes:
        """A held write that no other followed."""
        held, self._held = self._held, b""
        return held


def _renumbered(frame: bytes) -> bytes:
    end = max(frame.rfind(b"\x03"), frame.rfind(b"\x17"))
    if end < 0:
        return frame
    body = bytes([0x30 + (frame[1] - 0x30 + 3) % 8]) + frame[2 : end + 1]
    return b"\x02" + body + b"%02X\r\n" % (sum(body) & 0xFF)


def parse(words: tuple[str, ...]) -> dict[str, float]:
    """ "drop=0.01" for each fault. Errors: LookupError."""
    rates = {}
    for word in words:
        name, _, rate = word.partition("=")
        try:
            rates[name] = float(rate)
        except ValueError:
            raise LookupError(f"{word!r} is not NAME=P. Write corrupt=0.01.") from None
        if not 0 <= rates[name] <= 1:
            raise LookupError(f"{word!r}: a probability is between 0 and 1.")
    return rates
