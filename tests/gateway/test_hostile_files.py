"""What somebody puts into a watched folder: names no text can hold, links out of it, pipes and sockets."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from gateway.journal.schema import LAST
from gateway.journal.store import Journal
from gateway.journal.transaction import Keep
from gateway.links import files
from gateway.links.files import FileLink
from gateway.links.options import FileOptions
from tests.gateway.test_links import Listener, running


async def never(_key: str) -> bool:
    return False


def watched(folder: Path) -> FileLink:
    return FileLink(FileOptions.model_validate({"type": "file", "path": folder, "settle": "50ms"}), never)


async def test_a_name_that_is_not_utf8_is_kept_as_text_a_journal_takes(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/M\xfcller.csv")).write_bytes(b"S1,1")
    ear, journal = Listener(), await Journal.open(tmp_path)
    try:
        async with running(watched(tmp_path / "in").run(ear)):
            await ear.until(lambda: bool(ear.chunks))
        chunk = ear.chunks[0]
        assert chunk.channel == r"M\xfcller.csv"  # else the writer would end with it, and this process
        kept: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        journal.keep(Keep("d", chunk.channel, 1, chunk.data, LAST, kept.set_result, key=chunk.key))
        assert await asyncio.wait_for(kept, 60) > 0
    finally:
        await journal.close()


async def test_what_takes_a_files_name_after_the_look_is_neither_followed_nor_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, secret = tmp_path / "in", tmp_path / "secret"
    folder.mkdir()
    secret.write_bytes(b"secret")
    real = files._content

    def swapped(path: Path, most: int) -> bytes:
        if path.name != "good.csv":
            path.unlink()
            if path.name == "link.csv":
                path.symlink_to(secret)
            else:
                os.mkfifo(path)
        return real(path, most)

    monkeypatch.setattr(files, "_content", swapped)
    for name in ("link.csv", "pipe.csv", "good.csv"):
        (folder / name).write_bytes(b"reading")
    ear = Listener()
    async with running(watched(folder).run(ear)):
        await ear.until(lambda: bool(ear.chunks))
    assert [(chunk.channel, chunk.data) for chunk in ear.chunks] == [("good.csv", b"reading")]
