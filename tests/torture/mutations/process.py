"""A daemon that gets stuck, or does not get going."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from gateway import app


def stands_still() -> None:
    """Some seconds after it is ready something never lets the event loop go on."""
    real = app.App._look

    async def look(self: Any) -> None:
        asyncio.get_running_loop().call_later(3.0, never_ends)
        await real(self)

    setattr(app.App, "_look", look)  # noqa: B010 - another shape on purpose


def cannot_start() -> None:
    """Two things go wrong at once before it is ready."""

    def start(_self: Any) -> None:
        raise ExceptionGroup("at once", [OSError("no place to listen"), OSError("no second place")])

    setattr(app.App, "start", start)  # noqa: B010 - another shape on purpose


def never_ends() -> None:
    time.sleep(3600)
