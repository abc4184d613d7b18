"""What instruments measure: seeded physics and biology, stepped by model time. Pure; no wall clock.

`draw(now)` gives what a driver's `encode` takes. A reading model is stepped by the time since its last draw; a
result model makes one run a draw, each specimen once.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Protocol

Drawn = Mapping[str, Any]
LONGEST_STEP: Final = 5.0  # seconds of physics at once


class Model(Protocol):
    """One instrument's world."""

    def draw(self, now: datetime) -> Drawn: ...

    def happen(self, event: str) -> None:
        """Something happens to it: an event of a scenario. ValueError where the model knows no such event."""
        ...


class _Stepped:
    """Advances `step(dt)` in small steps to the time asked for."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._at: datetime | None = None

    def advance(self, now: datetime) -> None:
        left = (now - self._at).total_seconds() if self._at else 0.0
        self._at = now
        while left > 0:
            step = min(left, LONGEST_STEP)
            self.step(step)
            left -= step

    def step(self, dt: float) -> None:
        raise NotImplementedError

    def happen(self, event: str) -> None:
        raise ValueError(f"{type(self).__name__} knows no event {event!r}")


class Freezer(_Stepped):
    """A -80 C freezer: a compressor between two points, a door that lets warm air in, a load that is slow."""

    EVENTS: Final = ("door-open", "door-close", "power-off", "power-on")

    def __init__(self, rng: random.Random, setpoint: float = -80.0) -> None:
        super().__init__(rng)
        self._setpoint = setpoint
        self._air = setpoint + rng.uniform(-1, 1)
        self._cooling, self._power, self._door = True, True, False

    def step(self, dt: float) -> None:
        if self._air > self._setpoint + 1.5:
            self._cooling = True
        elif self._air < self._setpoint - 1.5:
            self._cooling = False
        leak = (22.0 - self._air) * (0.006 if self._door else 0.00035) * dt
        pull = 0.09 * dt if self._cooling and self._power else 0.0
        self._air += leak - pull

    def happen(self, event: str) -> None:
        match event:
            case "door-open" | "door-close":
                self._door = event == "door-open"
            case "power-off" | "power-on":
                self._power = event == "power-on"
            case _:
                super().happen(event)

    def draw(self, now: datetime) -> Drawn:
        self.advance(now)
        temperature = round(self._air + self.rng.gauss(0, 0.08), 2)
        return {"time": now, "readings": {"temperature": temperature, "door": self._door}}


class Incubator(_Stepped):
    """A CO2 incubator for stem cells: 37 C, 5 % CO2, humid."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._temperature, self._co2, self._humidity = 36.8, 4.8, 90.0
        self._door = False

    def step(self, dt: float) -> None:
        warm, gas, wet = (22.0, 0.1, 45.0) if self._door else (37.0, 5.0, 93.0)
        pace = dt / (120.0 if self._door else 400.0)
        self._temperature += (warm - self._temperature) * min(1.0, pace)
        self._co2 += (gas - self._co2) * min(1.0, pace * 2)
        self._humidity += (wet - self._humidity) * min(1.0, pace)

    def happen(self, event: str) -> None:
        if event not in ("door-open", "door-close"):
            super().happen(event)
        self._door = event == "door-open"

    def draw(self, now: datetime) -> Drawn:
        self.advance(now)
        noise = self.rng.gauss
        return {
            "time": now,
            "readings": {
                "temperature": round(self._temperature + noise(0, 0.03), 2),
                "co2": round(max(0.0, self._co2 + noise(0, 0.02)), 2),
                "humidity": round(min(100.0, self._humidity + noise(0, 0.3)), 1),
            },
        }


class Room(_Stepped):
    """A room's air through a day, and the battery of the sensor."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._seconds, self._battery = rng.uniform(0, 86400), 100.0

    def step(self, dt: float) -> None:
        self._seconds += dt
        self._battery = max(0.0, self._battery - dt / 3.0e5)

    def draw(self, now: datetime) -> Drawn:
        self.advance(now)
        swing = math.sin(2 * math.pi * self._seconds / 86400)
        return {
            "time": now,
            "readings": {
                "temperature": round(22.5 + 1.8 * swing + self.rng.gauss(0, 0.05), 2),
                "humidity": round(46 - 6 * swing + self.rng.gauss(0, 0.3), 1),
                "battery": round(self._battery),
            },
        }


class Balance(_Stepped):
    """An analytical balance: loads come and go, and take a moment to settle."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._load = self._shown = 0.0
        self._left = 4.0

    def step(self, dt: float) -> None:
        self._left -= dt
        if self._left <= 0:
            self._load = 0.0 if self._load else round(self.rng.uniform(0.05, 200.0), 4)
            self._left = self.rng.uniform(5, 15)
        self._shown += (self._load - self._shown) * (1 - math.exp(-dt / 0.5))

    def draw(self, now: datetime) -> Drawn:
        self.advance(now)
        stable = abs(self._load - self._shown) < 0.0005
        mass = self._load if stable else self._shown
        return {"time": now, "stable": stable, "readings": {"mass": f"{mass + self.rng.choice((0, 0.0001)):.4f}"}}


