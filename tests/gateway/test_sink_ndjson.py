"""The ndjson sink: every observation one line, whatever the last process left behind."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.backoff import Backoff
from gateway.journal.store import Journal
from gateway.sinks.ndjson import NdjsonSink
from gateway.sinks.options import NdjsonOptions
from tests.gateway.sink_bench import Bench, drained, journal, running, until

__all__ = ["journal"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out" / "results.ndjson"


def sink(journal: Journal, path: Path, **more: Any) -> NdjsonSink:
    options = NdjsonOptions(**{"id": "file", "type": "ndjson", "path": path, "linger": "10ms", **more})
    return NdjsonSink(options, journal, backoff=Backoff(0.05, 0.1))


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def seqs(*paths: Path) -> list[int]:
    return [line["seq"] for path in paths for line in lines(path)]


async def run(part: NdjsonSink) -> None:
    async with running(part):
        await until(drained(part))


async def test_a_line_is_what_export_shows_and_only_we_can_read_it(journal: Journal, path: Path) -> None:
    await Bench(journal).many(3)
    await run(sink(journal, path))
    first = lines(path)[0]
    assert list(first)[:2] == ["seq", "uid"]
    assert (first["seq"], first["value"], first["specimen"]) == (1, 1.5, "S-1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_persons_are_left_out_where_asked(journal: Journal, path: Path) -> None:
    attributes = {"quality_reason": "clock", "patient_name": "N. N."}
    await Bench(journal).many(1, attributes=attributes)
    await run(sink(journal, path, identified=False))
    (line,) = lines(path)
    assert not {"specimen", "patient", "operator"} & set(line)
    assert line["attributes"] == {"quality_reason": "clock"}


async def test_it_goes_on_where_it_stopped(journal: Journal, path: Path) -> None:
    bench = Bench(journal)
    await bench.many(5)
    await run(sink(journal, path))
    await bench.many(5)
    await run(sink(journal, path))
    assert seqs(path) == list(range(1, 11))


async def test_lines_written_before_a_crash_are_not_written_again_and_half_a_line_is_completed(
    journal: Journal, path: Path
) -> None:
    bench = Bench(journal)
    await bench.many(10)
    await run(sink(journal, path))
    whole = path.read_bytes()
    # The process died after writing seven lines and some of the eighth, before its cursor moved.
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:7]) + b'{"seq":8,"uid":"00')
    await journal.write(lambda t: t.advance("sink:file", 2, {}))
    await run(sink(journal, path, batch=2))
    assert path.read_bytes() == whole


async def test_a_file_of_another_journal_is_moved_aside_unchanged(journal: Journal, path: Path) -> None:
    path.parent.mkdir()
    foreign = b'{"seq":3,"uid":"of another journal"}\n'
    path.write_bytes(foreign)
    await Bench(journal).many(5)
    await run(sink(journal, path))
    assert seqs(path) == [1, 2, 3, 4, 5]
    assert (path.parent / "results-000000000003.ndjson").read_bytes() == foreign


@pytest.mark.parametrize("content", [b"no JSON at all", b"[1]\n", b"\n\n", b"\xff\x00\n", b'{"seq":"x"}\n', b"{}"])
async def test_a_file_that_is_not_ours_is_never_changed(journal: Journal, path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    await Bench(journal).many(2)
    await run(sink(journal, path))
    assert seqs(path) == [1, 2]
    assert (path.parent / "results-unknown.ndjson").read_bytes() == content


async def test_a_new_file_begins_when_one_is_large_enough(journal: Journal, path: Path) -> None:
    await Bench(journal).many(100)
    await run(sink(journal, path, rotate_bytes=4096, batch=5))
    finished = sorted(path.parent.glob("results-*.ndjson"))
    assert len(finished) > 3
    assert finished[0].name == "results-000000000001.ndjson"
    assert all(file.stat().st_size < 4096 + 5 * 600 for file in finished)
    assert seqs(*finished, path) == list(range(1, 101))


async def test_a_new_file_begins_with_a_new_day(journal: Journal, path: Path) -> None:
    bench = Bench(journal)
    await bench.many(3)
    await run(sink(journal, path, rotate_daily=True))
    await bench.many(2)
    await run(sink(journal, path, rotate_daily=True))
    assert seqs(path) == [1, 2, 3, 4, 5], "the same day goes on"
    yesterday = time.time() - 86_400
    os.utime(path, (yesterday, yesterday))
    await bench.many(2)
    await run(sink(journal, path, rotate_daily=True))
    assert seqs(path.parent / "results-000000000001.ndjson") == [1, 2, 3, 4, 5]
    assert seqs(path) == [6, 7]


async def test_a_folder_that_cannot_be_written_is_a_state_with_a_way_back(journal: Journal, path: Path) -> None:
    path.parent.write_text("a file where the folder should be")
    await Bench(journal).many(5)
    part = sink(journal, path)
    async with running(part):
        await until(lambda: part.state.last_error)
        assert (part.state.connected, part.state.behind) == (False, 5)
        path.parent.unlink()
        await until(drained(part))
        assert part.state.connected
        assert part.state.last_error == ""
    assert seqs(path) == [1, 2, 3, 4, 5]
