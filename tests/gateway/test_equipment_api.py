"""Reports over HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.equipment.make import make
from gateway.web import api_reports
from tests.gateway.served import Served, served

HERE = "/api/v1/reports/freezer-1"


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        await one.observe(*({"value": -80.0 if n != 30 else -50.0, "_ago": (90 - n) * 60.0} for n in range(90)))
        yield one


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def got(client: aiohttp.ClientSession, web: Served, query: str, status: int = 200) -> tuple[bytes, Any]:
    async with client.get(web.url + query) as answer:
        body = await answer.read()
        assert answer.status == status, body
        return body, answer.headers


@pytest.mark.parametrize(
    ("form", "kind", "begins"),
    [
        ("html", "text/html; charset=utf-8", b"<!doctype html>"),
        ("csv", "text/csv; charset=utf-8", b"\xef\xbb\xbfverdict"),
        ("pdf", "application/pdf", b"%PDF-"),
        ("json", "application/json", b"{"),
    ],
)
async def test_every_form_is_answered_and_is_to_be_kept(
    web: Served, client: aiohttp.ClientSession, form: str, kind: str, begins: bytes
) -> None:
    body, headers = await got(client, web, f"{HERE}?since=2h&format={form}")
    assert body.startswith(begins)
    assert headers["content-type"] == kind
    assert headers["cache-control"] == "no-store"
    wanted = "inline" if form == "json" else f'attachment; filename="freezer-1-temperature.{form}"'
    assert headers["content-disposition"] == wanted


async def test_what_is_asked_for_is_what_is_reported(web: Served, client: aiohttp.ClientSession) -> None:
    async with client.get(web.url + f"{HERE}?since=2h&timezone=Asia/Karachi&low=-90&high=-85&gap=10m") as answer:
        report = (await answer.json())["report"]
    assert (report["low"], report["high"], report["gap"], report["timezone"]) == (-90, -85, 600, "Asia/Karachi")
    async with client.get(web.url + f"{HERE}?since=2h") as answer:
        report = (await answer.json())["report"]
    assert [one["extreme"] for one in report["excursions"]] == [-50.0]
    assert report["limits_from"][0]["alarm"] == "freezer-warm"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("/api/v1/reports/freezer-9", 404),
        (f"{HERE}?quantity=humidity", 404),
        (f"{HERE}?format=docx", 400),
        (f"{HERE}?low=cold", 400),
        (f"{HERE}?high=nan", 400),
        (f"{HERE}?since=yesterday", 400),
        (f"{HERE}?since=1h&until=2h", 400),
        (f"{HERE}?timezone=../../etc/localtime", 400),
        (f"{HERE}?gap=-1s", 400),
        (f"{HERE}?limit=5", 400),
        ("/api/v1/reports/..%2f..%2fetc", 404),
    ],
)
async def test_wrong_questions_are_told_what_is_wrong(
    web: Served, client: aiohttp.ClientSession, query: str, status: int
) -> None:
    async with client.get(web.url + query) as answer:
        assert answer.status == status
        assert set(await answer.json()) == {"error", "remedy"}


async def test_too_long_a_report_is_left_to_the_command(
    web: Served, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_reports, "MOST", 50)
    body, _ = await got(client, web, f"{HERE}?since=2h", 413)
    assert b"assaygate report" in body


async def test_one_report_at_a_time_and_the_rest_goes_on(
    web: Served, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def waiting(*given: Any, **more: Any) -> Any:
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(60)
        return make(*given, **more)

    monkeypatch.setattr(api_reports, "make", waiting)
    first = asyncio.create_task(got(client, web, f"{HERE}?since=2h"))
    try:
        await asyncio.wait_for(begun.wait(), 60)
        await got(client, web, f"{HERE}?since=2h", 503)
        await got(client, web, "/api/v1/observations?limit=1")
    finally:
        go_on.set()
    assert (await first)[0].startswith(b"{")
    await got(client, web, f"{HERE}?since=2h")
