"""The HTTP API of quality control: controls and their charts, held results, critical values."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from gateway.journal.transaction import Transaction
from gateway.qc import actions, view
from gateway.qc.chart import chart
from gateway.qc.lots import lots
from gateway.qc.options import ControlOptions
from gateway.qc.state import CRITICAL, HELD
from gateway.reports import moment
from gateway.views import AppViews
from gateway.web.asked import ApiError, Handler, answer, body, glob, moment_of, path_number
from gateway.web.openapi import Action, ReadBack, Release, Review

T = TypeVar("T")


class QcApi:
    """The handlers, on one gateway's views."""

    def __init__(self, views: AppViews) -> None:
        self._views = views
        self._journal = views.journal

    def handlers(self) -> dict[tuple[str, str], Handler]:
        return {
            ("/api/v1/qc", "GET"): self.controls,
            ("/api/v1/qc/{id}", "GET"): self.control,
            ("/api/v1/qc/{id}/chart.svg", "GET"): self.chart,
            ("/api/v1/qc/{id}/action", "POST"): self.action,
            ("/api/v1/lots", "GET"): self.lots,
            ("/api/v1/held", "GET"): self.held,
            ("/api/v1/held/release", "POST"): self.release,
            ("/api/v1/critical", "GET"): self.critical,
            ("/api/v1/observations/{id}/review", "POST"): self.review,
            ("/api/v1/observations/{id}/read-back", "POST"): self.read_back,
        }

    async def controls(self, _request: Request) -> Response:
        config, now = self._views.config, time.time_ns() // 1000
        return answer({"items": await self._journal.read(lambda db: view.controls(db, config, now))})

    async def control(self, request: Request) -> Response:
        return answer({"items": (await self._points(request))[1]})

    async def chart(self, request: Request) -> Response:
        options, points = await self._points(request)
        return Response(chart(f"{options.quantity} {options.name}", points), media_type="image/svg+xml")

    async def lots(self, request: Request) -> Response:
        quantity, since = request.query_params.get("quantity"), moment_of(request, "since")
        if not quantity:
            raise ApiError(400, "quantity is required", "Ask ?quantity=NAME.")
        on = fnmatch.filter([one.id for one in self._views.config.devices], glob(request, "device") or "*")
        since = moment("90d") if since is None else since
        return answer({"items": await self._journal.read(lambda db: lots(db, quantity, on, since))})

    async def held(self, _request: Request) -> Response:
        items = await self._journal.read(lambda db: view.waiting(db, HELD))
        return answer({"items": items, "total": await self._journal.read(view.held_count)})

    async def critical(self, _request: Request) -> Response:
        return answer({"items": await self._journal.read(lambda db: view.waiting(db, CRITICAL))})

    async def release(self, request: Request) -> Response:
        asked = await body(request, Release)
        released = await self._write(lambda t: actions.release(t, asked.seqs, asked.by, asked.why))
        return answer({"released": released})

    async def review(self, request: Request) -> Response:
        seq, asked = path_number(request), await body(request, Review)
        stands = await self._write(lambda t: actions.review(t, seq, asked.decision, asked.by, asked.why))
        return answer({"stands": stands})

    async def action(self, request: Request) -> Response:
        asked, options = await body(request, Action), [self._options(request)]
        await self._write(lambda t: actions.act(t, options, asked.device, asked.by, asked.why))
        return answer({"recorded": True})

    async def read_back(self, request: Request) -> Response:
        seq, asked = path_number(request), await body(request, ReadBack)
        at = int(asked.at.timestamp() * 1e6) if asked.at else None
        await self._write(lambda t: actions.read_back(t, seq, asked.by, asked.to, asked.read_back, asked.why, at))
        return answer({"recorded": True})

    async def _points(self, request: Request) -> tuple[ControlOptions, list[dict[str, object]]]:
        options, device = self._options(request), request.query_params.get("device")
        on = [device] if device else view.devices(self._views.config, options)
        since, until = moment_of(request, "since") or 0, moment_of(request, "until") or view.LAST
        return options, await self._journal.read(lambda db: view.points(db, options, on, since, until))

    def _options(self, request: Request) -> ControlOptions:
        try:
            return actions.controls(self._views.config, request.path_params["id"])[0]
        except LookupError as error:
            raise ApiError(404, str(error), "See /api/v1/qc.") from None

    async def _write(self, act: Callable[[Transaction], T]) -> T:
        try:
            return await self._journal.write(act)
        except LookupError as error:
            raise ApiError(409, str(error), "See /api/v1/held, /api/v1/critical and /api/v1/qc.") from None
