"""The table of named faults, and their dice: seeded, so that a run repeats; changed while it runs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

SILENCE: Final = 8.0  # seconds without a byte
SLOW: Final = 0.2  # seconds within a write
MERGE: Final = 1.0  # seconds a write waits for the next one at most
LATE: Final = 15.5
"""Seconds: an answer after the sender's timer has run out (15 s, LIS01-A2 6.5.2.3), and, all other pauses added, before
it bids again (10 s later). An ACK carries no number: one still later would be taken for the answer to the next ENQ, the
next for that of a frame, and a message nobody has would count as delivered. A receiver can but be quick."""
NAKS: Final = 2  # answers in a row that become NAK
GONE: Final = 30.0  # seconds until a peer that vanished is back
UNPLUGGED: Final = 3.0  # seconds
JUMP: Final = 3600.0  # seconds a clock jumps ahead
DRIFT: Final = 30.0  # seconds a clock gains a message
DAY: Final = 86_400.0


class Medium(StrEnum):
    """What an instrument is plugged into, by what can go wrong with it."""

    LINE = "line"  # a serial line: bytes are lost and changed
    STREAM = "stream"  # TCP: bytes arrive as they were sent, in any pieces, until the connection is gone
    BROKER = "broker"  # MQTT: whole messages
    FOLDER = "folder"  # files


class Guard(StrEnum):
    """What a protocol has against a fault. What it has not, it cannot notice: see `simulators.guards`."""

    CHECKED = "checked"  # damage shows: a checksum, or a form nothing damaged fits
    IDENTIFIED = "identified"  # a result says which it is, so that the same one twice is one
    MATCHED = "matched"  # an answer that comes late is not taken for the answer to something else, on either side


@dataclass(frozen=True, slots=True)
class Fault:
    """`media` it happens on by nature; `needs`: without that guard in the protocol it goes unnoticed."""

    text: str
    media: frozenset[Medium]
    needs: Guard | None = None


def _fault(text: str, *media: Medium, needs: Guard | None = None) -> Fault:
    return Fault(text, frozenset(media), needs)


_LINE, _STREAM, _BROKER, _FOLDER = Medium
_BYTES = (_LINE, _STREAM)
FAULTS: Final[Mapping[str, Fault]] = MappingProxyType(
    {
        # what the instrument writes, on its way
        "noise": _fault("stray bytes come before a write", _LINE, needs=Guard.CHECKED),
        "drop": _fault("a byte is lost", _LINE, needs=Guard.CHECKED),
        "corrupt": _fault("a bit of a byte turns", _LINE, needs=Guard.CHECKED),
        "truncate": _fault("the end of a write is lost", _LINE, needs=Guard.CHECKED),
        "wrong-checksum": _fault("the check character at the end of a write is wrong", _LINE, needs=Guard.CHECKED),
        "wrong-frame-number": _fault("an ASTM frame carries another number (its checksum fits)", *_BYTES),
        "baud-mismatch": _fault("a write is read at twice its rate", _LINE, needs=Guard.CHECKED),
        "duplicate": _fault("a write arrives twice", _LINE, _FOLDER, needs=Guard.IDENTIFIED),
        "split": _fault("a write arrives in two pieces", *_BYTES),
        "merge": _fault(f"a write waits up to {MERGE:g} s for the next one and arrives with it", *_BYTES),
        "silence": _fault(f"nothing for {SILENCE:g} s", *Medium, needs=Guard.MATCHED),
        "slow": _fault(f"a pause of {SLOW:g} s in the middle of a write", _LINE, _STREAM, _FOLDER),
        # what the host answers, on its way back
        "nak": _fault(f"an ACK arrives as NAK, {NAKS} times in a row", *_BYTES),
        "no-ack": _fault("what the host writes is lost", *_BYTES),
        "late-ack": _fault(f"what the host writes arrives {LATE:g} s late", *_BYTES, needs=Guard.MATCHED),
        "enq-contention": _fault("an ENQ meets one from the host and is lost", *_BYTES),
        # the connection
        "disconnect": _fault("the connection closes in the middle of a write", _STREAM, _BROKER),
        "reset": _fault("the connection is reset; what was on its way is lost", _STREAM),
        "half-open": _fault(
            f"the instrument vanishes without closing and connects anew after {GONE:g} s", _STREAM
        ),
        "unplug": _fault(f"the port goes away for {UNPLUGGED:g} s and comes back under another name", _LINE),
        # what is sent, and when
        "clock-drift": _fault(f"the instrument's clock gains {DRIFT:g} s a message", *Medium),
        "clock-jump": _fault("the instrument's clock jumps an hour ahead", *Medium),
        "resend-next-day": _fault("a message is sent again a day later", *Medium, needs=Guard.IDENTIFIED),
        "mqtt-duplicate": _fault(
            "a message is published again, every other time marked as a duplicate", _BROKER, needs=Guard.IDENTIFIED
        ),
        "mqtt-retained": _fault("a message is published to be retained", _BROKER, needs=Guard.IDENTIFIED),
        "mqtt-will": _fault("the instrument vanishes and the broker publishes its will", _BROKER),
    }
)  # fmt: skip


class Faults:
    """Whether a fault happens. `rates` are probabilities a write. Errors: LookupError."""

    def __init__(self, rates: Mapping[str, float], seed: int) -> None:
        self.rates: dict[str, float] = {}
        self.struck: Counter[str] = Counter()
        self.rng = random.Random(f"faults/{seed}")
        for name, rate in rates.items():
            self.set(name, rate)

    @property
    def count(self) -> int:
        """How many have happened."""
        return self.struck.total()

    def set(self, name: str, rate: float) -> None:
        """Change one fault's probability. Errors: LookupError."""
        if name not in FAULTS:
            raise LookupError(f"no fault is called {name!r}. Known are: {', '.join(FAULTS)}.")
        if not 0 <= rate <= 1:
            raise LookupError(f"{name}={rate:g}: a probability is between 0 and 1.")
        if rate:
            self.rates[name] = rate
        else:
            self.rates.pop(name, None)

    def happens(self, name: str) -> bool:
        """Draw once for a fault."""
        rate = self.rates.get(name, 0.0)
        hit = rate > 0 and self.rng.random() < rate
        if hit:
            self.struck[name] += 1
        return hit


def possible(medium: Medium, guards: Iterable[Guard] = tuple(Guard)) -> list[str]:
    """The faults that happen on `medium` and that a protocol with `guards` can notice."""
    held = set(guards)
    if medium in (Medium.BROKER, Medium.FOLDER):
        held.add(Guard.MATCHED)  # nobody answers there
    return [name for name, one in FAULTS.items() if medium in one.media and (not one.needs or one.needs in held)]


def parse(words: Iterable[str]) -> dict[str, float]:
    """ "drop=0.01" for each fault. Errors: LookupError."""
    rates = {}
    for word in words:
        name, _, rate = word.partition("=")
        try:
            rates[name] = float(rate)
        except ValueError:
            raise LookupError(f"{word!r} is not NAME=P. Write corrupt=0.01.") from None
    return Faults(rates, 0).rates | {name: rate for name, rate in rates.items() if not rate}


def table() -> str:
    """The faults as they are listed in help."""
    return "\n".join(f"{name:19} {fault.text} [{', '.join(sorted(fault.media))}]" for name, fault in FAULTS.items())
