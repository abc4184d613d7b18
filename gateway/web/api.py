"""The HTTP API: what answers each endpoint of `gateway.web.openapi`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs

import orjson
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from gateway import quarantine
from gateway.journal.export import with_seq
from gateway.reports import moment
from gateway.views import AppViews
from gateway.web import queries
from gateway.web.guard import COOKIE, Guard, cookie_value
from gateway.web.live import Hub
from gateway.web.openapi import Acknowledge, Person, Shelve, openapi
from gateway.web.options import HttpOptions

PAGES = Path(__file__).parent / "pages"
STREAM_CHUNK: Final = 500
STREAM_BEAT: Final = 10.0  # seconds between heartbeats of an idle stream
MOST_BODY: Final = 65_536
MOST_GLOB: Final = 200
MOST_STARS: Final = 4  # each multiplies what a pattern may cost
Asked = TypeVar("Asked", bound=BaseModel)
Handler = Callable[[Request], Awaitable[Response]]


class ApiError(Exception):
    """An answer that is not 2xx: what is wrong and what to do."""

    def __init__(self, status: int, error: str, remedy: str) -> None:
        super().__init__(error)
        self.status, self.error, self.remedy = status, error, remedy


def answer(data: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(data), status, media_type="application/json")


class Api:
    """The handlers, on one gateway's views."""

    def __init__(self, views: AppViews, hub: Hub) -> None:
        self._views, self._hub = views, hub
        self._journal = views.journal

    def handlers(self) -> dict[tuple[str, str], Handler]:
        return {
            ("/healthz", "GET"): self.healthz,
            ("/readyz", "GET"): self.readyz,
            ("/metrics", "GET"): self.metrics,
            ("/api/v1/devices", "GET"): self.devices,
            ("/api/v1/observations", "GET"): self.observations,
            ("/api/v1/series", "GET"): self.series,
            ("/api/v1/alarms", "GET"): self.alarms,
            ("/api/v1/alarms/{id}/acknowledge", "POST"): self.acknowledge,
            ("/api/v1/alarms/{id}/shelve", "POST"): self.shelve,
            ("/api/v1/alarms/{id}/unshelve", "POST"): self.unshelve,
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
        return Response(b'{"items":[%b],"next":%d}' % (b",".join(rows), last), media_type="application/json")

    async def series(self, request: Request) -> Response:
        device, quantity = (request.query_params.get(name) for name in ("device", "quantity"))
        if not device or not quantity:
            raise ApiError(400, "device and quantity are required", "Ask ?device=ID&quantity=NAME.")
        since, until = _moment(request, "since") or moment("1d"), _moment(request, "until") or moment("0s")
        if until <= since:
            raise ApiError(400, "until is not after since", "Give a later until.")
        points = _integer(request, "points", 500)
        return answer(
            await self._journal.read(lambda db: queries.series(db, device, quantity, since, until, points or 1))
        )

    async def alarms(self, _request: Request) -> Response:
        return answer({"items": self._views.open_alarms()})

    async def acknowledge(self, request: Request) -> Response:
        asked = await _body(request, Acknowledge)
        return await self._alarm(request, lambda a, name: a.acknowledge(name, asked.by, asked.comment))

    async def shelve(self, request: Request) -> Response:
        asked = await _body(request, Shelve)
        return await self._alarm(request, lambda a, name: a.shelve(name, asked.by, asked.minutes * 60, asked.reason))

    async def unshelve(self, request: Request) -> Response:
        asked = await _body(request, Person)
        return await self._alarm(request, lambda a, name: a.unshelve(name, asked.by))

    async def _alarm(self, request: Request, act: Callable[[Any, str], Awaitable[None]]) -> Response:
        name, engine = request.path_params["id"], self._views.alarms
        try:
            if engine is None:
                raise KeyError(name)
            await act(engine, name)
        except KeyError:
            raise ApiError(404, f"there is no alarm {name!r}", "See /api/v1/alarms.") from None
        except ValueError as error:
            raise ApiError(409, str(error), "See /api/v1/alarms for its state.") from None
        return answer({"items": self._views.open_alarms()})

    async def raw(self, request: Request) -> Response:
        number = _path_number(request)
        found = await self._journal.read(lambda db: queries.raw(db, number))
        if found is None:
            raise ApiError(404, f"there is no raw message {number}", "Take the `raw` of an observation.")
        return answer(found)

    async def quarantine(self, request: Request) -> Response:
        limit = min(max(1, _integer(request, "limit", 100) or 1), queries.MOST)
        items, total = await self._journal.read(lambda db: (quarantine.entries(db, limit), queries.quarantined(db)))
        return answer({"items": items, "total": total})

    async def retry(self, request: Request) -> Response:
        entry = _path_number(request)
        if not await self._journal.read(lambda db: queries.quarantined(db, entry)):
            raise ApiError(404, f"there is no open entry {entry}", "See /api/v1/quarantine.")
        return answer({"understood": await self._views.retry(entry)})

    async def stream(self, request: Request) -> Response:
        given = request.headers.get("last-event-id") or request.query_params.get("after")
        if given and not _is_number(given):
            raise ApiError(400, "Last-Event-ID is a seq", "Send a whole number.")
        after = int(given) if given else self._journal.observations.at
        return StreamingResponse(
            self._events(after), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    async def _events(self, after: int) -> AsyncIterator[bytes]:
        """The client's own pace is the back-pressure: nothing is read that it has not taken."""
        yield b"retry: 2000\n\n"
        while not self._hub.closing.is_set():
            rows = await self._journal.rows(after, STREAM_CHUNK)
            for seq, body in rows:
                yield b"id: %d\ndata: %b\n\n" % (seq, with_seq(seq, body))
                after = seq
            if rows:
                continue
            if not await _first(self._journal.observations.beyond(after), self._hub.closing.wait(), within=STREAM_BEAT):
                yield b": still here\n\n"

    async def live(self, socket: WebSocket) -> None:
        await socket.accept()

        async def send() -> None:
            async for message in self._hub.messages():
                await socket.send_text(message.decode())

        async def gone() -> None:
            while (await socket.receive())["type"] != "websocket.disconnect":
                pass

        await _first(send(), gone())


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


# ---- reading requests


def _wanted(request: Request) -> queries.Wanted:
    query = request.query_params
    wanted = queries.Wanted(
        _glob(request, "device"), _glob(request, "quantity"), query.get("kind"), query.get("specimen")
    )
    after = _integer(request, "after", None)
    limit = _integer(request, "limit", 100) or 1
    return replace(
        wanted, since=_moment(request, "since"), until=_moment(request, "until"), after=after, limit=max(1, limit)
    )


def _glob(request: Request, name: str) -> str | None:
    given = request.query_params.get(name)
    if given and (len(given) > MOST_GLOB or given.count("*") > MOST_STARS):
        raise ApiError(422, f"{name} is too long a pattern", f"Use at most {MOST_STARS} stars.")
    return given


def _moment(request: Request, name: str) -> int | None:
    given = request.query_params.get(name)
    try:
        # A + that was not escaped arrives as a blank.
        return moment(given.replace(" ", "+")) if given else None
    except (LookupError, OverflowError) as error:
        raise ApiError(400, f"{name}: {error}", "Write a time or an age.") from None


def _is_number(given: str) -> bool:
    """Whether it is a whole number as a journal's positions are; superscripts are digits to some."""
    return given.isascii() and given.isdigit() and len(given) < 19


def _integer(request: Request, name: str, default: int | None) -> int | None:
    given = request.query_params.get(name)
    if given is None:
        return default
    if not _is_number(given):
        raise ApiError(400, f"{name} is not a whole number", "Write digits.")
    return int(given)


def _path_number(request: Request) -> int:
    given = request.path_params["id"]
    if not _is_number(given):
        raise ApiError(404, f"{given!r} is not a number", "Take an id from a list.")
    return int(given)


async def _sent(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            raise ApiError(413, "too much was sent", f"Send less than {MOST_BODY} bytes.")
    return body


async def _body(request: Request, model: type[Asked]) -> Asked:
    try:
        return model.model_validate_json(await _sent(request) or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ApiError(422, f"{where}: {first['msg']}", "See /api/openapi.json.") from None


# ---- putting it together


async def _refused(_request: Request, error: Exception) -> Response:
    if isinstance(error, ApiError):
        return answer({"error": error.error, "remedy": error.remedy}, error.status)
    if isinstance(error, HTTPException):
        return answer({"error": error.detail, "remedy": "See /api/openapi.json."}, error.status_code)
    return answer({"error": "this could not be answered", "remedy": "See the gateway's log."}, 500)


def build(views: AppViews, hub: Hub, options: HttpOptions) -> Guard:
    """The ASGI application."""
    api = Api(views, hub)
    routes: list[BaseRoute] = [
        Route(path, handler, methods=[method]) for (path, method), handler in api.handlers().items()
    ]

    async def index(_request: Request) -> Response:
        return FileResponse(PAGES / "index.html", headers={"cache-control": "no-cache"})

    async def login(request: Request) -> Response:
        if request.method == "GET":
            return FileResponse(PAGES / "login.html")
        token = parse_qs((await _sent(request)).decode(errors="replace")).get("token", [""])[0].strip()
        if not guard.right(token.encode()):
            return RedirectResponse("/login", 303)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE, cookie_value(token), httponly=True, samesite="strict", secure=options.tls_cert is not None
        )
        return response

    routes += [
        WebSocketRoute("/api/v1/live", api.live),
        Route("/", index),
        Route("/login", login, methods=["GET", "POST"]),
        Mount("/static", StaticFiles(directory=PAGES)),
    ]
    handlers = {ApiError: _refused, HTTPException: _refused, Exception: _refused}
    guard = Guard(Starlette(routes=routes, exception_handlers=handlers), options)
    return guard
