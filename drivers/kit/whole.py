"""Links whose chunks are whole messages: MQTT payloads, files. Nothing to frame, nothing to answer."""

from __future__ import annotations

from collections.abc import Iterator

from drivers.kit.exchange import Event, Reason, Received, Rejected


class Whole:
    """Every `receive` is one message; an empty one (an MQTT topic being cleared) says nothing. An `Exchange`."""

    deadline: float | None = None

    def __init__(self, *, max_message: int = 16 * 1024 * 1024) -> None:
        self._max = max_message

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """One message."""
        if len(data) > self._max:
            yield Rejected(data, Reason.TOO_LONG, detail=f"longer than {self._max} bytes")
        elif data:
            yield Received(data)

    def tick(self, now: float) -> Iterator[Event]:
        """Nothing is ever due."""
        return iter(())

    def close(self) -> Iterator[Event]:
        """Nothing is ever unfinished."""
        return iter(())
