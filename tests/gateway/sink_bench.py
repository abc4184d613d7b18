"""What tests of sinks share: observations by the number, and a sink that runs for the length of a block."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gateway.backoff import Backoff
from gateway.journal.store import Journal
from gateway.journal.transaction import Row
from gateway.sinks.influxdb import InfluxSink
from gateway.sinks.options import InfluxOptions
from gateway.sinks.state import Sink

S = TypeVar("S", bound=Sink)
START = datetime(2026, 3, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = await Journal.open(tmp_path / "journal")
    yield opened
    await opened.close()


class Bench:
    """Makes observations."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.made = 0

    def row(self, *, at: datetime | None = None, **said: Any) -> Row:
        self.made += 1
        when = at or START + timedelta(milliseconds=100 * self.made)
        body = {
            "uid": f"{self.made:032x}",
            "device": "reader-1",
            "kind": "result",
            "quantity": "crp",
            "code": "loinc:1988-5",
            "value": self.made + 0.5,
            "unit": "mg/L",
            "comparator": None,
            "interpretation": None,
            "flags": [],
            "status": "final",
            "specimen": "S-1",
            "patient": "P-1",
            "operator": "op-7",
            "time": when.isoformat(),
            "received": datetime.now(UTC).isoformat(),
            "quality": "good",
            "raw": 1,
            "attributes": {},
            **said,
        }
        return Row(
            self.made.to_bytes(16, "big"),
            1,
            str(body["device"]),
            str(body["kind"]),
            str(body["quantity"]),
            "S-1",
            (when - EPOCH) // timedelta(microseconds=1),
            None,
            json.dumps(body).encode(),
        )

    async def add(self, *rows: Row) -> None:
        await self.journal.write(lambda t: t.observe(rows))

    async def many(self, count: int, **said: Any) -> None:
        await self.add(*[self.row(**said) for _ in range(count)])


def influx_sink(journal: Journal, url: str, **more: Any) -> InfluxSink:
    options = InfluxOptions(type="influxdb", url=url, **{"id": "store", "linger": "10ms", "timeout": "5s", **more})
    return InfluxSink(options, journal, "lab-1", backoff=Backoff(0.05, 0.2), slow=0.1)


@contextlib.asynccontextmanager
async def running(part: S) -> AsyncIterator[S]:
    task = asyncio.create_task(part.run())
    try:
        yield part
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


def drained(part: Sink) -> Callable[[], bool]:
    return lambda: part.state.behind == 0 and part.state.resending == 0
