"""The power goes: what a journal's files may look like then, and what must still be in them.

From a log of operations (`disk.Recorder`) the state of the files at any moment is made again: what was flushed is
there; of what was written after the last flush any part may be there, in any order, down to single sectors.

`python -m tests.torture.power FOLDER CUTS [MUTATION]` records the real journal at work, cuts the power so many times
and prints {"promised", "missing", "broken"}.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from gateway.journal import seals
from gateway.journal.schema import FILE, LAST, PART
from gateway.journal.store import Journal
from gateway.journal.transaction import Keep, Thread
from tests.torture.disk import Operation, Recorder, install
from tests.torture.mutations import break_it

SECTOR: Final = 512
MESSAGES: Final = 150


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


async def record(recorder: Recorder, data_dir: Path) -> None:
    """Keep messages, alone and in groups, with observations' neighbours: audit entries, seals and checkpoints."""
    chance = random.Random(20260115)
    journal = await Journal.open(data_dir)
    kept = asyncio.Semaphore(0)

    def durable(number: int, row: int) -> None:
        recorder.mark(f"{row} {number}")
        kept.release()

    number = 0
    while number < MESSAGES:
        group = chance.choice((1, 1, 1, 5, 20))
        for _ in range(group):
            number += 1
            thread = Thread() if chance.random() < 0.3 else None
            data = f"message {number} ".encode() * chance.randint(1, 60)
            done = lambda row, number=number: durable(number, row)  # noqa: E731
            journal.keep(Keep("d", "peer", number, data, PART if thread else LAST, done, thread))
        for _ in range(group):
            await kept.acquire()
        if chance.random() < 0.3:
            await journal.write(lambda t: t.audit("something", at_message=number))  # noqa: B023 - awaited
        if chance.random() < 0.2 and (seal := await journal.read(lambda db: seals.following(db, journal.secret))):
            await journal.write(lambda t: seals.store(t.db, seal))
        if chance.random() < 0.1:
            await journal.write(lambda t: None)
            with closing(sqlite3.connect(data_dir / FILE)) as other:
                other.execute("PRAGMA wal_checkpoint(PASSIVE)")
    await journal.close()


def cut(log: list[Operation], place: int, chance: random.Random, at: Path) -> tuple[dict[str, str], list[str], str]:
    """Cut the power after `place` operations. What was promised by then (row: message), which of it is missing, and
    what is wrong with the journal ("": nothing)."""
    at.mkdir()
    files_after_power_cut(log[:place], chance, at)
    promised = dict(one.name.split() for one in log[:place] if one.what == "mark")
    with closing(sqlite3.connect(at / FILE)) as db:
        try:
            (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
            there = dict(db.execute("SELECT id, received FROM raw"))
        except sqlite3.DatabaseError as error:
            verdict, there = str(error), {}
    missing = [row for row, number in promised.items() if there.get(int(row)) != int(number)]
    return promised, missing, "" if verdict == "ok" else f"after operation {place}: {verdict}"


def main(folder: Path, cuts: int) -> None:
    recorder = Recorder()
    install(recorder)
    asyncio.run(record(recorder, folder / "data"))
    install(None)  # what comes now is looking, not writing
    chance = random.Random(20260116)
    log = recorder.log
    first = next(place for place, one in enumerate(log) if one.what == "mark")
    promised, missing, broken = 0, 0, []
    for number in range(cuts):
        then, gone, why = cut(log, chance.randint(first, len(log)), chance, folder / f"cut-{number}")
        promised, missing = promised + len(then), missing + len(gone)
        broken += [why] if why else []
    print(json.dumps({"promised": promised, "missing": missing, "broken": broken}))


if __name__ == "__main__":
    break_it(sys.argv[3] if len(sys.argv) > 3 else "")
    main(Path(sys.argv[1]), int(sys.argv[2]))
