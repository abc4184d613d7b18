"""The page's live connection: a snapshot, then what has changed, joined every tenth of a second.

One task reads the journal for all pages. A page that cannot keep up misses deltas and gets a fresh snapshot; it
never slows the gateway.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import orjson

from gateway.journal.export import with_seq
from gateway.people.masks import masked as mask
from gateway.web import queries

if TYPE_CHECKING:
    import sqlite3

    from gateway.views import AppViews

JOINED = 0.1  # seconds
BEAT = 2.0  # seconds between signs of life; the page calls its values old after five
MOST_WAITING = 20  # messages a page may be behind
MOST_IN_DELTA = 500  # observations; a page further behind than this is better off with a snapshot
RESULTS = 100
FLOOD = 1.0  # seconds between snapshots while more comes than a delta may hold


class Page:
    """One open page."""

    def __init__(self, *, masked: bool) -> None:
        self.masked = masked  # its person may not see patients
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(MOST_WAITING)
        self.behind = False

    def offer(self, message: bytes) -> None:
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.behind = True


class Hub:
    """Feeds every open page."""

    def __init__(self, views: AppViews) -> None:
        self._views = views
        self._journal = views.journal
        self._pages: set[Page] = set()
        self._at = 0
        self.closing = asyncio.Event()  # the server ends: streams should too

    async def run(self) -> None:
        """Follow journal, alarms and clock until cancelled."""
        self._at = self._journal.observations.at
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="live-observations")
            group.create_task(self._beat(), name="live-beat")

    async def messages(self, *, masked: bool = False) -> AsyncIterator[bytes]:
        """What one page is sent, from its snapshot on; `masked`: without patients."""
        page = Page(masked=masked)
        self._pages.add(page)
        try:
            yield await self.snapshot(masked=masked)
            while True:
                message = await page.queue.get()
                if page.behind:
                    while not page.queue.empty():
                        page.queue.get_nowait()
                    page.behind = False
                    message = await self.snapshot(masked=masked)
                yield message
        finally:
            self._pages.discard(page)

    async def snapshot(self, *, masked: bool = False) -> bytes:
        """Everything a page shows, as of one seq."""
        devices = self._views.devices()
        names = [device["id"] for device in devices]
        seq, values, results, sparks = await self._journal.read(lambda db: _read(db, names))
        if masked:
            values, results = [mask(one) for one in values], [mask(one) for one in results]
        parts = {
            "type": "snapshot",
            "seq": seq,
            "devices": devices,
            "alarms": self._views.open_alarms(),
            "suppressions": self._suppressions(),
            "sinks": self._views.sinks(),
            **self._views.status(),
        }
        tail = b',"sparks":%b,"values":[%b],"results":[%b]}' % (
            orjson.dumps(sparks),
            b",".join(values),
            b",".join(results),
        )
        return orjson.dumps(parts)[:-1] + tail

    async def _follow(self) -> None:
        while True:
            await self._journal.observations.beyond(self._at)
            await asyncio.sleep(JOINED)
            if not self._pages:
                self._at = self._journal.observations.at
                continue
            rows = await self._journal.rows(self._at, MOST_IN_DELTA + 1)
            if not rows:
                continue
            if len(rows) > MOST_IN_DELTA:
                self._at = self._journal.observations.at
                for page in self._pages:
                    page.behind = True
                    page.offer(b"")
                await asyncio.sleep(FLOOD)
                continue
            self._at = rows[-1][0]
            items = [with_seq(seq, body) for seq, body in rows]
            self._offer(_delta(self._at, items), masked=False)
            if any(page.masked for page in self._pages):
                self._offer(_delta(self._at, [mask(one) for one in items]), masked=True)

    async def _beat(self) -> None:
        """States of links, sinks and parts each beat; alarms as soon as they change."""
        shown: tuple[object, int] | None = None
        next_beat = 0.0
        while True:
            await asyncio.sleep(JOINED * 2)
            alarms = self._views.alarms
            if self._pages and alarms and shown != (alarms, alarms.changed.at):
                shown = (alarms, alarms.changed.at)  # a new configuration brings another engine
                told = {"items": self._views.open_alarms(), "suppressions": self._suppressions()}
                self._offer(orjson.dumps({"type": "alarms", **told}))
            now = time.monotonic()
            if self._pages and now >= next_beat:
                next_beat = now + BEAT
                beat = {
                    "type": "beat",
                    "devices": self._views.devices(),
                    "sinks": self._views.sinks(),
                    **self._views.status(),
                }
                self._offer(orjson.dumps(beat))

    def _suppressions(self) -> list[dict[str, Any]]:
        return self._views.alarms.suppressed() if self._views.alarms else []

    def _offer(self, message: bytes, *, masked: bool | None = None) -> None:
        """To every page; to those that are masked or are not."""
        for page in self._pages:
            if masked is None or page.masked is masked:
                page.offer(message)


def _delta(at: int, items: list[bytes]) -> bytes:
    return b'{"type":"delta","seq":%d,"items":[%b]}' % (at, b",".join(items))


def _read(
    db: sqlite3.Connection, devices: list[str]
) -> tuple[int, list[bytes], list[bytes], dict[str, dict[str, list[tuple[float, float]]]]]:
    db.execute("BEGIN")
    try:
        (seq,) = db.execute("SELECT coalesce(max(seq), 0) FROM observation").fetchone()
        values: list[bytes] = []
        sparks: dict[str, dict[str, list[tuple[float, float]]]] = {}
        for device in devices:
            last = queries.latest(db, device)
            values += last
            names = [orjson.loads(one)["quantity"] for one in last]
            sparks[device] = {name: queries.recent(db, device, name) for name in names}
        rows = db.execute(
            "SELECT seq, body FROM observation WHERE kind IN ('result', 'qc') ORDER BY seq DESC LIMIT ?", (RESULTS,)
        ).fetchall()
        return seq, values, [with_seq(number, body) for number, body in reversed(rows)], sparks
    finally:
        db.execute("COMMIT")
