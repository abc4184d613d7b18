"""The web part on a free port, over a real journal and real alarms; only instruments are missing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson

from gateway.alarms.engine import AlarmEngine
from gateway.app import App
from gateway.config import parse
from gateway.journal.schema import LAST
from gateway.journal.store import Journal
from gateway.journal.transaction import Keep, Row
from gateway.links.link import LinkState
from gateway.session import Session
from gateway.supervise import Part
from gateway.views import AppViews
from gateway.web.options import HttpOptions
from gateway.web.server import serve
from tests.system.daemon import free_port

CONFIG = """
[gateway]
site = "test-lab"

[[devices]]
id = "freezer-1"
driver = "mqtt-json"
label = "-80 freezer 1"
room = "Cold room"
link = { type = "mqtt", broker = "bench", topic = "lab/freezer-1" }
readings = [ { quantity = "temperature", path = "$.temp", unit = "Cel" } ]

[[devices]]
id = "reader-1"
driver = "lateral-flow"
label = "Rapid-test reader"
room = "Rapid tests"
link = { type = "tcp-listen", port = 5001 }

[[devices]]
id = "quiet-1"
driver = "mqtt-json"
room = "Cold room"
link = { type = "mqtt", broker = "bench", topic = "lab/quiet-1" }
readings = [ { quantity = "temperature", path = "$.temp", unit = "Cel" } ]

[[brokers]]
id = "bench"
host = "127.0.0.1"

[[alarms]]
id = "freezer-warm"
title = "Freezer warm"
text = "Move the samples."
priority = "critical"
when = { device = "freezer-*", quantity = "temperature", above = -70.0 }
"""


def row(raw: int, uid: int, at: datetime, **fields: Any) -> Row:
    """An observation; fields not given are those of a freezer's temperature."""
    time = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body: dict[str, Any] = {
        "uid": f"{uid:032x}", "device": "freezer-1", "kind": "reading", "quantity": "temperature", "code": None,
        "value": -80.0, "unit": "Cel", "comparator": None, "interpretation": None, "flags": [], "status": "final",
        "specimen": None, "patient": None, "operator": None, "lot": None, "lot_expiry": None, "run": None,
        "time": time, "device_time": None, "received": time, "quality": "good", "raw": raw, "attributes": {},
        **fields,
    }  # fmt: skip
    value = body["value"]
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    micros = int(at.timestamp() * 1e6)
    key = uid.to_bytes(16, "big")
    return Row(key, raw, body["device"], body["kind"], body["quantity"], body["specimen"], micros, number,
               orjson.dumps(body))  # fmt: skip


@dataclass
class Served:
    """A running web part."""

    journal: Journal
    app: SimpleNamespace
    options: HttpOptions
    task: asyncio.Task[None]
    uid: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.options.listen}"

    async def message(self, device: str, data: bytes) -> int:
        """Keep a message's bytes; its id."""
        kept: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        at = int(datetime.now(UTC).timestamp() * 1e9)
        self.journal.keep(Keep(device, "bench", at, data, LAST, kept.set_result))
        return await kept

    async def observe(self, *items: Mapping[str, Any], data: bytes = b"{}", ago: float = 0.0) -> int:
        """Keep one message and what was made of it; the message's id. `_ago` of an item: seconds before now."""
        raw = await self.message(str(items[0].get("device", "freezer-1")), data)
        rows = []
        for item in items:
            self.uid += 1
            fields = dict(item)
            at = datetime.now(UTC) - timedelta(seconds=fields.pop("_ago", ago))
            rows.append(row(raw, self.uid, at, **fields))
        await self.journal.write(lambda t: t.observe(rows))
        return raw

    async def quarantine(self, device: str, data: bytes, detail: str) -> int:
        raw = await self.message(device, data)
        await self.journal.write(lambda t: t.quarantine(raw, device, "undecodable", detail))
        return raw

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


def _session(device: str, journal: Journal, state: LinkState) -> Session:
    def never() -> Any:
        raise AssertionError("no instrument connects here")

    session = Session(device, never, journal)
    session.link_state = state
    return session


@asynccontextmanager
async def served(folder: Path, options: HttpOptions | None = None, config: str = CONFIG) -> AsyncIterator[Served]:
    """Serve until the block ends."""
    options = options or HttpOptions(listen=f"127.0.0.1:{free_port()}")
    journal = await Journal.open(folder)
    parsed = parse(config)
    states = {"quiet-1": LinkState.WAITING}
    app = SimpleNamespace(
        config=parsed,
        journal=journal,
        sessions={d.id: _session(d.id, journal, states.get(d.id, LinkState.CONNECTED)) for d in parsed.devices},
        readings={},
        sinks={},
        reload_error="",
        age=None,
        signs={"disk-low": 5e9},
        supervisor=SimpleNamespace(parts={"decode": Part("decode", running=True)}),
    )
    app.alarms = AlarmEngine(parsed, journal, app)
    engine = asyncio.create_task(app.alarms.run())
    ready = asyncio.Event()
    task = asyncio.create_task(serve(AppViews(cast(App, app)), options, ready))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    one = Served(journal, app, options, task)
    try:
        yield one
    finally:
        await one.stop()
        engine.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await engine
        await journal.close()


async def until(check: Any, seconds: float = 10.0) -> Any:
    """Wait for `check()` to be true; what it said."""
    async with asyncio.timeout(seconds):
        while not (said := await check()):
            await asyncio.sleep(0.02)
    return said