class _Bench:
    """Specimens one after the other."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.count = 0
        self._name = f"{rng.randrange(16**4):04X}"

    def specimen(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self._name}-{self.count:05d}"

    def happen(self, event: str) -> None:
        raise ValueError(f"{type(self).__name__} knows no event {event!r}")


ASSAYS: Final = MappingProxyType(
    # test: (unit, median, spread of the logarithm, digits, upper limit)
    {
        "CRP": ("mg/L", 4.0, 1.1, 1, 5.0),
        "GLU": ("mmol/L", 5.4, 0.25, 2, 6.1),
        "CREA": ("umol/L", 75.0, 0.3, 0, 104.0),
        "PCT": ("ng/mL", 0.08, 1.2, 2, 0.5),
    }
)


class Chemistry(_Bench):
    """A chemistry analyser: a panel a specimen, a control run every twentieth time."""

    def draw(self, now: datetime) -> Drawn:
        control = self.count % 20 == 19
        specimen = self.specimen("QC" if control else "S")
        results = []
        for test, (unit, median, spread, digits, limit) in ASSAYS.items():
            value = round(median * math.exp(self.rng.gauss(0, 0.03 if control else spread)), digits)
            flags = ["H"] if value > limit and not control else []
            results.append({"test": f"^^^{test}", "quantity": test.lower(), "value": f"{value:.{digits}f}",
                            "unit": unit, "flags": flags})  # fmt: skip
        return {
            "time": now,
            "kind": "qc" if control else "result",
            "specimen": specimen,
            "patient": None if control else f"P{self.rng.randrange(10**6):06d}",
            "operator": self.rng.choice(("op1", "op2", "op7")),
            "results": results,
        }


class GeneXpert(_Bench):
    """Cartridges for HIV viral load and SARS-CoV-2; some fail."""

    HIV: Final = "^^^HIV-1_VL^2^Xpert_HIV-1 Viral Load^2^^"
    COV: Final = "^^^SARS-CoV-2^2^Xpert Xpress SARS-CoV-2^1^^"

    def draw(self, now: datetime) -> Drawn:
        specimen = self.specimen("X")
        chance = self.rng.random()
        result: dict[str, Any]
        if chance < 0.05:
            result = {"test": self.COV, "interpretation": "invalid", "value": None, "error_code": "5017"}
        elif chance < 0.5:
            call = "detected" if self.rng.random() < 0.3 else "not-detected"
            result = {"test": self.COV, "interpretation": call, "value": None}
        elif chance < 0.75:
            result = {"test": self.HIV, "interpretation": "not-detected", "value": None}
        else:
            copies = f"{10 ** self.rng.uniform(1.7, 6):.2f}"
            result = {"test": self.HIV, "interpretation": "detected", "value": copies, "unit": "copies/mL"}
        return {
            "time": now,
            "specimen": specimen,
            "operator": "op3",
            "lot": "1113243530",
            "lot_expiry": "20270825",
            "run": str(630000 + self.count),
            "results": [result],
        }


class Cassettes(_Bench):
    """A rapid-test reader: a cassette a draw, some positive, some without a control line."""

    def draw(self, now: datetime) -> Drawn:
        control = self.rng.gauss(900, 90)
        positive = self.rng.random() < 0.25
        line = self.rng.gauss(420, 140) if positive else abs(self.rng.gauss(8, 5))
        if self.rng.random() < 0.06:
            control, line = abs(self.rng.gauss(20, 10)), 0.0
        valid = control >= 200
        result = {
            "test": "SARS-CoV-2 Ag",
            "quantity": "sars-cov-2-ag",
            "interpretation": ("positive" if line > 40 else "negative") if valid else "invalid",
            "control_line": round(control),
            "test_line": max(0, round(line)),
            "ratio": round(max(0.0, line) / max(control, 1), 3),
        }
        return {
            "time": now,
            "specimen": self.specimen("C"),
            "patient": f"P{self.rng.randrange(10**6):06d}",
            "operator": "op5",
            "lot": "LF2611A",
            "lot_expiry": "2027-11",
            "run": str(self.count),
            "results": [result],
        }


MODELS: Final[Mapping[str, Callable[[random.Random], Model]]] = MappingProxyType(
    {
        "freezer": Freezer,
        "fridge": lambda rng: Freezer(rng, 5.0),
        "incubator": Incubator,
        "room": Room,
        "balance": Balance,
        "chemistry": Chemistry,
        "genexpert": GeneXpert,
        "cassettes": Cassettes,
    }
)
USUAL: Final = MappingProxyType(
    {
        "astm": "chemistry",
        "genexpert": "genexpert",
        "lateral-flow": "cassettes",
        "mt-sics": "balance",
        "mqtt-json": "freezer",
        "senml": "incubator",
    }
)


def model(name: str, seed: int) -> Model:
    """The named model. Errors: LookupError."""
    if name not in MODELS:
        raise LookupError(f"no model is called {name!r}. Known are: {', '.join(MODELS)}.")
    return MODELS[name](random.Random(f"{name}/{seed}"))


@dataclass(slots=True)
class Clock:
    """Model time: starts with the real one, runs `speed` times as fast, and may be wrong by `offset`."""

    started: datetime
    speed: float = 1.0
    offset: timedelta = field(default_factory=timedelta)

    def at(self, elapsed: float) -> datetime:
        return self.started + timedelta(seconds=elapsed * self.speed) + self.offset
