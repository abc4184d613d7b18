"""Conditions: what has been seen in, whether the alarm's condition holds out. Pure; bounded memory; each sample at a
cost that does not depend on the length of any window.

Values are judged by their own time: what is older than the newest seen neither raises nor clears. A value of bad
quality proves nothing. Where a condition cannot be decided, what holds goes on to hold.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Final

from gateway.alarms.conditions.delayed import Told
from gateway.alarms.conditions.levels import Equals, Fault, Silent, Threshold, Unchanged
from gateway.alarms.conditions.linked import Deviates, Expressed
from gateway.alarms.conditions.results import LotExpires, Positives, Share
from gateway.alarms.conditions.rolling import Change, OutFor, Rolling
from gateway.alarms.conditions.seen import Condition, Seen
from gateway.alarms.conditions.words import rule
from gateway.alarms.expression import read
from gateway.alarms.when import When, reference

__all__ = ["Condition", "Seen", "Silent", "Told", "build", "by_device", "others", "rule"]

KINDS: Final[tuple[tuple[str, Callable[[When], Condition]], ...]] = (
    ("statistic", Rolling),
    ("out_for", OutFor),
    ("above", Threshold),
    ("below", Threshold),
    ("rises", Change),
    ("falls", Change),
    ("silent", Silent),
    ("unchanged", Unchanged),
    ("equals", Equals),
    ("fault", Fault),
    ("invalid", Share),
    ("positive", Share),
    ("positives", Positives),
    ("lot_expires", LotExpires),
)
OF_RESULTS: Final = ("silent", "invalid", "positive", "positives", "lot_expires")


def build(when: When, device: str = "", quantity: str = "") -> Condition:
    """The condition of one alarm on one device and quantity; a `Told` where observations do not decide it."""
    if when.deviates is not None:
        return Deviates(when, device, quantity)
    if when.expression is not None:
        return Expressed(when, device)
    for name, make in KINDS:
        if getattr(when, name) is not None:
            return make(when)
    return Told(when.delay, when)


def by_device(when: When) -> bool:
    """True where one condition stands for a whole device rather than for each of its quantities."""
    if when.fault is not None or when.expression is not None:
        return True
    return when.quantity == "*" and any(getattr(when, name) is not None for name in OF_RESULTS)


def others(when: When, device: str) -> frozenset[tuple[str, str]]:
    """The devices and quantities the condition of `device` is fed besides those the alarm is about."""
    if isinstance(when.from_, str):
        return frozenset({reference(when.from_, device)})
    if when.expression is None:
        return frozenset()
    inputs = {(named or device, quantity) for named, quantity in read(when.expression).inputs}
    return frozenset(key for key in inputs if key[0] != device or not fnmatchcase(key[1], when.quantity))
