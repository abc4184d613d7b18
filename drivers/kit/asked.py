"""The instrument's side where it is asked for parts of one measurement: what is told when, and what is over."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from drivers.kit.exchange import Event

QUEUED: Final = 10_000  # messages that may wait


class Asked:
    """The part of a `Speaker` that instruments which are only asked have in common.

    What is offered is a JSON object of names and what is answered to them. Each is told once, in order, and gives way
    to the next when a name it answered is asked again. Nobody acknowledges any of it.
    """

    def __init__(self, asked: Collection[str]) -> None:
        self._asked_for = frozenset(asked)
        self._new: deque[bytes] = deque(maxlen=QUEUED)
        self._present: Mapping[str, Any] = {}
        self._told: set[str] = set()
        self._counted = True
        self._delivered = 0

    @property
    def deadline(self) -> float | None:
        """It only answers."""
        return None

    @property
    def delivered(self) -> int:
        """How many of the offered were told."""
        return self._delivered

    @property
    def confirms(self) -> bool:
        """Nobody acknowledges a reading."""
        return False

    @property
    def idle(self) -> bool:
        """True when all that was offered was told."""
        return not self._new and self._counted

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """What it measures next."""
        self._new.append(message)
        return iter(())

    def tick(self, now: float) -> Iterator[Event]:
        """Nothing is ever due."""
        return iter(())

    def answer(self, name: str) -> Any:
        """What is answered to `name` now; None before there was anything to tell."""
        if self._new and (not self._present or name in self._told):
            self._delivered += not self._counted
            self._present, self._counted = json.loads(self._new.popleft()), False
            self._told.clear()
        if self._present:
            self._told.add(name)
            if not self._counted and self._told >= self._asked_for:
                self._counted = True
                self._delivered += 1
        return self._present.get(name)
