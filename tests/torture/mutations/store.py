"""What keeps a sink from losing or doubling, taken away."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

from gateway.sinks import influxdb, place
from gateway.sinks.answer import Answer, UnreachableError
from gateway.sinks.lines import Lines


def sent_is_stored() -> None:
    """Whatever the store answers, the batch counts as stored; so does one that never got there."""

    async def write(self: Any, store: Any, lines: Any) -> Answer:
        with contextlib.suppress(UnreachableError):
            await store.write(b"\n".join(line for _, line in lines) + b"\n")
        return Answer(204)

    setattr(influxdb.InfluxSink, "_write", write)  # noqa: B010 - another shape on purpose


def refused_is_over() -> None:
    """A batch with one bad point in it is refused whole."""
    real = influxdb.InfluxSink._send

    async def send(self: Any, store: Any, lines: Any) -> dict[int, str]:
        suspects: dict[int, str] = await real(self, store, lines)
        return {seq: "refused" for seq, _ in lines} if suspects else suspects

    setattr(influxdb.InfluxSink, "_send", send)  # noqa: B010 - another shape on purpose


def never_back() -> None:
    """What a store acknowledged is taken for safe at once."""
    setattr(place.Place, "rewind", lambda _self: 0)  # noqa: B010 - another shape on purpose


def another_time() -> None:
    """A point sent again is another point."""
    real = Lines.line
    count = iter(range(10**9))

    def line(self: Any, row: Any, latest: int) -> bytes:
        return real(self, replace(row, twin=next(count) % 900), latest)

    setattr(Lines, "line", line)  # noqa: B010 - another shape on purpose
