"""Raw messages into observations: once each, broken-off ones after their repetition, what is not read in quarantine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway import decode
from gateway.config import parse
from gateway.decode import Decoder, Failure, read
from gateway.journal.schema import BROKEN, LAST, PART
from gateway.journal.store import Journal
from gateway.journal.transaction import Keep, RawMessage, Thread
from gateway.readings import reading, readings
from tests.system.peers import frames

CONFIG = parse(
    '[[devices]]\nid = "a"\ndriver = "astm"\nlink = { type = "tcp-listen", port = 5001 }\n'
    '[[devices]]\nid = "f"\ndriver = "mqtt-json"\nlink = { type = "file", path = "/tmp" }\n'
    'readings = [ { quantity = "temperature", path = "$.temp", unit = "Cel" } ]\n'
)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = await Journal.open(tmp_path)
    yield opened
    await opened.close()


@asynccontextmanager
async def decoding(journal: Journal) -> AsyncIterator[None]:
    task = asyncio.create_task(Decoder(journal, readings(CONFIG).get).run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def keep(journal: Journal, device: str, *parts: bytes, state: int = LAST) -> None:
    thread = Thread() if len(parts) > 1 else None
    for part in parts[:-1]:
        journal.keep(Keep(device, "", 1_780_000_000_000_000_000, part, PART, lambda _id: None, thread))
    journal.keep(Keep(device, "", 1_780_000_000_000_000_000, parts[-1], state, lambda _id: None, thread))


async def until_decoded(journal: Journal) -> list[dict[str, Any]]:
    await journal.write(lambda _t: None)
    async with asyncio.timeout(10):
        while not (cursor := await journal.cursor("decode")) or cursor.seq < journal.raws.at:
            await asyncio.sleep(0.02)
    return [orjson.loads(body) for _, body in await journal.rows(0, 100)]


async def test_a_message_sent_again_makes_no_second_observation(journal: Journal) -> None:
    async with decoding(journal):
        keep(journal, "a", *frames("S1", "12.4"))
        keep(journal, "a", *frames("S1", "12.4"))
        (row,) = await until_decoded(journal)
    assert (row["specimen"], row["value"], row["unit"]) == ("S1", 12.4, "mg/L")


async def test_two_readings_that_look_alike_are_two(journal: Journal) -> None:
    async with decoding(journal):
        keep(journal, "f", b'{"temp": -80.1}')
        keep(journal, "f", b'{"temp": -80.1}')
        assert len(await until_decoded(journal)) == 2


async def test_a_broken_off_message_adds_nothing_to_its_repetition(journal: Journal) -> None:
    whole = frames("S1", "12.4")
    async with decoding(journal):
        keep(journal, "a", *whole[:4], b"", state=BROKEN)
        keep(journal, "a", *whole)
        (row,) = await until_decoded(journal)
    assert row["quality"] == "good"
    assert await journal.read(lambda db: db.execute("SELECT count(*) FROM quarantine").fetchone()) == (0,)


async def test_what_was_acknowledged_and_never_came_again_is_decoded_and_listed(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "PATIENCE", 0.2)
    async with decoding(journal):
        keep(journal, "a", *frames("S1", "12.4")[:4], b"", state=BROKEN)
        async with asyncio.timeout(10):
            await journal.observations.beyond(0)
        ((_, body),) = await journal.rows(0, 10)
    row = orjson.loads(body)
    listed = await journal.read(lambda db: db.execute("SELECT reason FROM quarantine").fetchall())
    assert (row["specimen"], row["value"], listed) == ("S1", 12.4, [("incomplete",)])


async def test_a_clock_put_back_does_not_hold_a_broken_off_message(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was to wait until a moment by a clock that was a year ahead."""
    monkeypatch.setattr(decode, "PATIENCE", 3600.0 * 24 * 365)
    async with decoding(journal):
        keep(journal, "a", *frames("S1", "12.4")[:4], b"", state=BROKEN)
        assert await until_decoded(journal) == []
    monkeypatch.setattr(decode, "PATIENCE", 0.2)
    async with decoding(journal):
        keep(journal, "f", b'{"temp": -80.1}')
        async with asyncio.timeout(10):
            await journal.observations.beyond(1)


async def test_a_message_under_way_is_closed_after_a_restart_even_where_the_decoder_had_passed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "PATIENCE", 0.2)
    journal = await Journal.open(tmp_path)
    thread = Thread()
    async with decoding(journal):
        for part in frames("S1", "12.4")[:4]:
            journal.keep(Keep("a", "", 1_780_000_000_000_000_000, part, PART, lambda _id: None, thread))
        keep(journal, "f", b'{"temp": -80.1}')
        assert len(await until_decoded(journal)) == 1
    await journal.close()

    journal = await Journal.open(tmp_path)
    async with decoding(journal), asyncio.timeout(10):
        await journal.observations.beyond(1)
    rows = [orjson.loads(body) for _, body in await journal.rows(0, 10)]
    await journal.close()
    assert [row.get("specimen") for row in rows] == [None, "S1"]
    journal = await Journal.open(tmp_path)
    (count,) = await journal.read(lambda db: db.execute("SELECT count(*) FROM raw").fetchone())
    await journal.close()
    assert count == 6, "closed once"


async def test_what_cannot_be_read_is_in_quarantine_with_its_reason(journal: Journal) -> None:
    async with decoding(journal):
        keep(journal, "a", b"\x021no header here\r\x0300\r\n")
        keep(journal, "nobody", b"hello")
        keep(journal, "f", b"[" * 100_000)
        assert await until_decoded(journal) == []
    reasons = await journal.read(lambda db: db.execute("SELECT device, reason FROM quarantine ORDER BY id").fetchall())
    assert reasons == [("a", "unreadable"), ("nobody", "unclaimed"), ("f", "unreadable")]


def test_a_recognised_senders_dialect_presets_the_device_as_a_declared_variant_does() -> None:
    """Alinity m writes thousands with a comma: 1,234 copies are no text of two numbers."""
    known = '[[devices]]\nid = "m"\ndriver = "hl7"\nlink = { type = "tcp-listen", port = 5001 }\n'
    message = (
        "MSH|^~\\&|Alinity m|Abbott|||20260115093000||OUL^R22|1|P|2.5.1\rSPM|1|||BLD\rSAC|||S1\r"
        "OBR|1|||HIV\rOBX|1|NM|HIV^HIV||1,234|copies/mL|||||F|||20260115093000\r"
    )
    for extra, value in (
        ("", 1234),
        ('variant = "alinity-m"\n', 1234),
        ('clock_limit = "4h"\n', 1234),
        ('decimal = ","\n', 1.234),
    ):
        device = reading(parse(known + extra).devices[0])
        rows = read(RawMessage(1, "m", "", 1_768_469_400_000_000_000, message.encode(), LAST, False), device)
        assert not isinstance(rows, Failure)
        (row,) = [orjson.loads(one.body) for one in rows]
        assert row["value"] == value, extra
