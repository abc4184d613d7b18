"""What a thousand alarms cost on five hundred devices that say a thousand readings a second."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from gateway.alarms.annunciator import Annunciator
from gateway.alarms.conditions import Seen, build
from gateway.alarms.options import AlarmOptions
from gateway.alarms.when import When

DEVICES: Final = 500
RATE: Final = 1000  # readings a second, of all
SECONDS: Final = 60
SAVED: Final = 2  # times what is remembered is written in so many seconds
START: Final = 1_780_000_000.0
KINDS: Final[tuple[dict[str, Any], ...]] = (
    {"above": -70.0, "for": "10m", "clear_below": -72.0},
    {"statistic": "mean", "within": "1h", "above": -70.0},
    {"statistic": "mkt", "within": "7d", "above": -70.0},
    {"statistic": "sd", "within": "1d", "below": 0.001},
    {"rises": 8.0, "within": "10m"},
    {"above": -60.0, "out_for": "30m", "within": "1d"},
    {"unchanged": "1h"},
    {"silent": "5m"},
    {"deviates": 5.0, "from": "door"},
    {"expression": "{temperature} > -60 and {door} > 0"},
)


def core_share() -> float:
    """Seconds of one core used for a second of readings: reading each, two rules of it, ticks and saved states."""
    alarms = [
        AlarmOptions(
            id=f"a{number}",
            when=When.model_validate({"device": f"d{number % DEVICES}", "quantity": "temperature"}
                                     | KINDS[(number // DEVICES + number) % len(KINDS)]),
        )
        for number in range(2 * DEVICES)
    ]  # fmt: skip
    panel = Annunciator(alarms)
    noise = random.Random(1)
    bodies = [
        [_body(f"d{device}", second, noise) for device in range(DEVICES) for _ in range(RATE // DEVICES)]
        for second in range(SECONDS)
    ]
    for body in bodies[0]:
        panel.feed(Seen.of(1, body))  # routes are found once
    began = time.process_time()
    for second, rows in enumerate(bodies):
        for body in rows:
            panel.feed(Seen.of(1, body))
        panel.tick(START + second)
        if second % (SECONDS // SAVED) == 0:
            orjson.dumps(panel.dump())
    return (time.process_time() - began) / SECONDS


def window_ratio() -> float:
    """What a sample costs a rule over a week, in parts of what it costs one over a minute, both full."""
    return _sample("7d", 60.0) / _sample("1m", 0.1)


def _sample(window: str, step: float) -> float:
    condition = build(When.model_validate({"statistic": "mean", "within": window, "above": 1e9}))
    count = 20_000
    seen = [Seen(1, "d", "t", "reading", float(n % 7), None, None, False, n * step, n * step) for n in range(2 * count)]
    for one in seen[:count]:
        condition.feed(one)
    began = time.process_time()
    for one in seen[count:]:
        condition.feed(one)
    return (time.process_time() - began) / count


def _body(device: str, second: int, noise: random.Random) -> bytes:
    at = datetime.fromtimestamp(START + second, UTC).isoformat()
    return orjson.dumps(
        {"uid": "x", "device": device, "kind": "reading", "quantity": "temperature", "code": None,
         "value": -80 + noise.gauss(0, 0.1), "unit": "Cel", "comparator": None, "interpretation": None, "flags": [],
         "status": "final", "time": at, "received": at, "quality": "good", "raw": 1, "attributes": {}}
    )  # fmt: skip
