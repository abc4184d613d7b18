"""The HTTP API as programs meet it: what it answers, and what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from starlette.routing import Route, WebSocketRoute

from gateway.views import AppViews
from gateway.web.api import build
from gateway.web.live import Hub
from gateway.web.openapi import ENDPOINTS
from gateway.web.options import HttpOptions
from tests.gateway.served import Served, served, until


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        yield one


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def got(client: aiohttp.ClientSession, web: Served, path: str, status: int = 200) -> Any:
    async with client.get(web.url + path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def posted(client: aiohttp.ClientSession, web: Served, path: str, body: Any, status: int = 200) -> Any:
    async with client.post(web.url + path, json=body) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def test_observations_come_newest_last_and_after_goes_on_from_there(
    web: Served, client: aiohttp.ClientSession
) -> None:
    await web.observe(*({"value": float(n)} for n in range(10)))
    newest = await got(client, web, "/api/v1/observations?limit=3")
    assert [item["value"] for item in newest["items"]] == [7.0, 8.0, 9.0]
    assert newest["next"] == newest["items"][-1]["seq"] == 10
    page = await got(client, web, "/api/v1/observations?after=2&limit=3")
    assert [item["seq"] for item in page["items"]] == [3, 4, 5]
    assert page["next"] == 5
    assert await got(client, web, "/api/v1/observations?after=10") == {"items": [], "next": 10}


async def test_observations_are_chosen_by_every_parameter(web: Served, client: aiohttp.ClientSession) -> None:
    await web.observe(
        {"_ago": 7200.0},
        {"device": "reader-1", "kind": "result", "quantity": "sars-cov-2-ag", "value": None, "specimen": "S-1"},
        {"device": "reader-1", "kind": "qc", "quantity": "sars-cov-2-ag", "value": None, "specimen": "QC"},
    )
    for query, seqs in (
        ("device=freezer-*", [1]),
        ("device=reader-1", [2, 3]),
        ("quantity=sars*", [2, 3]),
        ("kind=qc", [3]),
        ("specimen=S-1", [2]),
        ("since=1h", [2, 3]),
        ("until=1h", [1]),
        ("device=absent", []),
    ):
        answer = await got(client, web, f"/api/v1/observations?{query}")
        assert [item["seq"] for item in answer["items"]] == seqs, query


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/observations?after=x", 400),
        ("/api/v1/observations?limit=-1", 400),
        ("/api/v1/observations?since=yesterday", 400),
        ("/api/v1/observations?since=99999999999999d", 400),
        ("/api/v1/observations?device=*a*a*a*a*a*b", 422),
        ("/api/v1/series?device=freezer-1", 400),
        ("/api/v1/series?device=a&quantity=b&since=1h&until=2h", 400),
        ("/api/v1/raw/999", 404),
        ("/api/v1/raw/x", 404),
        ("/api/v1/stream?after=x", 400),
        ("/api/v1/nothing", 404),
        ("/api/v1/alarms/a/acknowledge", 405),
        ("/static/../api.py", 404),
    ],
)
async def test_what_is_asked_wrongly_is_refused_with_a_remedy(
    web: Served, client: aiohttp.ClientSession, path: str, status: int
) -> None:
    answer = await got(client, web, path, status)
    assert answer["error"]
    assert answer["remedy"]


async def test_a_limit_is_capped(web: Served, client: aiohttp.ClientSession) -> None:
    await web.observe(*({"value": float(n)} for n in range(5005)))
    answer = await got(client, web, "/api/v1/observations?limit=100000")
    assert len(answer["items"]) == 5000


async def test_series_has_range_mean_and_count_of_each_bucket_and_no_bucket_for_a_gap(
    web: Served, client: aiohttp.ClientSession
) -> None:
    await web.observe(*({"value": -80.0 + n % 2, "_ago": 1000.0 + n} for n in range(100)))
    await web.observe(*({"value": -60.0, "_ago": 10.0 + n} for n in range(5)))
    answer = await got(client, web, "/api/v1/series?device=freezer-1&quantity=temperature&since=1200s&points=12")
    assert answer["unit"] == "Cel"
    points = answer["points"]
    assert sum(point[4] for point in points) == 105
    assert len(points) < 12
    assert min(point[1] for point in points) == -80.0
    latest = [point for point in points if point[1] == -60.0]  # two, where a bucket ends among them
    assert sum(point[4] for point in latest) == 5
    assert all(point[1:4] == [-60.0, -60.0, -60.0] for point in latest)
    assert all(low <= mean <= high for _, low, mean, high, _ in points)
    assert [point[0] for point in points] == sorted(point[0] for point in points)


async def test_devices_name_their_link_and_limits(web: Served, client: aiohttp.ClientSession) -> None:
    items = (await got(client, web, "/api/v1/devices"))["items"]
    assert [item["id"] for item in items] == ["freezer-1", "reader-1", "quiet-1"]
    assert items[0]["label"] == "-80 freezer 1"
    assert items[0]["limits"] == [{"quantity": "temperature", "above": -70.0, "below": None, "alarm": "freezer-warm"}]
    assert items[2]["state"] == "waiting"


async def test_an_alarm_is_acknowledged_shelved_and_unshelved_by_name(
    web: Served, client: aiohttp.ClientSession
) -> None:
    await web.observe({"value": -50.0})

    async def raised() -> Any:
        return (await got(client, web, "/api/v1/alarms"))["items"]

    (alarm,) = await until(raised)
    path = f"/api/v1/alarms/{alarm['id']}"
    assert (alarm["id"], alarm["state"]) == ("freezer-warm.freezer-1.temperature", "unacknowledged")
    await posted(client, web, path + "/acknowledge", {}, 422)
    await posted(client, web, path + "/acknowledge", {"by": "Ayesha", "surprise": 1}, 422)
    await posted(client, web, "/api/v1/alarms/absent/acknowledge", {"by": "Ayesha"}, 404)
    (seen,) = (await posted(client, web, path + "/acknowledge", {"by": "Ayesha", "comment": "door"}))["items"]
    assert (seen["state"], seen["acknowledged_by"], seen["comment"]) == ("acknowledged", "Ayesha", "door")
    refusal = await posted(client, web, path + "/acknowledge", {"by": "Ayesha"}, 409)
    assert "nothing to acknowledge" in refusal["error"]
    await posted(client, web, path + "/shelve", {"by": "Ayesha", "minutes": 1e9, "reason": "x"}, 422)
    (put,) = (await posted(client, web, path + "/shelve", {"by": "Ayesha", "minutes": 5, "reason": "defrost"}))["items"]
    assert (put["state"], put["shelve_reason"]) == ("shelved", "defrost")
    (back,) = (await posted(client, web, path + "/unshelve", {"by": "Ayesha"}))["items"]
    assert back["state"] == "unacknowledged"


async def test_the_story_of_a_message_has_its_bytes_and_what_was_made_of_it(
    web: Served, client: aiohttp.ClientSession
) -> None:
    raw = await web.observe({"value": 1.0}, {"quantity": "humidity"}, data=b"\x02R|1\xff\x03")
    answer = await got(client, web, f"/api/v1/raw/{raw}")
    assert bytes.fromhex(answer["hex"]) == b"\x02R|1\xff\x03"
    assert (answer["device"], answer["channel"], answer["state"]) == ("freezer-1", "bench", "whole")
    assert answer["observations"] == [1, 2]
    assert "STX" in answer["text"]


async def test_quarantine_lists_what_waits_and_can_be_tried_again(web: Served, client: aiohttp.ClientSession) -> None:
    raw = await web.quarantine("reader-1", b"\xde\xad", "no such field")
    await web.quarantine("reader-1", b"\xbe\xef", "no such field")
    answer = await got(client, web, "/api/v1/quarantine?limit=1")
    assert answer["total"] == 2
    assert [item["id"] for item in answer["items"]] == [2]
    assert await posted(client, web, "/api/v1/quarantine/1/retry", {}) == {"understood": False}
    await posted(client, web, "/api/v1/quarantine/77/retry", {}, 404)
    why = (await got(client, web, f"/api/v1/raw/{raw}"))["quarantine"]
    assert why == {"reason": "undecodable", "detail": "no such field"}


async def test_health_readiness_and_metrics(web: Served, client: aiohttp.ClientSession) -> None:
    assert await got(client, web, "/healthz") == {"alive": True}
    assert [one["part"] for one in (await got(client, web, "/readyz", 503))["failing"]] == ["device:quiet-1"]
    web.app.sessions.pop("quiet-1")
    assert (await got(client, web, "/readyz"))["ready"] is True
    web.app.supervisor.parts["decode"].running = False
    assert (await got(client, web, "/readyz", 503))["failing"][0]["part"] == "decode"
    await web.observe({"value": -80.0})
    async with client.get(web.url + "/metrics") as answer:
        lines = (await answer.text()).splitlines()
    assert "assaygate_journal_seq 1.0" in lines
    assert 'assaygate_device_up{device="freezer-1"} 1.0' in lines
    assert "assaygate_quarantined 0.0" in lines
    assert "assaygate_disk_free_bytes 5e+09" in lines


async def events(answer: aiohttp.ClientResponse, count: int) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    seq = 0
    while len(found) < count:
        line = (await answer.content.readline()).decode().rstrip()
        if line.startswith("id: "):
            seq = int(line[4:])
        elif line.startswith("data: "):
            found.append((seq, orjson.loads(line[6:])))
    return found


async def test_the_stream_resumes_from_the_last_event_and_goes_on_live(
    web: Served, client: aiohttp.ClientSession
) -> None:
    await web.observe(*({"value": float(n)} for n in range(1200)))
    async with asyncio.timeout(20), client.get(web.url + "/api/v1/stream", headers={"Last-Event-ID": "3"}) as answer:
        assert answer.content_type == "text/event-stream"
        old = await events(answer, 1197)
        assert [seq for seq, _ in old] == list(range(4, 1201))
        assert all(seq == data["seq"] for seq, data in old)
        await web.observe({"value": 7.5})
        assert [(seq, data["value"]) for seq, data in await events(answer, 1)] == [(1201, 7.5)]


async def test_open_streams_do_not_hold_up_a_stop(web: Served, client: aiohttp.ClientSession) -> None:
    async with (
        client.get(web.url + "/api/v1/stream") as stream,
        client.ws_connect(web.url.replace("http", "ws") + "/api/v1/live") as live,
    ):
        await stream.content.readline()
        await live.receive()
        async with asyncio.timeout(3):
            await web.stop()
            while (await live.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
            await stream.content.read()


async def test_lists_answer_what_the_openapi_document_says(web: Served, client: aiohttp.ClientSession) -> None:
    await web.observe({"value": -60.0})
    document = await got(client, web, "/api/openapi.json")
    for path in ("devices", "observations", "alarms"):
        schema = document["paths"][f"/api/v1/{path}"]["get"]["responses"]["200"]["content"]["application/json"][
            "schema"
        ]
        name = schema["properties"]["items"]["items"]["$ref"].rsplit("/", 1)[1]
        async with asyncio.timeout(10):
            while not (items := (await got(client, web, f"/api/v1/{path}"))["items"]):
                await asyncio.sleep(0.02)
        assert items[0].keys() == document["components"]["schemas"][name]["properties"].keys()


async def test_every_route_is_in_the_openapi_document(web: Served, client: aiohttp.ClientSession) -> None:
    document = await got(client, web, "/api/openapi.json")
    described = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert described == {(one.path, one.method) for one in ENDPOINTS}
    views = AppViews(web.app)  # type: ignore[arg-type]
    app: Any = build(views, Hub(views), HttpOptions())
    served_here: set[tuple[str, str]] = set()
    for route in app._app.routes:
        if isinstance(route, WebSocketRoute):
            served_here.add((route.path, "GET"))
        elif isinstance(route, Route):
            served_here |= {(route.path, method) for method in route.methods or () if method != "HEAD"}
    assert served_here - described == {("/", "GET"), ("/login", "GET"), ("/login", "POST")}
    assert described <= served_here
