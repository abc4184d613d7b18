"""The HTTP API of the notifiers: to try one, and to silence a sounder for a while."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.notify.delivery import Notifications
from gateway.views import AppViews
from gateway.web.asked import ApiError, Handler, answer, body
from gateway.web.openapi import Mute, Person


class NotifyApi:
    """The handlers, on one gateway's views."""

    def __init__(self, views: AppViews) -> None:
        self._views = views

    def handlers(self) -> dict[tuple[str, str], Handler]:
        return {
            ("/api/v1/notifiers/{id}/test", "POST"): self.test,
            ("/api/v1/notifiers/{id}/mute", "POST"): self.mute,
        }

    async def test(self, request: Request) -> Response:
        asked = await body(request, Person)
        try:
            why = await self._notifications().test(request.path_params["id"], asked.by)
        except KeyError as error:
            raise ApiError(404, f"there is no notifier {error}", "See [[notifiers]] of the configuration.") from None
        if why:
            raise ApiError(502, why, "See the notifier's address, and whether it can be reached.")
        return answer({"sent": True})

    async def mute(self, request: Request) -> Response:
        asked = await body(request, Mute)
        try:
            self._notifications().mute(request.path_params["id"], asked.by, asked.minutes * 60)
        except KeyError as error:
            raise ApiError(404, f"there is no sounder {error}", "See [[notifiers]] of the configuration.") from None
        return answer({"muted": True})

    def _notifications(self) -> Notifications:
        engine = self._views.alarms
        if engine is None:
            raise ApiError(503, "the alarms have not started yet", "Ask again in a moment.")
        return engine.notifications
