"""How long whoever gives wrong passwords has to wait. Pure: times are given, in seconds of any clock.

A try counts as wrong when it begins and is taken back when it was right, so that many at once are not many tries.
Three counts: of a name from an address, of an address, of a name from everywhere. Waits grow and have an end; a try
during a wait is refused and does not lengthen it. The count of a name from everywhere would let a stranger keep its
owner out: it is not asked where the owner is known (`known`: this machine, or an address with a session of theirs).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from gateway.people.addresses import network_of

FREE: Final = 5  # wrong tries before the first wait
FREE_ADDRESS: Final = 20  # many people may sit behind one
FREE_NAME: Final = 20
FIRST: Final = 2.0  # seconds; twice as long each time
LONGEST: Final = 900.0
FORGOTTEN: Final = 86_400.0  # after so long without a wrong try
MOST: Final = 10_000  # counts kept; the longest unused go first


@dataclass(slots=True)
class _Tries:
    free: int
    count: int = 0
    until: float = 0.0
    last: float = 0.0

    def add(self, now: float) -> None:
        self.count += 1
        self.last = now
        if self.count >= self.free:
            self.until = now + min(LONGEST, FIRST * 2.0 ** min(self.count - self.free, 20))


Key = tuple[str, str]


class Lockout:
    """The counts."""

    def __init__(self) -> None:
        self._tries: OrderedDict[Key, _Tries] = OrderedDict()

    def wait(self, name: str, address: str, now: float, *, known: bool) -> float:
        """Seconds until a try is heard; 0: now."""
        keys = _keys(name, address)[: 2 if known else 3]
        return max((self._of(key, now) for key in keys), default=0.0)

    def begin(self, name: str, address: str, now: float, *, known: bool) -> float:
        """A try is heard: count it. Seconds the next has to wait if this is wrong."""
        for key, free in zip(_keys(name, address), (FREE, FREE_ADDRESS, FREE_NAME), strict=True):
            tries = self._tries.setdefault(key, _Tries(free))
            if now - tries.last > FORGOTTEN:
                tries.count = 0
            tries.add(now)
            self._tries.move_to_end(key)
        while len(self._tries) > MOST:
            self._tries.popitem(last=False)
        return self.wait(name, address, now, known=known)

    def right(self, name: str, address: str) -> None:
        """It was the password: the name is free again, and the address has one wrong try less."""
        own, where, everywhere = _keys(name, address)
        self._tries.pop(own, None)
        self._tries.pop(everywhere, None)
        if tries := self._tries.get(where):
            tries.count -= 1
            tries.until = 0.0 if tries.count < tries.free else tries.until

    def _of(self, key: Key, now: float) -> float:
        tries = self._tries.get(key)
        return max(0.0, tries.until - now) if tries else 0.0

    def __len__(self) -> int:
        return len(self._tries)


def _keys(name: str, address: str) -> tuple[Key, Key, Key]:
    where = network_of(address)
    return (name, where), ("", where), (name, "")
