"""The promise at its heart broken: what is durable, and what is told of it."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final

from drivers.kit.observation import Draft
from gateway import normalise, session
from gateway.journal import schema, store, transaction
from gateway.journal.schema import LAST
from gateway.journal.transaction import Keep

_counter: Final = count(1)


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


def wherever_it_is() -> None:
    """The file that is written to need not be the journal."""
    setattr(store.Journal, "_in_place", lambda _self: True)  # noqa: B010 - another shape on purpose


def swallow() -> None:
    """Every seventh whole message is acknowledged and never written."""
    real = store.Journal.keep

    def keep(self: Any, item: Keep) -> None:
        if item.state == LAST and next(_counter) % 7 == 0:
            self._loop.call_soon(item.durable, 0)
        else:
            real(self, item)

    setattr(store.Journal, "keep", keep)  # noqa: B010 - another shape on purpose


def double() -> None:
    """No observation is recognised when it comes again."""
    real = transaction.Transaction.observe

    def observe(self: Any, rows: Any) -> int:
        return real(self, [row._replace(uid=b"%d-" % next(_counter) + row.uid) for row in rows])

    setattr(transaction.Transaction, "observe", observe)  # noqa: B010 - another shape on purpose


def alter() -> None:
    """Every tenth value is a little more than it was."""
    real = normalise.Normaliser.rows

    def rows(self: Any, message: Any, drafts: Any) -> Any:
        return real(self, message, [_more(draft) if next(_counter) % 10 == 0 else draft for draft in drafts])

    setattr(normalise.Normaliser, "rows", rows)  # noqa: B010 - another shape on purpose


def lazy() -> None:
    """Commits are not flushed."""
    real = schema.connect

    def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
        db = real(path, read_only=read_only)
        db.execute("PRAGMA synchronous=NORMAL")
        return db

    setattr(store, "connect", connect)  # noqa: B010 - another shape on purpose


def _more(draft: Draft) -> Draft:
    try:
        return replace(draft, value=float(str(draft.value)) + 0.5)
    except ValueError:
        return draft
