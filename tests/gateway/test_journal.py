"""The journal: what it promises about keeping, order, redelivery and readers."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.journal import audit, folder, opening, redelivery
from gateway.journal.opening import JournalError
from gateway.journal.schema import BROKEN, DECODE, FILE, LAST, PART, REFUSED, SchemaError
from gateway.journal.store import Journal
from gateway.journal.transaction import Keep, Row, Thread


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = await Journal.open(tmp_path)
    yield opened
    await opened.close()


async def keep(journal: Journal, data: bytes, state: int = LAST, **more: object) -> int:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    journal.keep(Keep("reader-1", "peer", 1_700_000_000_000_000_000, data, state, future.set_result, **more))  # type: ignore[arg-type]
    return await future


def row(uid: int, raw: int = 1) -> Row:
    return Row(uid.to_bytes(16, "big"), raw, "reader-1", "result", "crp", "S1", 1, 12.4, b'{"quantity":"crp"}')


async def test_a_message_is_on_disk_when_durable_is_called(journal: Journal) -> None:
    raw = await keep(journal, b"\x02hello\x03")
    with sqlite3.connect(journal.path) as other:
        assert other.execute("SELECT count(*) FROM raw WHERE id=?", (raw,)).fetchone() == (1,)
    message = await journal.message(raw)
    assert message is not None
    assert message.data == b"\x02hello\x03"


async def test_frames_of_one_message_are_joined_in_order(journal: Journal) -> None:
    thread = Thread()
    first = await keep(journal, b"one,", PART, thread=thread)
    await keep(journal, b"another instrument's")
    await keep(journal, b"two,", PART, thread=thread)
    await keep(journal, b"three", LAST, thread=thread)
    message = await journal.message(first)
    assert message is not None
    assert message.data == b"one,two,three"
    assert message.frames == (4, 4, 5)
    assert message.state == LAST


async def test_a_message_under_way_when_the_process_ended_is_closed_as_broken(tmp_path: Path) -> None:
    journal = await Journal.open(tmp_path)
    first = await keep(journal, b"\x021H|", PART, thread=Thread())
    await journal.close()
    journal = await Journal.open(tmp_path)
    message = await journal.message(first)
    await journal.close()
    assert message is not None
    assert (message.data, message.state) == (b"\x021H|", BROKEN)


async def test_a_uid_is_stored_once_and_positions_only_grow(journal: Journal) -> None:
    assert await journal.write(lambda t: t.observe([row(1), row(2)])) == 2
    assert await journal.write(lambda t: t.observe([row(2), row(3)])) == 1
    seqs = [seq for seq, _ in await journal.rows(0, 10)]
    assert len(seqs) == 3
    assert seqs == sorted(seqs)
    assert journal.observations.at == seqs[-1]


async def test_a_redelivered_packet_is_not_kept_twice_but_an_equal_reading_is(journal: Journal) -> None:
    first = await keep(journal, b"-80.1", packet=7)
    second = await keep(journal, b"-80.1", packet=8)
    assert second != first
    assert await keep(journal, b"-80.1", packet=7, again=True) == first
    assert await keep(journal, b"-80.1", packet=8, again=True) == second
    assert await keep(journal, b"-80.2", packet=8, again=True) > second


async def test_a_redelivery_is_recognised_by_the_next_process(tmp_path: Path) -> None:
    journal = await Journal.open(tmp_path)
    first = await keep(journal, b"-80.1", packet=7)
    await journal.close()
    journal = await Journal.open(tmp_path)
    again = await keep(journal, b"-80.1", packet=7, again=True)
    await journal.close()
    assert again == first


async def test_a_redelivery_is_recognised_whatever_others_sent_meanwhile(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redelivery, "WINDOW", 3)
    first = await keep(journal, b"-80.1", packet=7)
    for _ in range(10):
        journal.keep(Keep("another", "peer", 0, b"x", LAST, lambda _id: None))
        journal.keep(Keep("another", "peer", 0, b"x", LAST, lambda _id: None, packet=7))
    assert await keep(journal, b"-80.1", packet=7, again=True) == first


async def test_a_redelivery_is_recognised_though_the_broker_sent_far_more_than_may_be_in_flight(
    journal: Journal,
) -> None:
    """mosquitto forgets its limit at a reconnect: everything queued follows, and comes again after the next one."""
    packets = [f"{n}".encode() for n in range(1, 20_001)]
    done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    for number, data in enumerate(packets, 1):
        journal.keep(Keep("reader-1", "peer", 0, data, LAST, lambda _id: None, packet=number))
    journal.keep(Keep("reader-1", "peer", 0, b"last", LAST, done.set_result, packet=20_001))
    last = await done
    for number in (1, 2, 9_999, 20_000):
        assert await keep(journal, packets[number - 1], packet=number, again=True) < last
    assert await keep(journal, b"another", packet=5, again=True) > last


async def test_an_identifier_that_comes_round_again_is_another_packet(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redelivery, "WINDOW", 3)
    first = await keep(journal, b"-80.1", packet=7)
    for packet in (8, 9, 10):
        await keep(journal, b"-80.1", packet=packet)
    assert await keep(journal, b"-80.1", packet=7, again=True) > first


async def test_a_file_is_taken_once(journal: Journal) -> None:
    assert await keep(journal, b"a,b", key="run1.csv|3|99") == await keep(journal, b"a,b", key="run1.csv|3|99")


async def test_refused_bytes_are_kept_and_listed(journal: Journal) -> None:
    raw = await keep(journal, b"\x02bad", REFUSED, reason="checksum", detail="want 4C, got 4D")
    listed = await journal.read(lambda db: db.execute("SELECT raw, reason, detail FROM quarantine").fetchall())
    assert listed == [(raw, "checksum", "want 4C, got 4D")]


async def test_one_job_that_fails_does_not_undo_its_neighbours(journal: Journal) -> None:
    def wrong(_: object) -> None:
        raise ValueError("mine alone")

    results = await asyncio.gather(
        journal.write(lambda t: t.observe([row(1)])),
        journal.write(wrong),
        journal.write(lambda t: t.observe([row(2)])),
        return_exceptions=True,
    )
    assert results[0] == results[2] == 1
    assert isinstance(results[1], ValueError)
    assert journal.observations.at == 2


async def test_a_cursor_and_its_state_survive(tmp_path: Path) -> None:
    journal = await Journal.open(tmp_path)
    await journal.write(lambda t: t.advance("alarms", 41, {"freezer-warm": "unacknowledged"}))
    await journal.write(lambda t: t.advance("alarms", 42))
    await journal.close()
    journal = await Journal.open(tmp_path)
    cursor = await journal.cursor("alarms")
    await journal.close()
    assert cursor is not None
    assert (cursor.seq, cursor.state) == (42, {"freezer-warm": "unacknowledged"})


async def test_a_journal_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    await (await Journal.open(tmp_path)).close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("PRAGMA user_version=99")
    for _ in range(2):  # and the folder is not left locked
        with pytest.raises(SchemaError, match="newer assaygate"):
            await Journal.open(tmp_path)


@pytest.mark.parametrize("well", [True, False], ids=["after a clean stop", "after a kill"])
async def test_a_journal_that_is_gone_is_not_begun_anew(tmp_path: Path, well: bool) -> None:
    """What it had not delivered would wait unseen, and its numbers would be given a second time."""
    journal = await Journal.open(tmp_path)
    await keep(journal, b"first")
    await journal.close()
    if not well:
        (tmp_path / folder.RUNNING).touch()
    away = tmp_path / "elsewhere"
    journal.path.rename(away)
    with pytest.raises(JournalError, match="gone"):
        await Journal.open(tmp_path)
    assert not journal.path.exists()
    away.rename(journal.path)
    again = await Journal.open(tmp_path)
    assert await keep(again, b"second") > 1
    await again.close()


async def test_a_second_daemon_is_refused_and_the_first_named(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"in use by another assaygate \(process \d+\)"):
        await Journal.open(tmp_path)


async def test_pressure_rises_with_what_waits_and_is_relieved_by_the_commit(journal: Journal) -> None:
    relieved = asyncio.Event()
    for _ in range(12):
        journal.keep(Keep("reader-1", "", 1, bytes(1 << 20), LAST, lambda _id: None))
    assert journal.pressed
    journal.when_relieved(relieved.set)
    await relieved.wait()
    assert not journal.pressed


async def test_nothing_is_acknowledged_while_the_disk_refuses_and_all_is_when_it_returns(journal: Journal) -> None:
    blocker = sqlite3.connect(journal.path, isolation_level=None)
    await keep(journal, b"before")
    blocker.execute("BEGIN IMMEDIATE")
    done = asyncio.ensure_future(keep(journal, b"during"))
    await asyncio.sleep(0.3)
    assert not done.done()
    blocker.execute("ROLLBACK")
    blocker.close()
    await done


async def test_on_a_disk_nearly_full_only_our_own_records_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "RESERVE", 1 << 60)  # more than any disk has
    journal = await Journal.open(tmp_path)
    waiting = asyncio.ensure_future(keep(journal, b"a result"))
    await journal.write(lambda t: t.audit("alarm.raised", alarm="journal"))
    await journal.write(lambda _t: None)
    assert not waiting.done()
    assert "full" in journal.trouble
    monkeypatch.setattr(folder, "RESERVE", 1 << 20)
    await waiting
    await journal.write(lambda _t: None)
    assert journal.trouble == ""
    await journal.close()


async def test_the_audit_chain_shows_an_edit(journal: Journal) -> None:
    await journal.write(lambda t: t.audit("start", version="0.1.0"))
    await journal.write(lambda t: t.audit("alarm.acknowledged", by="op7"))
    assert await journal.read(audit.broken) == (2, None)
    with sqlite3.connect(journal.path.parent / FILE) as other:
        other.execute("UPDATE audit SET body=replace(body, 'op7', 'op8')")
    assert await journal.read(audit.broken) == (2, 2)


def test_a_daemon_whose_writer_fails_ends_and_says_so(tmp_path: Path) -> None:
    """It would listen, and never acknowledge again."""
    program = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom gateway.journal.store import Journal\n"
        "def fail(self, waiting): raise MemoryError\nJournal._gather = fail\n"
        "async def main():\n    await Journal.open(Path(sys.argv[1]))\n    await asyncio.Event().wait()\n"
        "asyncio.run(main())"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "writer failed" in done.stdout + done.stderr


@pytest.mark.parametrize("ended_well", [True, False])
async def test_a_large_journal_is_served_while_it_is_looked_at_and_damage_stops_acknowledging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended_well: bool
) -> None:
    journal = await Journal.open(tmp_path)
    for _ in range(300):
        last = await keep(journal, os.urandom(3000))
    await journal.write(lambda t: t.advance(DECODE, last, {"broken": [], "begun": []}))
    await journal.close()
    with (tmp_path / FILE).open("r+b") as file:
        for page in range(40, 140):
            file.seek(page * 4096)
            file.write(b"\xff" * 100)
    if not ended_well:
        (tmp_path / folder.RUNNING).touch()
        with pytest.raises(JournalError, match="is damaged"):
            await Journal.open(tmp_path)
    monkeypatch.setattr(opening, "AT_ONCE", 0)
    journal = await Journal.open(tmp_path)
    try:
        async with asyncio.timeout(20):
            while not journal.trouble:
                await asyncio.sleep(0.01)
        assert "salvage" in journal.trouble
        acknowledged: list[int] = []
        journal.keep(Keep("reader-1", "peer", 0, b"late", LAST, acknowledged.append))
        await asyncio.sleep(0.5)
        assert not acknowledged
    finally:
        await journal.close()
