"""Freezers, incubators, rooms, balances: physics with noise."""

from __future__ import annotations

import math
import random
from datetime import datetime
from typing import Final

from simulators.models.world import Drawn, Stepped


class Freezer(Stepped):
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


class Incubator(Stepped):
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


class Room(Stepped):
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


class Balance(Stepped):
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
