"""Every test ends what it began: one that leaves a task, thread, process, socket or file behind fails, and what it left
is ended, so that the next test and the end of the run do not pay for it."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import psutil
import pytest

GRACE: Final = 3.0  # seconds for what is already ending
SHARED: Final = (  # kept by libraries for the whole run
    "anon_inode:",  # an event loop's selector; loops are looked at as sockets (their wake-up pair)
    "/dev/",
    "/proc/",
    "/sys/",
)


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Threads, child processes and descriptors after a test and its fixtures, against those before."""
    before = _Held(library=request.node.get_closest_marker("library_threads") is not None)
    yield
    left = before.more()
    if not left:
        return
    gc.collect()  # a cycle of objects that hold a socket is ended, only later
    ends = time.monotonic() + GRACE
    while (left := before.more()) and time.monotonic() < ends:
        time.sleep(0.02)
    if left:
        before.end_processes()
        pytest.fail("left behind: " + "; ".join(left))


class _Held:
    """What this process holds now. `library`: a library keeps threads and sockets of its own; only processes count."""

    def __init__(self, *, library: bool) -> None:
        self._library = library
        self._threads = set(threading.enumerate())
        self._processes = set(psutil.Process().children(recursive=True))
        self._descriptors = _descriptors()

    def more(self) -> list[str]:
        """What has come since, in words."""
        processes = [f"process {' '.join(_words(one))[:120]}" for one in self._new_processes()]
        if self._library:
            return processes
        threads = [f"thread {one.name}" for one in threading.enumerate() if one not in self._threads]
        descriptors = [f"{count} x {name}" for name, count in (_descriptors() - self._descriptors).items()]
        return [*threads, *processes, *descriptors]

    def end_processes(self) -> None:
        for one in self._new_processes():
            try:
                one.kill()
                one.wait(GRACE)
            except (psutil.NoSuchProcess, psutil.TimeoutExpired):
                continue

    def _new_processes(self) -> list[psutil.Process]:
        return [one for one in psutil.Process().children(recursive=True) if one not in self._processes]


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return [f"pid {process.pid}"]


def _descriptors() -> Counter[str]:
    """Open files by name; sockets and pipes by kind."""
    found: Counter[str] = Counter()
    here = Path("/proc/self/fd")
    for entry in here.iterdir() if here.exists() else ():
        try:
            name = str(entry.readlink())
        except OSError:
            continue  # the listing's own
        if not name.startswith(SHARED):
            found[name.partition(":")[0] if name.startswith(("socket:", "pipe:")) else name] += 1
    return found


@pytest.fixture
async def no_task_left_behind() -> AsyncIterator[None]:
    """Set up before a test's other fixtures, so that it looks when they are gone."""
    yield
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=GRACE)
    assert not left, f"tasks left behind: {left}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        test = getattr(item, "obj", None)
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(test):
            item.fixturenames.insert(item.fixturenames.index("nothing_left_behind") + 1, "no_task_left_behind")


def pytest_unconfigure(config: pytest.Config) -> None:
    """A thread that does not end would hold up the end of the run for ever."""
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.main_thread():
            thread.join(GRACE)
            if thread.is_alive():
                print(f"thread {thread.name} does not end: leaving without it", flush=True)
                os._exit(1)
