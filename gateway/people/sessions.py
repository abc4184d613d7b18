"""Sessions: who has signed in, from where, until when. Pure: unix seconds are given.

The browser holds 256 random bits; we keep their SHA-256 alone, so that nobody who reads our memory's copy on the disk
can use one. Each carries the stamp of its person (role and password): a changed one ends it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

MOST_EACH: Final = 20  # sessions of one person; the longest unused ends


@dataclass(slots=True)
class Session:
    """One browser."""

    name: str
    stamp: str
    address: str
    began: float
    used: float


class Sessions:
    """All of them. `stamp` says what a person's is now; None: there is no such person."""

    def __init__(self, idle: float, longest: float, stamp: Callable[[str], str | None]) -> None:
        self._idle, self._longest, self._stamp = idle, longest, stamp
        self._sessions: dict[str, Session] = {}

    def begin(self, name: str, address: str, now: float) -> str:
        """A new session; what its browser is to hold. Errors: KeyError (no such person)."""
        stamp = self._stamp(name)
        if stamp is None:
            raise KeyError(name)
        self.expire(now)
        own = sorted((one.used, key) for key, one in self._sessions.items() if one.name == name)
        for _, key in own[: max(0, len(own) - MOST_EACH + 1)]:
            del self._sessions[key]
        token = secrets.token_urlsafe(32)
        self._sessions[key_of(token)] = Session(name, stamp, address, now, now)
        return token

    def find(self, key: str, now: float) -> Session | None:
        """The session with this key, if it still stands."""
        session = self._sessions.get(key)
        return session if session and self._stands(session, now) else None

    def use(self, key: str, now: float) -> None:
        """Its person does something: the idle time begins anew."""
        if session := self.find(key, now):
            session.used = max(session.used, now)

    def end(self, key: str) -> None:
        self._sessions.pop(key, None)

    def expire(self, now: float) -> bool:
        """Remove those that do not stand; whether there were any."""
        gone = [key for key, one in self._sessions.items() if not self._stands(one, now)]
        for key in gone:
            del self._sessions[key]
        return bool(gone)

    def at(self, name: str, address: str, now: float) -> bool:
        """Whether somebody is signed in by this name from this address."""
        return any(
            one.name == name and one.address == address and self._stands(one, now) for one in self._sessions.values()
        )

    def dump(self) -> dict[str, Any]:
        return {key: asdict(one) for key, one in self._sessions.items()}

    def load(self, kept: dict[str, Any], now: float) -> None:
        """Take up what was dumped, as far as it stands. Errors: TypeError, ValueError (it was not ours)."""
        self._sessions = {
            key: Session(
                str(one["name"]), str(one["stamp"]), str(one["address"]), float(one["began"]), float(one["used"])
            )
            for key, one in kept.items()
        }
        self.expire(now)

    def __len__(self) -> int:
        return len(self._sessions)

    def _stands(self, one: Session, now: float) -> bool:
        # A clock put back makes no session younger than it was at its last use.
        now = max(now, one.used)
        return now - one.used < self._idle and now - one.began < self._longest and self._stamp(one.name) == one.stamp


def key_of(token: str) -> str:
    """What is kept of what a browser holds."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
