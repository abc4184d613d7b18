"""Two ends of a wire on a virtual clock: what a test of a conversation needs, and no more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from drivers.kit.exchange import Event, Received, Rejected, Send, Speaker

Fault = Callable[[bytes], list[bytes]]
"""What one write becomes on its way: the chunks that arrive."""


def clean(data: bytes) -> list[bytes]:
    return [data]


@dataclass
class End:
    exchange: Speaker
    fault: Fault = clean  # on what this end writes
    messages: list[tuple[bytes, bool]] = field(default_factory=list)  # received: joined raw, sound
    rejected: list[Rejected] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)

    def take(self, events: Iterable[Event]) -> list[bytes]:
        """Carry out events; what arrives at the other end."""
        chunks: list[bytes] = []
        for event in events:
            out = event.data if isinstance(event, Send) else event.reply
            if isinstance(event, Received):
                self.parts.append(event.raw)
                if event.complete:
                    self.messages.append((b"".join(self.parts), event.sound))
                    self.parts = []
            elif isinstance(event, Rejected):
                self.rejected.append(event)
            if out:
                chunks += self.fault(out)
        return [chunk for chunk in chunks if chunk]


class Wire:
    """Carries bytes between two ends; when nothing is on its way, time jumps to the next deadline."""

    def __init__(self, left: End, right: End) -> None:
        self.ends = (left, right)
        self.now = 0.0
        self._under_way: deque[tuple[End, bytes]] = deque()

    def offer(self, end: End, message: bytes) -> None:
        self._carry(end, end.exchange.offer(message, self.now))

    def run(self, until: float = 86_400.0) -> None:
        """Until no timer runs any more (or the clock reaches `until`)."""
        while True:
            while self._under_way:
                end, chunk = self._under_way.popleft()
                self._carry(end, end.exchange.receive(chunk, self.now))
            due = [(end.exchange.deadline, index) for index, end in enumerate(self.ends)]
            times = [(time, index) for time, index in due if time is not None]
            if not times or min(times)[0] > until:
                return
            time, index = min(times)
            self.now = max(self.now, time)
            self._carry(self.ends[index], self.ends[index].exchange.tick(self.now))

    def _carry(self, end: End, events: Iterable[Event]) -> None:
        other = self.ends[1] if end is self.ends[0] else self.ends[0]
        self._under_way.extend((other, chunk) for chunk in end.take(events))
