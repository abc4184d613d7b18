"""The ndjson sink: observations appended to a file, on the disk before the cursor moves."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from gateway.backoff import Backoff
from gateway.journal.store import Journal
from gateway.sinks.messages import message
from gateway.sinks.options import NdjsonOptions
from gateway.sinks.place import Batch, Place
from gateway.sinks.state import SinkState

log = structlog.get_logger()

LINE: Final = 16 << 20  # bytes the last line may have


class NdjsonSink:
    """Writes one file, and begins another when it is large enough or the day is over.

    After a crash the file may be ahead of the cursor (written, cursor not yet moved) or end in half a line: what is
    there is not written again, the half line is. A file that is not ours is moved aside, never changed.
    """

    def __init__(self, options: NdjsonOptions, journal: Journal, *, backoff: Backoff | None = None) -> None:
        self._options = options
        self._journal = journal
        self._place = Place(journal, options.id, options.select)
        self._backoff = backoff or Backoff()

    @property
    def id(self) -> str:
        return self._options.id

    @property
    def state(self) -> SinkState:
        return self._place.state

    async def run(self) -> None:
        await self._place.open()
        while True:
            try:
                written = await self._resume()
                await self._append(written)
            except OSError as error:
                self._place.waits(error)
                await asyncio.sleep(self._backoff.next())

    async def _append(self, written: int) -> None:
        """Write what comes, for ever. `written`: the last seq in the file. Errors: OSError."""
        while True:
            batch = await self._place.next(self._options.batch, self._options.linger)
            await asyncio.to_thread(self._write, batch, written)
            await self._place.delivered(batch, {})
            self._place.works()
            self._backoff.succeeded()

    def _write(self, batch: Batch, written: int) -> None:
        path = self._options.path
        if self._full(path):
            _move_aside(path)
        lines = [message(row, identified=self._options.identified) for row in batch.rows if row.seq > written]
        if not lines:
            return
        new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as file:  # noqa: PTH123 - mode
            file.write(b"\n".join(lines) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            _sync_folder(path)

    def _full(self, path: Path) -> bool:
        try:
            now = path.stat()
        except FileNotFoundError:
            return False
        if self._options.rotate_bytes is not None and now.st_size >= self._options.rotate_bytes:
            return True
        return self._options.rotate_daily and _day(now.st_mtime) != _day(time.time()) and now.st_size > 0

    # ---- after a crash

    async def _resume(self) -> int:
        """Make the file end in a whole line; the last seq in it, 0 where the cursor says it all."""
        last = await asyncio.to_thread(_mend, self._options.path)
        if last is None:
            return 0
        seq = last.get("seq")
        if isinstance(seq, int) and seq <= self._place.cursor:
            return 0
        if isinstance(seq, int) and await self._uid(seq) == last.get("uid"):
            return seq
        log.warning("the file is another journal's: moved aside", sink=self.id, path=str(self._options.path))
        await asyncio.to_thread(_move_aside, self._options.path)
        return 0

    async def _uid(self, seq: int) -> object:
        rows = await self._journal.rows(seq - 1, 1)
        return orjson.loads(rows[0][1])["uid"] if rows and rows[0][0] == seq else object()


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def _mend(path: Path) -> dict[str, Any] | None:
    """Cut half a line off the end; the last whole line, or None where the file is empty, missing or not ours (then
    it is moved aside)."""
    if not path.exists():
        return None
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - 2 * LINE)
        file.seek(start)
        tail = file.read()
        end = tail.rfind(b"\n") + 1
        try:
            last = orjson.loads(tail[tail.rfind(b"\n", 0, max(0, end - 1)) + 1 : end])
        except orjson.JSONDecodeError:
            last = None
        if isinstance(last, dict) and "seq" in last:
            if start + end < size:
                file.truncate(start + end)
                os.fsync(file.fileno())
            return last
    if size:
        _move_aside(path)
    return None


def _move_aside(path: Path) -> None:
    """Give a file its lasting name: by the first seq in it, and a number where that name is taken."""
    with path.open("rb") as file:
        line = file.readline(LINE)
    try:
        name = f"{path.stem}-{orjson.loads(line)['seq']:012d}"
    except (TypeError, KeyError, ValueError):  # JSONDecodeError is a ValueError
        name = f"{path.stem}-unknown"
    target, number = path.with_name(f"{name}{path.suffix}"), 1
    while target.exists():
        target, number = path.with_name(f"{name}-{number}{path.suffix}"), number + 1
    path.rename(target)
    _sync_folder(path)


def _sync_folder(path: Path) -> None:
    """Make a new name durable too."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
