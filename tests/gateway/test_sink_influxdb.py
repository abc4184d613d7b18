"""The influxdb sink against a store that answers what it should not."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from aiohttp import web

from gateway.journal.store import Journal
from tests.gateway.sink_bench import Bench, drained, influx_sink, journal, running, until

__all__ = ["journal"]

Say = Callable[[list[str]], web.Response]


class Store:
    """A store on loopback: `say` answers a write's lines; what it answers 204 is kept."""

    def __init__(self) -> None:
        self.url = ""
        self.kept: list[str] = []
        self.requests: list[tuple[web.Request, list[str]]] = []
        self.say: Say = lambda _lines: web.Response(status=204)
        self.started: str | None = "process_start_time_seconds 1.7e9"
        self.runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/{path:.*}", self._write)
        app.router.add_get("/{path:.*}", self._metrics)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self.runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        if self.runner:
            await self.runner.cleanup()
            self.runner = None

    async def _write(self, request: web.Request) -> web.Response:
        body = await request.read()
        if body.startswith(b"\x1f\x8b"):
            body = gzip.decompress(body)
        lines = body.decode().splitlines()
        self.requests.append((request, lines))
        answer = self.say(lines)
        if answer.status == 204:
            self.kept += lines
        return answer

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(text=f"a 1\n{self.started}\nb 2\n") if self.started else web.Response(status=404)

    def seqs(self) -> list[int]:
        return [int(line.rsplit("seq=", 1)[1].split("i", 1)[0]) for line in self.kept]


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    made = Store()
    await made.start()
    yield made
    await made.stop()


def first(times: int, answer: Callable[[], web.Response]) -> Say:
    """Say that so many times, then 204."""
    left = [times]

    def say(_lines: list[str]) -> web.Response:
        left[0] -= 1
        return answer() if left[0] >= 0 else web.Response(status=204)

    return say


