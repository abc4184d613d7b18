"""What conditions look at, and what a condition is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson

from gateway.observation import CORRECTS


@dataclass(frozen=True, slots=True)
class Seen:
    """What of an observation the conditions look at. Times are unix seconds."""

    seq: int
    device: str
    quantity: str
    kind: str
    value: float | str | bool | None
    comparator: str | None
    interpretation: str | None
    bad: bool
    time: float
    received: float
    unit: str = ""
    lot: str | None = None
    lot_expiry: str | None = None
    run: str | None = None
    corrects: bool = False  # it stands for an earlier one: released, or read again

    @classmethod
    def of(cls, seq: int, body: bytes) -> Seen:
        """From an observation as the journal has it."""
        row = orjson.loads(body)
        received = datetime.fromisoformat(row["received"]).timestamp()
        return cls(
            seq,
            row["device"],
            row["quantity"],
            row["kind"],
            row["value"],
            row["comparator"],
            row["interpretation"],
            row["quality"] == "bad",
            # A clock that is ahead has measured nothing after it was received, and must not make what comes next late.
            min(datetime.fromisoformat(row["time"]).timestamp(), received),
            received,
            row["unit"] or "",
            row.get("lot"),
            row.get("lot_expiry"),
            row.get("run"),
            CORRECTS in row.get("attributes", ()),
        )

    @property
    def number(self) -> float | None:
        """The value where it is a number that can be believed, whatever its comparator."""
        value = self.value
        return None if self.bad or value is None or isinstance(value, bool | str) else value


class Condition(Protocol):
    """`holds` after every call; `explanation` says why in words."""

    holds: bool
    explanation: str
    value: float | str | bool | None

    @property
    def latest(self) -> float:
        """Unix seconds before which an observation comes too late to count; -inf where none does."""
        ...

    def rule(self) -> str:
        """What it waits for, in words."""
        ...

    def feed(self, seen: Seen) -> None: ...
    def tick(self, now: float) -> None: ...
    def set_back(self, now: float) -> None:
        """The clock was put back to `now`: nothing has been seen later than that."""
        ...

    def dump(self) -> list[Any]:
        """What must survive a restart, as JSON."""
        ...

    def load(self, state: list[Any]) -> None: ...
