"""What lets a process that is in trouble come back, taken away."""

from __future__ import annotations

import contextlib
from typing import Any

from gateway.journal import store


def writer_gone() -> None:
    """The journal's writer fails, and the daemon lives on without it."""

    def write(self: Any) -> None:
        with contextlib.suppress(BaseException):
            self._work()

    setattr(store.Journal, "_write", write)  # noqa: B010 - another shape on purpose
