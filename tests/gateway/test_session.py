"""The one place that acknowledges: never before the bytes are on the disk."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.kit.astm import Transfer
from drivers.kit.exchange import Received, Send
from gateway.journal.schema import BROKEN
from gateway.journal.store import Journal
from gateway.links.link import Chunk
from gateway.session import Session

ENQ, ACK, EOT = b"\x05", b"\x06", b"\x04"


def frame(number: int, text: str) -> bytes:
    body = f"{number}{text}\r\x03".encode()
    return b"\x02" + body + f"{sum(body) % 256:02X}\r\n".encode()


class Wire:
    """The instrument's end of a port: collects what the gateway writes."""

    peer = "10.20.0.7:50112"

    def __init__(self) -> None:
        self.written = b""
        self.channels: list[str] = []
        self.paused = self.closed = False
        self._wrote = asyncio.Event()

    def write(self, data: bytes, channel: str = "") -> None:
        self.written += data
        self.channels.append(channel)
        self._wrote.set()

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def close(self) -> None:
        self.closed = True

    async def until(self, count: int) -> bytes:
        async with asyncio.timeout(5):
            while len(self.written) < count:
                self._wrote.clear()
                await self._wrote.wait()
        return self.written


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = await Journal.open(tmp_path)
    yield opened
    await opened.close()


def nothing() -> None:
    pass


async def test_no_acknowledgement_while_the_disk_has_not_taken_the_frame(journal: Journal) -> None:
    session, wire = Session("analyser-1", Transfer, journal), Wire()
    session.opened(wire)
    session.received(wire, Chunk(ENQ), nothing)
    assert await wire.until(1) == ACK
    disk = sqlite3.connect(journal.path, isolation_level=None)
    disk.execute("BEGIN IMMEDIATE")
    session.received(wire, Chunk(frame(1, "H|\\^&")), nothing)
    await asyncio.sleep(0.2)
    assert wire.written == ACK
    disk.execute("ROLLBACK")
    assert await wire.until(2) == ACK + ACK
    assert disk.execute("SELECT count(*) FROM raw").fetchone() == (1,)
    disk.close()
    session.closed(wire, "test over")


async def test_a_repeat_of_a_frame_still_on_its_way_to_the_disk_waits_behind_it(journal: Journal) -> None:
    session, wire = Session("analyser-1", Transfer, journal), Wire()
    session.opened(wire)
    session.received(wire, Chunk(ENQ), nothing)
    await wire.until(1)
    disk = sqlite3.connect(journal.path, isolation_level=None)
    disk.execute("BEGIN IMMEDIATE")
    session.received(wire, Chunk(frame(1, "H|\\^&")), nothing)
    session.received(wire, Chunk(frame(1, "H|\\^&")), nothing)
    await asyncio.sleep(0.2)
    assert wire.written == ACK
    disk.execute("ROLLBACK")
    assert await wire.until(2) == ACK + ACK
    assert disk.execute("SELECT count(*) FROM raw").fetchone() == (1,)
    disk.close()
    session.closed(wire, "test over")


async def test_a_message_cut_by_a_lost_link_is_kept_as_broken(journal: Journal) -> None:
    session, wire = Session("analyser-1", Transfer, journal), Wire()
    session.opened(wire)
    session.received(wire, Chunk(ENQ + frame(1, "H|\\^&")), nothing)
    await wire.until(2)
    session.closed(wire, "unplugged")
    await journal.write(lambda _t: None)
    message = await journal.message(1)
    assert message is not None
    assert (message.data, message.state) == (frame(1, "H|\\^&"), BROKEN)


async def test_a_link_is_told_done_only_after_the_commit(journal: Journal) -> None:
    class Whole:
        deadline = None

        def receive(self, data: bytes, now: float) -> list[Received]:
            return [Received(data)]

    session, wire = Session("freezer-1", Whole, journal), Wire()  # type: ignore[arg-type]
    session.opened(wire)
    done = asyncio.Event()
    session.received(wire, Chunk(b"-80.1", "lab/freezer-1", whole=True, packet=3), done.set)
    assert not done.is_set()
    await done.wait()
    message = await journal.message(1)
    assert message is not None
    assert (message.data, message.channel) == (b"-80.1", "lab/freezer-1")


async def test_an_exchange_that_fails_ends_its_own_conversation_and_loses_no_byte(journal: Journal) -> None:
    class Defective:
        deadline = None

        def receive(self, data: bytes, now: float) -> list[Send]:
            raise RuntimeError("a defect")

        def close(self) -> list[Send]:
            return []

    session, wire = Session("reader-1", Defective, journal), Wire()  # type: ignore[arg-type]
    session.opened(wire)
    session.received(wire, Chunk(b"precious"), nothing)
    assert wire.closed
    await journal.write(lambda _t: None)
    listed = await journal.read(lambda db: db.execute("SELECT reason FROM quarantine").fetchall())
    message = await journal.message(1)
    assert listed == [("fault",)]
    assert message is not None
    assert message.data == b"precious"


async def test_pressure_pauses_the_instrument_and_its_relief_lets_it_go_on(journal: Journal) -> None:
    class Whole:
        deadline = None

        def receive(self, data: bytes, now: float) -> list[Received]:
            return [Received(data)]

    session, wire = Session("freezer-1", Whole, journal), Wire()  # type: ignore[arg-type]
    session.opened(wire)
    for _ in range(10):
        session.received(wire, Chunk(bytes(1 << 20)), nothing)
    assert wire.paused
    while wire.paused:
        await journal.write(lambda _t: None)


async def test_an_exchange_that_asks_for_the_topic_is_told_it_and_what_it_sends_goes_where_it_says(
    journal: Journal,
) -> None:
    class Asking:
        deadline = None

        def receive_from(self, channel: str, data: bytes, now: float) -> list[Received | Send]:
            return [Received(data, channel=f"{channel}#read"), Send(b"more?", channel=f"{channel}/ask")]

        def close(self) -> list[Send]:
            return []

    session, wire = Session("node-1", Asking, journal), Wire()  # type: ignore[arg-type]
    session.opened(wire)
    tapped: list[tuple[str, str, bytes]] = []
    session.taps.append(lambda *piece: tapped.append(piece))
    session.received(wire, Chunk(b"-80.1", "lab/node", whole=True), nothing)
    assert await wire.until(5) == b"more?"
    message = await journal.message(1)
    assert message is not None
    assert (message.channel, wire.channels) == ("lab/node#read", ["lab/node/ask"])
    assert tapped == [("in", "lab/node", b"-80.1"), ("out", "lab/node/ask", b"more?")]
    session.closed(wire, "test over")
