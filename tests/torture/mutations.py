"""Promises broken on purpose, one by one: what the tests of a promise must notice."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from gateway import session
from gateway.journal import store
from gateway.journal.transaction import Keep


def acknowledge_first() -> None:
    """A reply goes out before its bytes are durable."""
    real = session.Conversation._event

    def event(self: Any, *arguments: Any) -> None:
        real(self, *arguments)
        for owed in self._owed:
            owed.ready = True
        self._pay()

    setattr(session.Conversation, "_event", event)  # noqa: B010 - another shape on purpose


def forget_what_failed() -> None:
    """A group whose commit failed counts as kept."""
    real = store.Journal._commit

    def commit(self: Any, db: Any, group: list[Any]) -> None:
        try:
            real(self, db, group)
        except sqlite3.Error:
            kept = [(item, 1) for item in group if isinstance(item, Keep)]
            self._loop.call_soon_threadsafe(self._committed, kept, [], 0)

    setattr(store.Journal, "_commit", commit)  # noqa: B010 - another shape on purpose


MUTATIONS: Final[Mapping[str, Callable[[], None]]] = MappingProxyType(
    {"acknowledge-first": acknowledge_first, "forget-what-failed": forget_what_failed}
)
