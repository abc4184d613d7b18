"""The HTTP API: what answers each endpoint of `gateway.web.openapi`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from gateway import quarantine
from gateway.journal.export import with_seq
from gateway.people import masks
from gateway.people.people import People
from gateway.people.roles import Who
from gateway.reports import moment
from gateway.views import AppViews
from gateway.web import queries, series
from gateway.web.api_alarms import AlarmApi
from gateway.web.api_notify import NotifyApi
from gateway.web.api_qc import QcApi
from gateway.web.api_reports import ReportApi
from gateway.web.asked import (
    ApiError,
    Handler,
    answer,
    glob,
    integer,
    is_number,
    moment_of,
    path_number,
    sees_patients,
    signed_in,
)
from gateway.web.guard import Guard
from gateway.web.live import Hub
from gateway.web.openapi import openapi
from gateway.web.options import HttpOptions
from gateway.web.signin import SignIn, allowed, require

PAGES = Path(__file__).parent / "pages"
STREAM_CHUNK: Final = 500
STREAM_BEAT: Final = 10.0  # seconds between heartbeats of an idle stream


class Api:
    """The handlers, on one gateway's views."""

    def __init__(self, views: AppViews, hub: Hub, people: People | None = None) -> None:
        self._views, self._hub, self._people = views, hub, people
        self._journal = views.journal

    def handlers(self) -> dict[tuple[str, str], Handler]:
        return {
            ("/healthz", "GET"): self.healthz,
            ("/readyz", "GET"): self.readyz,
            ("/metrics", "GET"): self.metrics,
            ("/api/v1/devices", "GET"): self.devices,
            ("/api/v1/observations", "GET"): self.observations,
            ("/api/v1/series", "GET"): self.series,
            **AlarmApi(self._views).handlers(),
            **QcApi(self._views).handlers(),
            **NotifyApi(self._views).handlers(),
            **ReportApi(self._views).handlers(),
            ("/api/v1/stream", "GET"): self.stream,
            ("/api/v1/raw/{id}", "GET"): self.raw,
            ("/api/v1/quarantine", "GET"): self.quarantine,
            ("/api/v1/quarantine/{id}/retry", "POST"): self.retry,
            ("/api/v1/sinks", "GET"): self.sinks,
            ("/api/openapi.json", "GET"): self.document,
        }

    async def healthz(self, _request: Request) -> Response:
        return answer({"alive": True})

    async def readyz(self, _request: Request) -> Response:
        failing = self._views.failing()
        return answer({"ready": not failing, "failing": failing}, 503 if failing else 200)

    async def metrics(self, _request: Request) -> Response:
        from gateway.metrics import text

        kept = await self._journal.read(queries.standing)
        return Response(text(self._views, kept), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def devices(self, _request: Request) -> Response:
        return answer({"items": self._views.devices()})

    async def sinks(self, _request: Request) -> Response:
        return answer({"items": self._views.sinks()})

    async def document(self, _request: Request) -> Response:
        return answer(openapi())

    async def observations(self, request: Request) -> Response:
        wanted = _wanted(request)
        rows, last = await self._journal.read(lambda db: queries.observations(db, wanted))
        if not sees_patients(request):
            rows = [masks.masked(row) for row in rows]
        return Response(b'{"items":[%b],"next":%d}' % (b",".join(rows), last), media_type="application/json")

    async def series(self, request: Request) -> Response:
        device, quantity = (request.query_params.get(name) for name in ("device", "quantity"))
        if not device or not quantity:
            raise ApiError(400, "device and quantity are required", "Ask ?device=ID&quantity=NAME.")
        since, until = moment_of(request, "since") or moment("1d"), moment_of(request, "until") or moment("0s")
        if until <= since:
            raise ApiError(400, "until is not after since", "Give a later until.")
        points = integer(request, "points", 500)
        return answer(
            await self._journal.read(lambda db: series.series(db, device, quantity, since, until, points or 1))
        )

    async def raw(self, request: Request) -> Response:
        number = path_number(request)
        if not sees_patients(request) and self._people:
            require(request, self._people.options.patients)  # bytes no rule knows the meaning of cannot be masked
        found = await self._journal.read(lambda db: queries.raw(db, number))
        if found is None:
            raise ApiError(404, f"there is no raw message {number}", "Take the `raw` of an observation.")
        return answer(found)

    async def quarantine(self, request: Request) -> Response:
        limit = min(max(1, integer(request, "limit", 100) or 1), queries.MOST)
        items, total = await self._journal.read(lambda db: (quarantine.entries(db, limit), queries.quarantined(db)))
        if not sees_patients(request):
            items = [masks.entry(item) for item in items]
        return answer({"items": items, "total": total})

    async def retry(self, request: Request) -> Response:
        entry = path_number(request)
        if not await self._journal.read(lambda db: queries.quarantined(db, entry)):
            raise ApiError(404, f"there is no open entry {entry}", "See /api/v1/quarantine.")
        return answer({"understood": await self._views.retry(entry)})

    async def stream(self, request: Request) -> Response:
        given = request.headers.get("last-event-id") or request.query_params.get("after")
        if given and not is_number(given):
            raise ApiError(400, "Last-Event-ID is a seq", "Send a whole number.")
        after = int(given) if given else self._journal.observations.at
        return StreamingResponse(
            self._events(after, signed_in(request)),
            media_type="text/event-stream",
            headers={"cache-control": "no-store"},
        )

    async def _events(self, after: int, who: Who | None) -> AsyncIterator[bytes]:
        """The client's own pace is the back-pressure: nothing is read that it has not taken."""
        yield b"retry: 2000\n\n"
        while not self._hub.closing.is_set() and self._stands(who):
            rows = await self._journal.rows(after, STREAM_CHUNK)
            for seq, body in rows:
                told = with_seq(seq, body)
                yield b"id: %d\ndata: %b\n\n" % (seq, told if who is None or who.patients else masks.masked(told))
                after = seq
            if rows:
                continue
            if not await _first(self._journal.observations.beyond(after), self._hub.closing.wait(), within=STREAM_BEAT):
                yield b": still here\n\n"

    async def live(self, socket: WebSocket) -> None:
        await socket.accept()
        who = signed_in(socket)

        async def send() -> None:
            async for message in self._hub.messages(masked=not sees_patients(socket)):
                if not self._stands(who):
                    return
                await socket.send_text(message.decode())

        async def gone() -> None:
            while (await socket.receive())["type"] != "websocket.disconnect":
                pass

        await _first(send(), gone())

    def _stands(self, who: Who | None) -> bool:
        return self._people is None or self._people.stands(who)


async def _first(*waits: Coroutine[Any, Any, Any], within: float | None = None) -> bool:
    """Wait until one of them ends, and end the others; False when `within` seconds passed before."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _wanted(request: Request) -> queries.Wanted:
    query = request.query_params
    wanted = queries.Wanted(
        glob(request, "device"), glob(request, "quantity"), query.get("kind"), query.get("specimen")
    )
    after = integer(request, "after", None)
    limit = integer(request, "limit", 100) or 1
    return replace(
        wanted, since=moment_of(request, "since"), until=moment_of(request, "until"), after=after, limit=max(1, limit)
    )


# ---- putting it together


async def _refused(_request: Request, error: Exception) -> Response:
    if isinstance(error, ApiError):
        return answer({"error": error.error, "remedy": error.remedy}, error.status)
    if isinstance(error, HTTPException):
        return answer({"error": error.detail, "remedy": "See /api/openapi.json."}, error.status_code)
    return answer({"error": "this could not be answered", "remedy": "See the gateway's log."}, 500)


def build(views: AppViews, hub: Hub, options: HttpOptions, people: People | None = None) -> Guard:
    """The ASGI application."""
    api, sign_in = Api(views, hub, people), SignIn(options, people)
    routes: list[BaseRoute] = [
        Route(path, allowed(path, method, handler, views.journal), methods=[method])
        for (path, method), handler in {**api.handlers(), **sign_in.handlers()}.items()
    ]

    async def index(_request: Request) -> Response:
        return FileResponse(PAGES / "index.html", headers={"cache-control": "no-cache"})

    routes += [
        WebSocketRoute("/api/v1/live", api.live),
        Route("/", index),
        Route("/login", sign_in.login, methods=["GET", "POST"]),
        Mount("/static", StaticFiles(directory=PAGES)),
    ]
    handlers = {ApiError: _refused, HTTPException: _refused, Exception: _refused}
    sign_in.guard = guard = Guard(Starlette(routes=routes, exception_handlers=handlers), options, people)
    return guard
