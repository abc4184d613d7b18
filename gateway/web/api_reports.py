"""The HTTP API of equipment reports."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
from contextlib import closing
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.equipment import forms
from gateway.equipment.asked import Asked, NotThereError, TooManyError
from gateway.equipment.make import make
from gateway.journal.schema import connect
from gateway.views import AppViews
from gateway.web.asked import ApiError, Handler

MOST: Final = 600_000  # samples, a year of one a minute: some seconds of a processor
PARAMETERS: Final = ("quantity", "since", "until", "low", "high", "timezone", "gap", "format", "unstamped")


class ReportApi:
    """The handler, on one gateway's views."""

    def __init__(self, views: AppViews) -> None:
        self._views = views
        self._one = asyncio.Lock()  # a report at a time: each takes a processor for itself
        self._reading: sqlite3.Connection | None = None

    def handlers(self) -> dict[tuple[str, str], Handler]:
        return {("/api/v1/reports/{id}", "GET"): self.report}

    async def report(self, request: Request) -> Response:
        asked, form = _asked(request)
        if self._one.locked():
            raise ApiError(503, "another report is being made", "Ask again in some seconds.")
        async with self._one:
            try:
                told = await asyncio.to_thread(self._make, asked, form, "unstamped" in request.query_params)
            except asyncio.CancelledError:  # the daemon stops: its thread must not keep it
                with contextlib.suppress(sqlite3.ProgrammingError):  # closed just now
                    if self._reading:
                        self._reading.interrupt()
                raise
        plain = re.sub(r"[^A-Za-z0-9._-]", "-", f"{asked.device}-{asked.quantity}")[:100]
        # A page is to be kept and printed: opened from a file, not from here, where nothing may bring its own style.
        place = "inline" if form == "json" else f'attachment; filename="{plain}.{form}"'
        return Response(told, media_type=forms.FORMS[form].media_type, headers={"content-disposition": place})

    def _make(self, asked: Asked, form: str, unstamped: bool) -> bytes:
        """In a thread, with a connection of its own: the journal's readers stay free."""
        try:
            with closing(connect(self._views.journal.path, read_only=True)) as db:
                self._reading = db
                report = make(db, self._views.config, asked, most=MOST)
        except NotThereError as error:
            raise ApiError(404, str(error), "See /api/v1/devices.") from None
        except TooManyError as error:
            raise ApiError(413, str(error), "Ask for a shorter period.") from None
        except LookupError as error:
            raise ApiError(400, str(error), "See docs/reports.md.") from None
        return forms.FORMS[form].write(report, "" if unstamped else forms.made())


def _asked(request: Request) -> tuple[Asked, str]:
    given = request.query_params
    for name in given:
        if name not in PARAMETERS:
            raise ApiError(400, f"{name} is not known here", f"Known are: {', '.join(PARAMETERS)}.")
    form = given.get("format", "json")
    if form not in forms.FORMS:
        raise ApiError(400, f"there is no format {form!r}", f"Ask for one of {', '.join(forms.FORMS)}.")
    # A + that was not escaped arrives as a blank.
    since, until = (given[name].replace(" ", "+") if name in given else None for name in ("since", "until"))
    asked = Asked(
        request.path_params["id"],
        given.get("quantity", "temperature"),
        since,
        until,
        _limit(given.get("low")),
        _limit(given.get("high")),
        given.get("timezone"),
        given.get("gap"),
    )
    return asked, form


def _limit(given: str | None) -> float | None:
    try:
        return None if given is None else float(given)
    except ValueError:
        raise ApiError(400, f"{given!r} is no limit", "Write a number.") from None
