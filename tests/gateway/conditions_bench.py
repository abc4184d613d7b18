"""Rules and observations for the tests of conditions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.alarms.conditions import Condition, Seen, build
from gateway.alarms.when import When

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


def when(**said: Any) -> When:
    return When.model_validate(said)


def rule(**said: Any) -> Condition:
    """The condition on the temperature of freezer-3. `for` and `from` are words of Python: for_, from_."""
    said = {"quantity": "temperature", **{name.removesuffix("_"): value for name, value in said.items()}}
    return build(when(**said), "freezer-3", "temperature")


def seen(at: float, value: Any, **more: Any) -> Seen:
    fields: dict[str, Any] = {
        "seq": 1,
        "device": "freezer-3",
        "quantity": "temperature",
        "kind": "reading",
        "comparator": None,
        "interpretation": None,
        "bad": False,
        "received": at,
    }
    return Seen(value=value, time=at, **fields | more)


def result(at: float, verdict: str, **more: Any) -> Seen:
    return seen(at, None, kind="result", interpretation=verdict, **more)


def fed(condition: Condition, points: Iterable[tuple[float, Any]]) -> Condition:
    for at, value in points:
        condition.feed(seen(at, value))
    return condition


def course(condition: Condition, *points: tuple[float, Any]) -> list[bool]:
    """Whether it held after each."""
    return [fed(condition, [point]).holds for point in points]
