"""What the doctor says of one thing it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Grade = Literal["ok", "warning", "problem", "unknown"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `ok` is False only where something is certainly wrong: that is what the exit status says."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    doubt: Literal["", "warning", "unknown"] = ""

    @property
    def grade(self) -> Grade:
        return self.doubt or ("ok" if self.ok else "problem")


def good(name: str, found: str) -> Check:
    return Check(name, True, found)


def warning(name: str, found: str, remedy: str) -> Check:
    """It works now, or is suspected only."""
    return Check(name, True, found, remedy, "warning")


def problem(name: str, found: str, remedy: str) -> Check:
    return Check(name, False, found, remedy)


def unknown(name: str, why: str, remedy: str) -> Check:
    """It could not be determined, and why."""
    return Check(name, True, f"could not be determined: {why}", remedy, "unknown")
