"""A watched folder: each file is one message, read once it has stopped changing, and never twice."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import hashlib
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway.links.link import Chunk, Ear, LinkState
from gateway.links.options import FileOptions

log = structlog.get_logger()

UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".swp", ".lock", ".lck", "~")
MOST_LISTED = 10_000  # files not read yet that are looked at in one round, oldest first
RESTLESS = 600.0  # seconds a file may keep changing before that is said
Seen = Callable[[str], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class _Look:
    """A file as it looks now. Some network shares give no time of the last write and another inode at every look: the
    time of the last change of any kind tells two versions apart as well."""

    name: str
    size: int
    mtime: int  # nanoseconds, as is the next
    ctime: int

    @property
    def shown(self) -> str:
        """The name as text: what is not UTF-8 in it (a share of an old system) as `\\xNN`."""
        return os.fsencode(self.name).decode(errors="backslashreplace")

    @staticmethod
    def of(name: str, status: os.stat_result) -> _Look:
        return _Look(name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class FolderPort:
    """The folder as a `Port`: nothing can be written to it."""

    def __init__(self, path: Path) -> None:
        self.peer = str(path)
        self.flowing = asyncio.Event()
        self.flowing.set()

    def write(self, data: bytes, channel: str = "") -> None:
        """A folder takes no replies."""

    def pause(self) -> None:
        self.flowing.clear()

    def resume(self) -> None:
        self.flowing.set()

    def close(self) -> None:
        """A folder is not hung up."""


class FileLink:
    """Watches one folder. `seen(key)` says whether the journal has taken a file already."""

    def __init__(self, options: FileOptions, seen: Seen) -> None:
        self._options, self._seen = options, seen
        self._before: dict[str, _Look] = {}  # as of the last round
        self._taken: set[_Look] = set()  # read, refused or known: not to be opened again
        self._restless: dict[str, float] = {}  # seconds each file has been seen changing

    async def run(self, ear: Ear) -> None:
        options = self._options
        port = FolderPort(options.path)
        ear.state(LinkState.STARTING, options.address)
        ear.opened(port)
        try:
            while True:
                try:
                    looks = await asyncio.to_thread(self._list)
                except OSError as error:
                    ear.state(LinkState.WAITING, f"{options.path}: {error.strerror}")
                else:
                    ear.state(LinkState.CONNECTED, options.address)
                    for look in looks:
                        if self._before.get(look.name) == look:
                            await port.flowing.wait()
                            await self._take(look, ear, port)
                    self._note_restless(looks)
                    self._before = {look.name: look for look in looks}
                await asyncio.sleep(options.settle)
        finally:
            ear.closed(port, "stopped")
            ear.state(LinkState.STOPPED, "")

    def _list(self) -> list[_Look]:
        """The files that have not been read as they are, the oldest first."""
        pattern, looks = self._options.pattern.lower(), list[_Look]()
        with os.scandir(self._options.path) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith((".", "~")) or name.lower().endswith(UNFINISHED):
                    continue
                if not fnmatch.fnmatchcase(name.lower(), pattern):  # RESULTS.CSV is a *.csv
                    continue
                with contextlib.suppress(FileNotFoundError):  # taken away since the folder was listed
                    if entry.is_file(follow_symlinks=False):
                        looks.append(_Look.of(name, entry.stat(follow_symlinks=False)))
        self._taken &= set(looks)
        looks = [look for look in looks if look not in self._taken]
        looks.sort(key=lambda look: (look.mtime, look.name))
        return looks[:MOST_LISTED]

    def _note_restless(self, looks: list[_Look]) -> None:
        """Say once that a file never rests: nobody would know why it is not read."""
        changing = [look.name for look in looks if self._before.get(look.name) != look and look.name in self._before]
        for name in changing:
            before = self._restless.get(name, 0.0)
            if before < RESTLESS <= before + self._options.settle:
                log.warning("file keeps changing, not read before it rests", folder=str(self._options.path), file=name)
        self._restless = {name: self._restless.get(name, 0.0) + self._options.settle for name in changing}

    def _unchanged(self, look: _Look) -> bool:
        """Whether the file still looks so."""
        try:
            return _Look.of(look.name, (self._options.path / look.name).lstat()) == look
        except OSError:
            return False

    async def _take(self, look: _Look, ear: Ear, port: FolderPort) -> None:
        self._taken.add(look)
        if look.size > self._options.max_bytes:
            log.warning("file too large, left where it is", folder=port.peer, file=look.shown, bytes=look.size)
            return
        path = self._options.path / look.name
        try:
            data = await asyncio.to_thread(_content, path, look.size + 1)
        except OSError as error:
            self._taken.discard(look)
            log.warning("file cannot be read", folder=port.peer, file=look.shown, why=error.strerror)
            return
        if len(data) != look.size or not await asyncio.to_thread(self._unchanged, look):
            self._taken.discard(look)  # it was written to while it was read
            return
        key = f"{look.shown}|{look.size}|{look.mtime}|{hashlib.sha256(data).hexdigest()}"
        if not await self._seen(key):
            durable = asyncio.Event()
            ear.received(port, Chunk(data, look.shown, whole=True, key=key), durable.set)
            await durable.wait()
        await asyncio.to_thread(self._dispose, look, path)

    def _dispose(self, look: _Look, path: Path) -> None:
        if not self._unchanged(look):
            return  # written anew since it was read: it is read again, then disposed of
        try:
            if self._options.after == "delete":
                path.unlink(missing_ok=True)
            elif self._options.move_to is not None:
                self._options.move_to.mkdir(parents=True, exist_ok=True)
                shutil.move(path, self._options.move_to / path.name)
        except OSError as error:
            log.warning("file was read but cannot be removed", file=look.shown, why=error.strerror)


def _content(path: Path, most: int) -> bytes:
    """At most so many bytes of it. What took a file's name since the folder was listed, a link out of the folder or a
    pipe nobody writes to, is not followed and not waited for. Errors: OSError."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        return file.read(most)
