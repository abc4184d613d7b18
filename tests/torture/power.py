"""The power goes: what a journal's files may look like then, and what must still be in them.

From a log of operations (`disk.Recorder`) the state of the files at any moment is made again: what was flushed is
there; of what was written after the last flush any part may be there, in any order, down to single sectors.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.torture.disk import Operation

SECTOR: Final = 512


def files_after_power_cut(log: Sequence[Operation], chance: random.Random, folder: Path) -> None:
    """Write the files as a power cut right after the last operation of `log` may leave them."""
    folder_flushed = _folder_flushed(log)
    for name in {one.name for one in log if one.what != "mark"}:
        own = [(place, one) for place, one in enumerate(log) if one.name == name and one.what != "mark"]
        content = _content(own, folder_flushed, chance)
        if content is not None:
            (folder / name).write_bytes(content)


def _folder_flushed(log: Sequence[Operation]) -> int:
    """Place of the last flush of the folder: SQLite flushes it with the first flush of a log it has made
    (os_unix.c, UNIXFILE_DIRSYNC) and with some deletions."""
    fresh, last = set[str](), -1
    seen = set[str]()
    for place, one in enumerate(log):
        if one.name not in seen and one.name.endswith(("-wal", "-journal")):
            seen.add(one.name)
            fresh.add(one.name)
        if one.what == "delete":
            seen.discard(one.name)
            last = place if one.offset else last
        elif one.what == "sync" and one.name in fresh:
            fresh.discard(one.name)
            last = place
    return last


def _content(log: Sequence[tuple[int, Operation]], folder_flushed: int, chance: random.Random) -> bytes | None:
    """One file's bytes; None where it is not there."""
    flushed = max((place for place, one in log if one.what == "sync"), default=-1)
    content: bytearray | None = bytearray() if log else None
    # How much of the unflushed survived differs from cut to cut: nothing, everything, or some.
    survives = chance.choice((0.0, 0.5, 0.9, 1.0))
    for place, one in log:
        sure = place < flushed
        if one.what == "delete":
            if place > folder_flushed and chance.random() >= survives:
                break  # the name still leads to the old file; what follows went to a new one
            content = None
        elif one.what == "truncate":
            if sure or chance.random() < survives:
                content = (content or bytearray())[: one.offset]
        elif one.what == "write":
            content = bytearray() if content is None else content
            for start in range(0, len(one.data), SECTOR):
                if sure or chance.random() < survives:
                    _put(content, one.offset + start, one.data[start : start + SECTOR])
    return None if content is None else bytes(content)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data
