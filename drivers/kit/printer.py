"""The instrument's side where it only talks: it prints lines, frames or payloads, and may wait to be acknowledged."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from drivers.kit.exchange import Event, Send

ACK, NAK = b"\x06", b"\x15"
QUEUED = 10_000  # messages that may wait


class Printer:
    """Writes what is offered. With `acknowledged` each message waits for ACK; NAK or `wait` seconds send it again.

    A `Speaker`. Without acknowledgement a message counts as delivered when it is written.
    """

    def __init__(self, *, acknowledged: bool = False, wait: float = 5.0) -> None:
        self._acknowledged = acknowledged
        self._wait = wait
        self._queue: deque[bytes] = deque()
        self._due: float | None = None
        self._delivered = 0

    @property
    def deadline(self) -> float | None:
        """When the message on its way is sent again."""
        return self._due

    @property
    def delivered(self) -> int:
        """Messages written; with acknowledgement, messages acknowledged."""
        return self._delivered

    @property
    def confirms(self) -> bool:
        """Whether `delivered` rests on the peer's word."""
        return self._acknowledged

    @property
    def idle(self) -> bool:
        """True when nothing waits for its acknowledgement."""
        return not self._queue

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """Print one message."""
        if not self._acknowledged:
            self._delivered += 1
            yield Send(message)
            return
        if len(self._queue) < QUEUED:
            self._queue.append(message)
        if self._due is None:
            yield from self._send(now)

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """What the host answers; anything but ACK and NAK is not understood and ignored."""
        for byte in (data[index : index + 1] for index in range(len(data))):
            if self._due is None or byte not in (ACK, NAK):
                yield Send(b"", byte)
                continue
            if byte == ACK:
                self._queue.popleft()
                self._delivered += 1
            self._due = None
            if self._queue:
                self._due = now + self._wait
                yield Send(self._queue[0], byte)
            else:
                yield Send(b"", byte)

    def tick(self, now: float) -> Iterator[Event]:
        """No answer came: again."""
        if self._due is not None and now >= self._due:
            yield from self._send(now)

    def close(self) -> Iterator[Event]:
        """The link is gone. What was not acknowledged is sent anew when it is back."""
        self._due = 0.0 if self._queue else None
        return iter(())

    def _send(self, now: float) -> Iterator[Event]:
        if self._queue:
            self._due = now + self._wait
            yield Send(self._queue[0])