async def test_requests_are_what_influxdb_2_wants(journal: Journal, store: Store, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    more = {"org": "lab", "bucket": "instruments", "token": {"file": str(tmp_path / "token")}}
    async with running(influx_sink(journal, f"{store.url}/proxied/", **more)) as part:
        await Bench(journal).many(3)
        await until(drained(part))
    request, lines = store.requests[0]
    assert request.path == "/proxied/api/v2/write"
    assert dict(request.query) == {"org": "lab", "bucket": "instruments", "precision": "ns"}
    assert request.headers["Authorization"] == "Token s3cret"
    assert request.headers["Content-Encoding"] == "gzip"
    assert len(lines) == 3


async def test_requests_are_what_influxdb_1_wants(
    journal: Journal, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SINK_TEST_PASSWORD", "pass:word")
    more = {
        "version": "1",
        "database": "lab",
        "retention_policy": "year",
        "username": "gw",
        "password": {"env": "SINK_TEST_PASSWORD"},
        "gzip": False,
    }
    async with running(influx_sink(journal, store.url, **more)) as part:
        await Bench(journal).many(1)
        await until(drained(part))
    request, _ = store.requests[0]
    assert request.path == "/write"
    assert dict(request.query) == {"db": "lab", "rp": "year", "precision": "ns"}
    assert request.headers["Authorization"].startswith("Basic ")
    assert request.headers.get("Content-Encoding", "identity") == "identity"


@pytest.mark.parametrize("status", [200, 301, 401, 403, 404, 405, 429, 500, 502, 503])
async def test_nothing_is_lost_or_refused_while_the_store_cannot_take_points(
    journal: Journal, store: Store, status: int
) -> None:
    store.say = first(3, lambda: web.Response(status=status, text='{"code": "x", "message": "not  now"}'))
    async with running(influx_sink(journal, store.url)) as part:
        await Bench(journal).many(20)
        await until(lambda: part.state.last_error == f"{status} not now")
        assert not part.state.connected
        assert part.state.behind == 20
        await until(drained(part))
        assert part.state.connected
        assert part.state.last_error == ""
        assert part.state.refused == 0
    assert sorted(set(store.seqs())) == list(range(1, 21))


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_busy_store_is_left_alone_as_long_as_it_asks(journal: Journal, store: Store, form: str) -> None:
    times: list[float] = []
    loop = asyncio.get_running_loop()

    def say(_lines: list[str]) -> web.Response:
        times.append(loop.time())
        after = "1" if form == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        return web.Response(status=204 if len(times) > 1 else 429, headers={"Retry-After": after})

    store.say = say
    async with running(influx_sink(journal, store.url)) as part:
        await Bench(journal).many(1)
        await until(drained(part))
    assert times[1] - times[0] >= 0.9


async def test_a_body_too_large_is_halved_until_it_fits(journal: Journal, store: Store) -> None:
    store.say = lambda lines: web.Response(status=413 if len(lines) > 60 else 204)
    async with running(influx_sink(journal, store.url)) as part:
        await Bench(journal).many(1000)
        await until(drained(part))
        assert part.state.refused == 0
    assert store.seqs() == list(range(1, 1001))


@pytest.mark.parametrize("status", [400, 422])
async def test_bad_points_are_isolated(journal: Journal, store: Store, status: int) -> None:
    bad = {"seq=7i", "seq=8i", "seq=500i"}
    store.say = lambda lines: web.Response(
        status=status if any(word in line for line in lines for word in bad) else 204, text="no such thing"
    )
    async with running(influx_sink(journal, store.url)) as part:
        await Bench(journal).many(500)
        await until(drained(part))
        assert (part.state.refused, part.state.delivered) == (3, 497)
    assert sorted(store.seqs()) == [n for n in range(1, 501) if n not in {7, 8, 500}]
    assert await journal.read(lambda db: db.execute("SELECT seq, reason FROM refused ORDER BY seq").fetchall()) == [
        (7, f"{status} no such thing"),
        (8, f"{status} no such thing"),
        (500, f"{status} no such thing"),
    ]


async def test_a_store_that_refuses_everything_refuses_nothing_for_good(journal: Journal, store: Store) -> None:
    store.say = lambda _lines: web.Response(status=400, text="org mismatch")
    bench = Bench(journal)
    async with running(influx_sink(journal, store.url)) as part:
        await bench.many(8)
        await until(lambda: part.state.last_error)
        assert part.state.last_error == "the store refuses every point: 400 org mismatch"
        assert (part.state.refused, part.state.behind) == (0, 8)
        store.say = lambda _lines: web.Response(status=204)
        await until(drained(part))
        # One bad point alone: the store still takes one it took before, so it is the point.
        store.say = lambda lines: web.Response(status=400 if "seq=9i" in lines[0] else 204)
        await bench.many(1)
        await until(drained(part))
        assert part.state.refused == 1
        # And again everything.
        store.say = lambda _lines: web.Response(status=400, text="org mismatch")
        await bench.many(2)
        await until(lambda: part.state.last_error)
        assert (part.state.refused, part.state.behind) == (1, 2)


async def test_a_new_token_is_taken_without_a_restart(journal: Journal, store: Store, tmp_path: Path) -> None:
    token = tmp_path / "token"
    seen: list[str] = []

    def say(_lines: list[str]) -> web.Response:
        seen.append(store.requests[-1][0].headers["Authorization"])
        return web.Response(status=204 if seen[-1] == "Token new" else 401)

    store.say = say
    async with running(influx_sink(journal, store.url, token={"file": str(token)})) as part:
        await Bench(journal).many(5)
        await until(lambda: part.state.last_error)  # no such file
        assert not store.requests
        token.write_text("old")
        await until(lambda: "Token old" in seen)
        token.write_text("new")
        await until(drained(part))


async def test_a_store_restarted_between_two_batches_is_noticed(journal: Journal, store: Store) -> None:
    bench = Bench(journal)
    async with running(influx_sink(journal, store.url)) as part:
        await bench.many(30)
        await until(drained(part))
        await store.stop()
        store.kept.clear()  # it had acknowledged them, and then forgot
        store.started = "process_start_time_seconds 1.8e9"
        await store.start()
        await bench.many(1)
        await until(lambda: set(store.seqs()) == set(range(1, 32)))


async def test_a_store_that_does_not_say_when_it_started_is_doubted_after_a_broken_connection(
    journal: Journal, store: Store
) -> None:
    store.started = None
    bench = Bench(journal)
    async with running(influx_sink(journal, store.url)) as part:
        await bench.many(30)
        await until(drained(part))
        await bench.many(30)
        await until(drained(part))
        assert store.seqs() == list(range(1, 61))  # no doubt, nothing twice
        await store.stop()
        store.kept.clear()
        await store.start()
        await bench.many(1)
        await until(lambda: set(store.seqs()) == set(range(1, 62)))


async def test_a_busy_store_that_was_not_restarted_gets_nothing_twice(journal: Journal, store: Store) -> None:
    bench = Bench(journal)
    async with running(influx_sink(journal, store.url)) as part:
        await bench.many(30)
        await until(drained(part))
        store.say = first(3, lambda: web.Response(status=503))
        await bench.many(1)
        await until(drained(part))
    assert store.seqs() == list(range(1, 32))


async def test_an_endless_answer_does_not_fill_the_memory(journal: Journal) -> None:
    asked = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 Oh\r\nContent-Type: text/plain\r\n\r\n")
        try:
            while True:
                writer.write(os.urandom(1 << 16))
                await writer.drain()
        except ConnectionError:
            asked.set()
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(influx_sink(journal, f"http://127.0.0.1:{port}")) as part:
        await Bench(journal).many(1)
        await until(lambda: part.state.last_error)
        await asked.wait()  # we hung up
        assert len(part.state.last_error) < 400
    server.close()


async def test_an_answer_that_is_not_http_is_only_an_outage(journal: Journal) -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x05\x06\x15\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(influx_sink(journal, f"http://127.0.0.1:{port}")) as part:
        await Bench(journal).many(1)
        await until(lambda: part.state.last_error)
        assert part.state.behind == 1
    server.close()


async def test_only_what_is_selected_is_sent_and_the_cursor_passes_the_rest(journal: Journal, store: Store) -> None:
    bench = Bench(journal)
    await bench.add(
        bench.row(device="freezer-1", kind="reading", quantity="temperature"),
        bench.row(device="freezer-1", kind="event", quantity="temperature"),
        bench.row(device="cobas-1", kind="reading", quantity="temperature"),
        bench.row(device="freezer-2", kind="reading", quantity="humidity"),
        bench.row(device="freezer-22", kind="reading", quantity="temperature"),
        bench.row(device="cobas-1"),
    )
    select = {"kinds": ["reading"], "devices": ["freezer-*"], "quantities": ["temp*"]}
    async with running(influx_sink(journal, store.url, select=select)) as part:
        await until(drained(part))
        assert part.state.cursor == 6
        assert part.state.delivered == 2
    assert store.seqs() == [1, 5]


async def test_the_place_belongs_to_the_id_and_not_to_the_address(journal: Journal, store: Store) -> None:
    bench = Bench(journal)
    await bench.many(10)
    async with running(influx_sink(journal, store.url, resend="0s")) as part:
        await until(drained(part))
    moved = Store()
    await moved.start()
    await bench.many(5)
    async with running(influx_sink(journal, moved.url, resend="0s")) as part:
        await until(drained(part))
    await moved.stop()
    assert moved.seqs() == list(range(11, 16))
