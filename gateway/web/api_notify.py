"""The HTTP API of the notifiers: how they stand, to try one, and to silence a sounder for a while."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.alarms.instance import rfc3339
from gateway.notify.delivery import Notifications
from gateway.notify.dispatch import LONGEST_MUTE
from gateway.views import AppViews
from gateway.web.asked import ApiError, Handler, answer, body
from gateway.web.openapi import Mute, Person


class NotifyApi:
    """The handlers, on one gateway's views."""

    def __init__(self, views: AppViews) -> None:
        self._views = views

    def handlers(self) -> dict[tuple[str, str], Handler]:
        return {
            ("/api/v1/notifiers", "GET"): self.notifiers,
            ("/api/v1/notifiers/{id}/test", "POST"): self.test,
            ("/api/v1/notifiers/{id}/mute", "POST"): self.mute,
        }

    async def notifiers(self, _request: Request) -> Response:
        """Never an address: it may hold a password."""
        notifications, config, now = self._notifications(), self._views.config, time.time()
        failing, muted = notifications.failing, _muted(notifications, now)
        items = [
            {"id": one.id, "type": one.type, "failing": failing.get(one.id, ""), "muted_until": muted.get(one.id)}
            for one in config.notifiers
        ]
        weekly, (waits, words) = config.alarm_test, notifications.path_test
        test = weekly and {
            "at": weekly.at, "timezone": weekly.timezone, "notify": weekly.notify, "due": rfc3339(weekly.latest(now)),
            "waits": waits, "words": words,
        }  # fmt: skip
        return answer({"items": items, "undelivered": notifications.undelivered, "alarm_test": test})

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


def _muted(notifications: Notifications, now: float) -> dict[str, Any]:
    """Sounder -> until when (RFC 3339) it is silent."""
    boxes = notifications.dump()["outboxes"]
    until = {name: box["muted_until"] for name, box in boxes.items()}
    return {name: rfc3339(at) for name, at in until.items() if 0 < at - now <= LONGEST_MUTE}
