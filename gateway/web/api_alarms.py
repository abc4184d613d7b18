"""The HTTP API of the alarms: what stands, what was, why, and what people do."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.alarms import history
from gateway.alarms.engine import AlarmEngine
from gateway.reports import moment
from gateway.views import AppViews
from gateway.web.asked import ApiError, Handler, answer, body, integer, moment_of
from gateway.web.openapi import Acknowledge, Maintain, Person, Reason, Shelve

MOST: Final = 10_000  # transitions in one answer


class AlarmApi:
    """The handlers, on one gateway's views."""

    def __init__(self, views: AppViews) -> None:
        self._views = views

    def handlers(self) -> dict[tuple[str, str], Handler]:
        return {
            ("/api/v1/alarms", "GET"): self.alarms,
            ("/api/v1/alarms/history", "GET"): self.history,
            ("/api/v1/alarms/statistics", "GET"): self.statistics,
            ("/api/v1/alarms/{id}/explain", "GET"): self.explain,
            ("/api/v1/alarms/{id}/acknowledge", "POST"): self.acknowledge,
            ("/api/v1/alarms/{id}/reset", "POST"): self.reset,
            ("/api/v1/alarms/{id}/shelve", "POST"): self.shelve,
            ("/api/v1/alarms/{id}/unshelve", "POST"): self.unshelve,
            ("/api/v1/alarms/{id}/out-of-service", "POST"): self.remove,
            ("/api/v1/alarms/{id}/in-service", "POST"): self.take_back,
            ("/api/v1/devices/{id}/maintenance", "POST"): self.maintain,
            ("/api/v1/devices/{id}/maintenance/end", "POST"): self.end_maintenance,
        }

    async def alarms(self, _request: Request) -> Response:
        return self._standing()

    async def history(self, request: Request) -> Response:
        since, until = _seconds(request, "since", "30d"), _seconds(request, "until", "0s")
        alarm, limit = request.query_params.get("alarm", "*"), min(MOST, max(1, integer(request, "limit", 1000) or 1))
        items = await self._views.journal.read(lambda db: list(deque(history.history(db, since, until, alarm), limit)))
        return answer({"items": items})

    async def statistics(self, request: Request) -> Response:
        since, until = _seconds(request, "since", "30d"), _seconds(request, "until", "0s")
        found = await self._views.journal.read(lambda db: history.measured(db, since, until))
        return answer(found.as_dict())

    async def explain(self, request: Request) -> Response:
        name, engine = request.path_params["id"], self._views.alarms
        instance = engine.panel.instances.get(name) if engine else None
        if instance is None or engine is None:
            raise ApiError(404, f"there is no alarm {name!r}", "See /api/v1/alarms.")
        told = history.facts(engine.panel, instance)
        return answer(await self._views.journal.read(lambda db: history.story(db, told)))

    async def acknowledge(self, request: Request) -> Response:
        asked = await body(request, Acknowledge)
        return await self._act(request, lambda engine, name: engine.acknowledge(name, asked.by, asked.comment))

    async def reset(self, request: Request) -> Response:
        asked = await body(request, Acknowledge)
        return await self._act(request, lambda engine, name: engine.reset(name, asked.by, asked.comment))

    async def shelve(self, request: Request) -> Response:
        asked = await body(request, Shelve)
        return await self._act(request, lambda e, name: e.shelve(name, asked.by, asked.minutes * 60, asked.reason))

    async def unshelve(self, request: Request) -> Response:
        asked = await body(request, Person)
        return await self._act(request, lambda engine, name: engine.unshelve(name, asked.by))

    async def remove(self, request: Request) -> Response:
        asked = await body(request, Reason)
        return await self._act(request, lambda engine, name: engine.remove(name, asked.by, asked.reason))

    async def take_back(self, request: Request) -> Response:
        asked = await body(request, Person)
        return await self._act(request, lambda engine, name: engine.take_back(name, asked.by))

    async def maintain(self, request: Request) -> Response:
        asked = await body(request, Maintain)
        name = request.path_params["id"]
        if name not in {device["id"] for device in self._views.devices()}:
            raise ApiError(404, f"there is no device {name!r}", "See /api/v1/devices.")
        return await self._act(request, lambda e, name: e.maintain(name, asked.by, asked.minutes * 60, asked.reason))

    async def end_maintenance(self, request: Request) -> Response:
        asked = await body(request, Person)
        return await self._act(request, lambda engine, name: engine.end_maintenance(name, asked.by))

    def _standing(self) -> Response:
        engine = self._views.alarms
        return answer({"items": self._views.open_alarms(), "suppressions": engine.suppressed() if engine else []})

    async def _act(self, request: Request, act: Callable[[AlarmEngine, str], Awaitable[None]]) -> Response:
        name, engine = request.path_params["id"], self._views.alarms
        try:
            if engine is None:
                raise KeyError(name)
            await act(engine, name)
        except KeyError:
            raise ApiError(404, f"there is nothing of {name!r} to act on", "See /api/v1/alarms.") from None
        except ValueError as error:
            raise ApiError(409, str(error), "See /api/v1/alarms for its state.") from None
        return self._standing()


def _seconds(request: Request, name: str, usual: str) -> float:
    at = moment_of(request, name)
    return (moment(usual) if at is None else at) / 1e6
