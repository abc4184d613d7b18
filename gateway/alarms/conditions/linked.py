"""Conditions on several quantities: a deviation from a set point or a twin, and expressions."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, TypeGuard

from gateway.alarms.conditions.delayed import Delayed
from gateway.alarms.conditions.levels import Limits
from gateway.alarms.conditions.seen import Seen
from gateway.alarms.conditions.words import tidy
from gateway.alarms.expression import read
from gateway.alarms.when import When, reference

Key = tuple[str, str]  # device and quantity


class _Linked(Delayed, ABC):
    """Remembers the newest value of each input. Each is ordered by its own times; inputs that are further apart than
    `fresh` are not compared."""

    def __init__(self, when: When, inputs: tuple[Key, ...]) -> None:
        super().__init__(when)
        self._fresh = when.fresh
        self._inputs = inputs
        self._newest: dict[Key, tuple[float, float | str | bool]] = {}

    @property
    def latest(self) -> float:
        """Of the input that is furthest behind: another may be late for itself, and still count."""
        return min(self._newest[key][0] if key in self._newest else -math.inf for key in self._inputs)

    def feed(self, seen: Seen) -> None:
        key = (seen.device, seen.quantity)
        value = seen.interpretation if seen.value is None else seen.value
        if key not in self._inputs or seen.bad or value is None or seen.comparator:
            return
        known = self._newest.get(key)
        if known and seen.time < known[0]:
            return
        self._newest[key] = (seen.time, value)
        if seen.time >= self._latest:
            self._latest, self._received = seen.time, seen.received
        self._decide(seen)

    @abstractmethod
    def _decide(self, seen: Seen) -> None: ...

    def _known(self) -> dict[Key, float | str | bool]:
        """The inputs that are recent enough, beside the newest of them."""
        return {key: value for key, (time, value) in self._newest.items() if self._latest - time <= self._fresh}

    def set_back(self, now: float) -> None:
        super().set_back(now)
        self._newest = {key: (min(time, now), value) for key, (time, value) in self._newest.items()}

    def dump(self) -> list[Any]:
        return [*super().dump(), [[*key, time, value] for key, (time, value) in self._newest.items()]]

    def load(self, state: list[Any]) -> None:
        super().load(state)
        self._newest = {(device, quantity): (time, value) for device, quantity, time, value in state[6]}


class Deviates(_Linked):
    """Differs by more than so much from a number, or from another quantity."""

    def __init__(self, when: When, device: str, quantity: str) -> None:
        self._own = (device, quantity)
        self._other = reference(when.from_, device) if isinstance(when.from_, str) else None
        self._point = when.from_ if isinstance(when.from_, float) else None
        super().__init__(when, (self._own,) if self._other is None else (self._own, self._other))
        self._limits = Limits(when.deviates, None, when.clear_below, None)

    def _decide(self, seen: Seen) -> None:
        known = self._known()
        own = known.get(self._own)
        other = self._point if self._other is None else known.get(self._other)
        if not _is_number(own) or not _is_number(other):
            self._undecided()
            return
        apart = abs(own - other)
        side = self._limits.side(apart, "above" if self.holds else "")
        self.value = own
        name = "the set point" if self._other is None else "/".join(self._other)
        self.explanation = tidy(f"{own:g} {seen.unit} differs by {apart:g} from {other:g} of {name}")
        self._judge(bool(side), self._latest)


class Expressed(_Linked):
    """An expression is true."""

    def __init__(self, when: When, device: str) -> None:
        self._expression = read(when.expression or "")
        self._keys = [(named or device, quantity) for named, quantity in self._expression.inputs]
        super().__init__(when, tuple(dict.fromkeys(self._keys)))
        self._device = device

    def _decide(self, seen: Seen) -> None:
        known = self._known()
        inputs = zip(self._expression.inputs, self._keys, strict=True)
        is_true = self._expression.evaluate({name: known[key] for name, key in inputs if key in known})
        self.value = seen.value
        self.explanation = ", ".join(f"{self._name(key)} is {_told(known.get(key))}" for key in self._inputs)
        if is_true is None:
            self._undecided()
        else:
            self._judge(is_true, self._latest)

    def _name(self, key: Key) -> str:
        return key[1] if key[0] == self._device else "/".join(key)


def _told(value: float | str | bool | None) -> str:
    return "unknown" if value is None else f"{value:g}" if _is_number(value) else str(value).lower()


def _is_number(value: float | str | bool | None) -> TypeGuard[float]:
    return value is not None and not isinstance(value, bool | str)
