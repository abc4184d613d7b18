"""A disk that fails on demand, and one that remembers what was written: between SQLite and the real files.

SQLite reaches files through a table of functions (sqlite.org/c3ref/vfs.html, io_methods.html). The table of this
process's own library gets functions of ours, which call the old ones: so the code under test is the real one, and
the disk below it fails, is slow, or dies at the write or flush we name.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

FULL: Final = 13
READONLY: Final = 8
IOERR_WRITE: Final = 10 | 3 << 8
IOERR_FSYNC: Final = 10 | 4 << 8

_pointer = ctypes.c_void_p
# Names go as bare pointers: SQLite keeps the one it gave, and what stands behind it.
_OPEN = ctypes.CFUNCTYPE(ctypes.c_int, _pointer, _pointer, _pointer, ctypes.c_int, _pointer)
_DELETE = ctypes.CFUNCTYPE(ctypes.c_int, _pointer, _pointer, ctypes.c_int)
_CLOSE = ctypes.CFUNCTYPE(ctypes.c_int, _pointer)
_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, _pointer, _pointer, ctypes.c_int, ctypes.c_int64)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, _pointer, ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, _pointer, ctypes.c_int)


class _Vfs(ctypes.Structure):
    _fields_ = [
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("max_path", ctypes.c_int),
        ("next", _pointer),
        ("name", ctypes.c_char_p),
        ("app", _pointer),
        ("open", _pointer),
        ("delete", _pointer),
    ]


class _Methods(ctypes.Structure):
    _fields_ = [
        ("version", ctypes.c_int),
        ("close", _pointer),
        ("read", _pointer),
        ("write", _pointer),
        ("truncate", _pointer),
        ("sync", _pointer),
        ("others", _pointer * 13),  # as they are, up to version 3
    ]


class Disk(Protocol):
    """What is asked before, and told after, each operation on a journal's files. A result code other than 0 is
    given to SQLite in place of the operation."""

    def before(self, what: str, name: str, offset: int, data: bytes) -> int: ...
    def after(self, what: str, name: str, offset: int, data: bytes) -> None: ...


class _Installed:
    """Our functions, kept alive for as long as SQLite may call them."""

    def __init__(self) -> None:
        self.disk: Disk | None = None
        self.names: dict[int, str] = {}
        self.keep: list[Any] = []
        self.copies: dict[int, _Methods] = {}


_installed: _Installed | None = None


def install(disk: Disk | None) -> None:
    """Put `disk` below every database this process opens from now on; None: the real one alone.

    Errors: RuntimeError where this Python's SQLite is not a library of its own.
    """
    global _installed
    if _installed is None:
        _installed = _hook()
    _installed.disk = disk


def _hook() -> _Installed:
    library = ctypes.CDLL(importlib.import_module("_sqlite3").__file__)
    try:
        find = library.sqlite3_vfs_find
    except AttributeError:
        raise RuntimeError("this Python has SQLite built in: its files cannot be reached") from None
    find.restype = ctypes.POINTER(_Vfs)
    vfs = find(None).contents
    state = _Installed()
    real_open, real_delete = _OPEN(vfs.open), _DELETE(vfs.delete)

    def open_(at: int, name: int | None, file: int, flags: int, out: int) -> int:
        answer = int(real_open(at, name, file, flags, out))
        slot = ctypes.cast(file, ctypes.POINTER(_pointer))
        if answer == 0 and name and slot[0]:
            state.names[file] = _named(name)
            slot[0] = ctypes.addressof(_ours(state, slot[0]))
        return answer

    def delete(at: int, name: int, sync: int) -> int:
        return _around(state, "delete", _named(name), sync, b"", lambda: real_delete(at, name, sync))

    opened, deleted = _OPEN(open_), _DELETE(delete)
    state.keep += [real_open, real_delete, opened, deleted]
    vfs.open = ctypes.cast(opened, _pointer).value
    vfs.delete = ctypes.cast(deleted, _pointer).value
    return state


def _named(name: int) -> str:
    return Path(os.fsdecode(ctypes.string_at(name))).name


def _ours(state: _Installed, theirs: int) -> _Methods:
    """A copy of a file's functions with ours in it; one for each table of theirs."""
    if theirs in state.copies:
        return state.copies[theirs]
    real = _Methods.from_address(theirs)
    copy = _Methods.from_buffer_copy(real)
    real_close, real_write = _CLOSE(real.close), _WRITE(real.write)
    real_truncate, real_sync = _TRUNCATE(real.truncate), _SYNC(real.sync)

    def close(file: int) -> int:
        state.names.pop(file, None)
        return int(real_close(file))

    def write(file: int, data: int, size: int, offset: int) -> int:
        content = ctypes.string_at(data, size)
        return _around(
            state, "write", state.names.get(file, ""), offset, content, lambda: real_write(file, data, size, offset)
        )

    def truncate(file: int, size: int) -> int:
        return _around(state, "truncate", state.names.get(file, ""), size, b"", lambda: real_truncate(file, size))

    def sync(file: int, flags: int) -> int:
        return _around(state, "sync", state.names.get(file, ""), 0, b"", lambda: real_sync(file, flags))

    made = [_CLOSE(close), _WRITE(write), _TRUNCATE(truncate), _SYNC(sync)]
    copy.close, copy.write, copy.truncate, copy.sync = (ctypes.cast(one, _pointer).value for one in made)
    state.keep += [real_close, real_write, real_truncate, real_sync, *made]
    state.copies[theirs] = copy
    return copy


