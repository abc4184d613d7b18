"""What every sink shows of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SinkState:
    """How a sink is doing, at one moment."""

    id: str
    connected: bool  # the last attempt succeeded
    cursor: int  # everything up to this seq is delivered, refused or not selected
    behind: int  # rows after the cursor
    behind_seconds: float  # age of the oldest undelivered row; 0 when there is none
    delivered: int  # rows acknowledged since this process started; a re-sent row counts again
    refused: int  # rows the store would not have, in the journal's `refused` table
    resending: int  # rows delivered before that are being sent again, because the store may have lost them
    last_error: str  # "" after a success


class Sink(Protocol):
    """Drains the journal into one outside place. `run` returns only when cancelled, and no misbehaviour of the
    outside makes it raise."""

    @property
    def id(self) -> str: ...

    @property
    def state(self) -> SinkState: ...

    async def run(self) -> None: ...
