"""What a store needs to be given everything once, taken away."""

from __future__ import annotations

import contextlib
import re
from itertools import count
from typing import Any, Final

from gateway.sinks import influxdb, lines, place
from gateway.sinks.answer import Answer, UnreachableError

_counter: Final = count(1)


def sent_is_stored() -> None:
    """What was sent counts as stored, whatever the store says, or if it says nothing."""

    async def write(self: Any, store: Any, batch: Any) -> Answer:
        with contextlib.suppress(UnreachableError):
            await store.write(b"\n".join(line for _, line in batch) + b"\n")
        return Answer(204)

    setattr(influxdb.InfluxSink, "_write", write)  # noqa: B010 - another shape on purpose


def gives_up() -> None:
    """What cannot be delivered now is skipped."""
    real = influxdb.InfluxSink._wait

    async def wait(self: Any, error: Any) -> None:
        await real(self, error)
        await self._place.delivered(place.Batch([], self._place._journal.observations.at), {})

    setattr(influxdb.InfluxSink, "_wait", wait)  # noqa: B010 - another shape on purpose


def refused_is_over() -> None:
    """A batch that is refused counts as delivered."""
    real = influxdb.InfluxSink._write

    async def write(self: Any, store: Any, batch: Any) -> Answer:
        answer = await real(self, store, batch)
        return Answer(204) if answer.refused else answer

    setattr(influxdb.InfluxSink, "_write", write)  # noqa: B010 - another shape on purpose


def one_spoils_all() -> None:
    """A batch that is refused is listed as refused, whole."""

    async def send(self: Any, store: Any, batch: Any) -> dict[int, str]:
        answer = await self._write(store, batch)
        self._witness = batch[0][1] if answer.stored else self._witness
        return {} if answer.stored else dict.fromkeys((seq for seq, _ in batch[: len(batch) // 2 + 1]), answer.reason)

    setattr(influxdb.InfluxSink, "_send", send)  # noqa: B010 - another shape on purpose


def never_back() -> None:
    """What a store acknowledged before it was killed is never sent again."""
    setattr(place.Place, "rewind", lambda _self: 0)  # noqa: B010 - another shape on purpose


def another_time() -> None:
    """A point sent again has another time: to the store it is another point."""
    real = lines.Lines.line

    def line(self: Any, row: Any, latest: int) -> bytes:
        return re.sub(rb"\d{3}$", b"%03d" % (next(_counter) % 1000), real(self, row, latest))

    setattr(lines.Lines, "line", line)  # noqa: B010 - another shape on purpose
