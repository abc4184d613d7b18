"""How long to wait before trying again."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Full jitter: any time up to a limit that doubles with every failure in a row.

    Links and sinks that failed together do not come back together, and a store that restarts is found again soon.
    """

    first: float = 0.5  # seconds
    longest: float = 15.0
    failures: int = 0

    def succeeded(self) -> None:
        self.failures = 0

    def next(self, at_least: float = 0.0) -> float:
        """Seconds to wait now; `at_least` is what the other side asked for."""
        limit = min(self.longest, self.first * 2.0 ** min(self.failures, 20))
        self.failures += 1
        return at_least + random.uniform(0, limit)  # noqa: S311 - jitter, not a secret
