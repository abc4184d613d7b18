"""What a store says to a write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class UnreachableError(Exception):
    """No answer: refused, reset, timed out. What was sent may or may not have been stored."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the store said to a write."""

    status: int
    reason: str = ""
    retry_after: float = 0.0  # seconds

    @property
    def stored(self) -> bool:
        """Only 204 says so: a proxy's login page says 200."""
        return self.status == 204

    @property
    def refused(self) -> bool:
        """Something in these lines is not to the store's liking; in fewer lines it may be."""
        return self.status in {400, 413, 422}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a store's process."""

    name: str  # differs from the next run's, unless both began in the same second
    age: float  # seconds since it began, by the store's own clock, give or take two


class Store(Protocol):
    """One store, used by one task."""

    connections: int  # made so far: one more may mean that the store was restarted

    async def write(self, body: bytes) -> Answer:
        """Send lines. Errors: UnreachableError."""
        ...

    async def run(self) -> Run | None:
        """Which run of the store this is; None where it does not say.

        Errors: UnreachableError.
        """
        ...

    async def aclose(self) -> None: ...