def _around(state: _Installed, what: str, name: str, offset: int, data: bytes, really: Callable[[], int]) -> int:
    disk = state.disk
    if disk is None or not name:
        return int(really())
    code = disk.before(what, name, offset, data)
    if code:
        return code
    answer = int(really())
    if answer == 0:
        disk.after(what, name, offset, data)
    return answer


# ---- a disk that fails on demand


class Faulty:
    """Reads what is wrong from a small JSON file, so that another process may say it while we run.

    Keys: `write`, `sync` (result codes given in place of the operation), `slow` (seconds a flush takes),
    `kill` ([what, count, "before" or "after"]: the process dies at that operation, counted from the file's change).
    """

    def __init__(self, control: Path) -> None:
        self._control = control
        self._stamp = 0
        self._orders: dict[str, Any] = {}
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def before(self, what: str, name: str, offset: int, data: bytes) -> int:
        orders = self._read()
        with self._lock:
            self._counts[what] = self._counts.get(what, 0) + 1
        self._die(orders, what, "before")
        if what == "sync" and orders.get("slow"):
            time.sleep(orders["slow"])
        return int(orders.get(what, 0))

    def after(self, what: str, name: str, offset: int, data: bytes) -> None:
        self._die(self._orders, what, "after")

    def _die(self, orders: dict[str, Any], what: str, when: str) -> None:
        kill = orders.get("kill")
        if kill and kill[0] == what and kill[2] == when and self._counts.get(what, 0) >= kill[1]:
            os.kill(os.getpid(), signal.SIGKILL)

    def _read(self) -> dict[str, Any]:
        try:
            stamp = self._control.stat().st_mtime_ns
            if stamp != self._stamp:
                self._orders = json.loads(self._control.read_bytes())
                self._stamp, self._counts = stamp, {}
        except (OSError, ValueError):
            return self._orders
        return self._orders


# ---- a disk that remembers


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing done to a file, or (`what` "mark") something that was promised at that moment.

    `offset` of a truncate is the new size; of a delete, 1 where the folder was flushed with it.
    """

    what: str
    name: str
    offset: int
    data: bytes


@dataclass(slots=True)
class Recorder:
    """Keeps every operation in order. `mark` notes a promise between them."""

    log: list[Operation] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def before(self, what: str, name: str, offset: int, data: bytes) -> int:
        return 0

    def after(self, what: str, name: str, offset: int, data: bytes) -> None:
        with self._lock:
            self.log.append(Operation(what, name, offset, data))

    def mark(self, name: str) -> None:
        with self._lock:
            self.log.append(Operation("mark", name, 0, b""))
