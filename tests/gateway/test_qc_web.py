"""Quality control as programs and the page meet it over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import aiohttp
import pytest

from gateway.qc.stage import Stage
from tests.gateway.served import CONFIG, Served, served
from tests.gateway.test_qc_stage import SECRET, Bench
from tests.gateway.test_web_api import got, posted

QC = """
[[controls]]
id = "glu"
device = "reader-1"
quantity = "glucose"
specimen = "QC*"
target = 4.0
sd = 0.1
hold = true

[[critical_values]]
id = "glu-critical"
quantity = "glucose"
low = 2.5
"""


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, config=CONFIG + QC) as one:
        yield one


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def measured(web: Served, *values: tuple[str, float]) -> None:
    stage = Stage(web.app.config, SECRET)

    def keep(transaction: Any) -> None:
        bench = Bench(transaction.db, "")
        rows = [
            bench.row(value, specimen, minutes, device="reader-1") for minutes, (specimen, value) in enumerate(values)
        ]
        transaction.observe(stage.mark(transaction, rows))

    await web.journal.write(keep)


async def test_a_failed_control_is_seen_and_what_it_held_is_released(
    web: Served, client: aiohttp.ClientSession
) -> None:
    (none,) = (await got(client, web, "/api/v1/qc"))["items"]
    assert (none["verdict"], none["n"]) == (None, 0)
    await measured(web, ("QC", 4.05), ("QC", 4.5), ("P1", 1.9))
    (one,) = (await got(client, web, "/api/v1/qc"))["items"]
    assert (one["verdict"], one["trouble"], one["n"], one["mean"]) == ("rejected", "rejected", 1, 4.05)
    points = (await got(client, web, "/api/v1/qc/glu"))["items"]
    assert [(point["verdict"], point["rules"]) for point in points] == [
        ("accepted", []),
        ("rejected", ["1-2s", "1-3s"]),
    ]
    async with client.get(f"{web.url}/api/v1/qc/glu/chart.svg") as answer:
        assert answer.content_type == "image/svg+xml"
        assert ElementTree.fromstring(await answer.text()).tag.endswith("svg")
    waits = await got(client, web, "/api/v1/held")
    assert (waits["total"], waits["items"][0]["seq"]) == (1, 3)
    said = {"by": "A", "why": "new vial"}
    assert await posted(client, web, "/api/v1/held/release", {"seqs": [3], **said}) == {"released": [4]}
    assert (await got(client, web, "/api/v1/held"))["total"] == 0
    refused = await posted(client, web, "/api/v1/held/release", {"seqs": [3], **said}, 409)
    assert "corrected by 4" in refused["error"]


async def test_a_person_accepts_a_control_and_records_an_action(web: Served, client: aiohttp.ClientSession) -> None:
    await measured(web, ("QC", 4.5))
    said = {"by": "A", "why": "right after all"}
    stands = (await posted(client, web, "/api/v1/observations/1/review", {"decision": "accept", **said}))["stands"]
    (point,) = (await got(client, web, "/api/v1/qc/glu"))["items"]
    assert (point["seq"], point["verdict"], point["reviewed"]["by"]) == (stands, "accepted", "A")
    await posted(client, web, "/api/v1/qc/glu/action", said)
    (one,) = (await got(client, web, "/api/v1/qc"))["items"]
    assert (one["verdict"], one["last_action"] is None) == ("accepted", False)


async def test_a_critical_value_is_listed_until_it_was_read_back(web: Served, client: aiohttp.ClientSession) -> None:
    await measured(web, ("P1", 1.9))
    (one,) = (await got(client, web, "/api/v1/critical"))["items"]
    told = {"by": "A", "to": "Dr B", "read_back": True}
    await posted(client, web, f"/api/v1/observations/{one['seq']}/read-back", told)
    assert (await got(client, web, "/api/v1/critical"))["items"] == []


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/v1/qc/gluc/action", {"by": "A", "why": "b"}, 404),
        ("/api/v1/qc/glu/action", {"by": "A", "why": ""}, 422),
        ("/api/v1/held/release", {"seqs": [], "by": "A", "why": "b"}, 422),
        ("/api/v1/held/release", {"seqs": [9], "by": "A", "why": "b"}, 409),
        ("/api/v1/held/release", {"seqs": [2**70], "by": "A", "why": "b"}, 422),
        ("/api/v1/observations/x/review", {"decision": "accept", "by": "A", "why": "b"}, 404),
        ("/api/v1/observations/9/review", {"decision": "doubt", "by": "A", "why": "b"}, 422),
        ("/api/v1/observations/9/read-back", {"by": "A", "to": "B"}, 422),
    ],
)
async def test_what_is_asked_wrongly_is_refused(
    web: Served, client: aiohttp.ClientSession, path: str, body: dict[str, Any], status: int
) -> None:
    assert {"error", "remedy"} == set(await posted(client, web, path, body, status))


async def test_a_control_that_is_not_there_is_refused(web: Served, client: aiohttp.ClientSession) -> None:
    assert "glu" in (await got(client, web, "/api/v1/qc/gluc", 404))["error"]


async def test_lots_are_compared(web: Served, client: aiohttp.ClientSession) -> None:
    await measured(web, ("P1", 5.0), ("P2", 7.0))
    (one,) = (await got(client, web, "/api/v1/lots?quantity=glucose&since=2020-01-01"))["items"]
    assert (one["lot"], one["n"], one["mean"]) == (None, 2, 6.0)
    assert (await got(client, web, "/api/v1/lots?quantity=glucose&device=x*"))["items"] == []
    await got(client, web, "/api/v1/lots", 400)
