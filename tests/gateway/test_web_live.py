"""The page's live connection: a snapshot, then every change once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from gateway.web import live
from tests.gateway.served import Served, served


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        yield one


def page(web: Served) -> Any:
    return connect(web.url.replace("http", "ws") + "/api/v1/live", max_size=None)


async def next_of(socket: ClientConnection, kind: str) -> Any:
    import orjson

    async with asyncio.timeout(10):
        while True:
            message = orjson.loads(await socket.recv())
            if message["type"] == kind:
                return message


async def test_the_snapshot_has_all_a_page_shows(web: Served) -> None:
    await web.observe(*({"value": float(n), "_ago": 100.0 - n} for n in range(70)))
    await web.observe(
        {"device": "reader-1", "kind": "result", "quantity": "hcg", "value": None, "interpretation": "positive"}
    )
    async with page(web) as socket:
        snapshot = await next_of(socket, "snapshot")
    assert snapshot["seq"] == 71
    assert snapshot["site"] == "test-lab"
    assert [device["id"] for device in snapshot["devices"]] == ["freezer-1", "reader-1", "quiet-1"]
    assert {(v["device"], v["quantity"], v["value"]) for v in snapshot["values"]} == {
        ("freezer-1", "temperature", 69.0),
        ("reader-1", "hcg", None),
    }
    spark = snapshot["sparks"]["freezer-1"]["temperature"]
    assert [value for _, value in spark] == [float(n) for n in range(10, 70)]
    assert [result["quantity"] for result in snapshot["results"]] == ["hcg"]


async def test_deltas_go_on_where_the_snapshot_ends_without_gap_or_repeat(web: Served) -> None:
    await web.observe({"value": 0.0})
    async with page(web) as socket:
        seen = [(await next_of(socket, "snapshot"))["seq"]]
        for n in range(30):
            await web.observe({"value": float(n)})
        while seen[-1] < 31:
            delta = await next_of(socket, "delta")
            seen += [item["seq"] for item in delta["items"] if item["seq"] > seen[0]]
    assert seen == list(range(1, 32))


async def test_alarms_and_signs_of_life_reach_the_page(web: Served) -> None:
    async with page(web) as socket:
        await next_of(socket, "snapshot")
        await web.observe({"value": -40.0})
        alarms: list[Any] = []
        while not alarms:
            alarms = (await next_of(socket, "alarms"))["items"]
        assert alarms[0]["device"] == "freezer-1"
        assert (await next_of(socket, "beat"))["now"] > 1e9


async def test_a_page_that_does_not_read_is_given_a_fresh_snapshot_instead_of_a_backlog(web: Served) -> None:
    hub = live.Hub(web_views(web))
    stream = hub.messages()
    assert b'"type":"snapshot"' in await anext(stream)
    for number in range(1000):
        hub._offer(b'{"type":"delta","seq":%d,"items":[]}' % number)
    (waiting,) = hub._pages
    assert waiting.queue.qsize() == live.MOST_WAITING
    assert b'"type":"snapshot"' in await anext(stream)
    assert waiting.queue.empty()
    await stream.aclose()  # type: ignore[attr-defined]
    assert not hub._pages


async def test_a_flood_becomes_snapshots(web: Served) -> None:
    async with page(web) as socket:
        await next_of(socket, "snapshot")
        await web.observe(*({"value": float(n)} for n in range(3000)))
        assert (await next_of(socket, "snapshot"))["seq"] == 3000


async def test_what_a_page_sends_is_ignored(web: Served) -> None:
    async with page(web) as socket:
        await next_of(socket, "snapshot")
        await socket.send("hello")
        await socket.send(b"\xff\x00")
        await web.observe({"value": 1.0})
        assert (await next_of(socket, "delta"))["items"]


async def test_too_long_a_message_ends_only_its_own_connection(web: Served) -> None:
    async with page(web) as loud, page(web) as other:
        await next_of(loud, "snapshot")
        await next_of(other, "snapshot")
        with pytest.raises(websockets.ConnectionClosed):
            await loud.send("x" * 100_000)
            while True:
                await loud.recv()
        await web.observe({"value": 1.0})
        assert (await next_of(other, "delta"))["items"]


def web_views(web: Served) -> Any:
    from gateway.views import AppViews

    return AppViews(web.app)  # type: ignore[arg-type]
