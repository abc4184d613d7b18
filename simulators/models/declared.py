"""A model made from a driver's declaration: it draws what the quantities say can be observed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from drivers.kit.declare import Quantity
from drivers.kit.observation import Kind
from simulators.models.world import Drawn, Specimens, Stepped

STEPS: Final = 200  # at least, of a range whose resolution is not declared
PULL: Final = 0.02  # how fast a wandering reading comes back to the middle, a second


class Readings(Stepped):
    """Each declared reading wanders within its range, at its resolution; words are said one after the other."""

    def __init__(self, rng: random.Random, quantities: Sequence[Quantity]) -> None:
        super().__init__(rng)
        self._quantities = quantities
        self._at_range = {q.name: 0.5 for q in quantities}  # where in its range each one is

    def step(self, dt: float) -> None:
        for name, place in self._at_range.items():
            moved = place + (0.5 - place) * PULL * dt + self.rng.gauss(0, 0.01) * dt**0.5
            self._at_range[name] = min(1.0, max(0.0, moved))

    def draw(self, now: datetime) -> Drawn:
        self.advance(now)
        return {"time": now, "readings": {q.name: self._said(q) for q in self._quantities}}

    def _said(self, quantity: Quantity) -> str | int | float:
        if quantity.words:
            return self.rng.choice(quantity.words)
        return in_range(quantity, self._at_range[quantity.name])


class Results(Specimens):
    """A run a draw: a result for each declared quantity, every twentieth of a control."""

    def __init__(self, rng: random.Random, quantities: Sequence[Quantity]) -> None:
        super().__init__(rng)
        self._quantities = quantities

    def draw(self, now: datetime) -> Drawn:
        control = self.count % 20 == 19
        return {
            "time": now,
            "kind": "qc" if control else "result",
            "specimen": self.specimen("QC" if control else "S"),
            "patient": None if control else f"P{self.rng.randrange(10**6):06d}",
            "operator": self.rng.choice(("op1", "op2", "op7")),
            "results": [self._result(quantity) for quantity in self._quantities],
        }

    def _result(self, quantity: Quantity) -> dict[str, Any]:
        told: dict[str, Any] = {"quantity": quantity.name, "unit": quantity.unit}
        if quantity.field:
            told["test"] = quantity.field
        if quantity.words:
            told |= {"interpretation": self.rng.choice(quantity.words), "value": None}
        else:
            told["value"] = str(in_range(quantity, self.rng.random()))
        return told


def in_range(quantity: Quantity, place: float) -> int | float:
    """The value at `place` (0 to 1) of the declared range, at the declared resolution."""
    low = Decimal(str(quantity.low if quantity.low is not None else 0.0))
    high = Decimal(str(quantity.high if quantity.high is not None else 100.0))
    step = Decimal(str(quantity.step)) if quantity.step else _usual_step(high - low)
    value = low + step * int((high - low) / step * Decimal(str(place)))
    return int(value) if value == value.to_integral_value() else float(value)


def _usual_step(span: Decimal) -> Decimal:
    """A resolution as instruments have it: the power of ten that leaves at least `STEPS` steps."""
    return Decimal(1).scaleb((span / STEPS).adjusted()) if span > 0 else Decimal(1)


def declared(rng: random.Random, quantities: Sequence[Quantity]) -> Readings | Results:
    """The model of an instrument that observes `quantities`: results where any of them is one."""
    kinds = {quantity.kind for quantity in quantities}
    return Results(rng, quantities) if kinds & {Kind.RESULT, Kind.QC} else Readings(rng, quantities)
