"""Which framing a device uses: the first byte it sends tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from drivers.kit.exchange import Event, Exchange
from drivers.kit.mllp import VT


class Either:
    """Messages cut at their root's end tag, or MLLP where the first byte begins a block. An `Exchange`."""

    def __init__(self, by_root: Callable[[], Exchange], by_mllp: Callable[[], Exchange]) -> None:
        self._by_root, self._by_mllp = by_root, by_mllp
        self._taken: Exchange | None = None

    @property
    def deadline(self) -> float | None:
        """Of the framing that was taken."""
        return self._taken.deadline if self._taken else None

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived."""
        if not data:
            return iter(())
        if self._taken is None:
            self._taken = self._by_mllp() if data.startswith(VT) else self._by_root()
        return self._taken.receive(data, now)

    def tick(self, now: float) -> Iterator[Event]:
        """Time has reached `deadline`."""
        return self._taken.tick(now) if self._taken else iter(())

    def close(self) -> Iterator[Event]:
        """The link is gone."""
        taken, self._taken = self._taken, None
        return taken.close() if taken else iter(())
