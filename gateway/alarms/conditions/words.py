"""Conditions in words: what a rule waits for, and spans of time as people say them. Pure."""

from __future__ import annotations

from drivers.kit.durations import SECONDS
from gateway.alarms.when import When

SPOKEN = {"d": "d", "h": "h", "m": "min", "s": "s"}


def spoken(seconds: float) -> str:
    """600 -> "10 min", 5400 -> "90 min", 3725 -> "62 min", 93784 -> "26 h": in whole numbers, round spans exactly."""
    seconds = round(seconds) if seconds >= 10 else seconds
    for unit, word in SPOKEN.items():
        if seconds and seconds % SECONDS[unit] == 0:
            return f"{seconds / SECONDS[unit]:.0f} {word}"
    if seconds >= SECONDS["h"]:
        unit = "h" if seconds >= SECONDS["d"] else "m"
        return f"{seconds / SECONDS[unit]:.0f} {SPOKEN[unit]}"
    return f"{seconds:g} s"


def tidy(text: str) -> str:
    """Without the blanks a missing unit leaves."""
    return text.replace("  ", " ")


def rule(when: When) -> str:
    """ "above -70 for 10 min, clears below -72"."""
    text = _main(when)
    if when.delay:
        text += f" for {spoken(when.delay)}"
    if when.clear_below is not None:
        text += f", clears below {when.clear_below:g}"
    if when.clear_above is not None:
        text += f", clears above {when.clear_above:g}"
    if when.clear_for:
        text += f", clears after {spoken(when.clear_for)}"
    return text


def _main(when: When) -> str:
    within = f" within {spoken(when.within)}" if when.within else ""
    limits = " or ".join(
        f"{name} {limit:g}" for name, limit in (("above", when.above), ("below", when.below)) if limit is not None
    )
    if limits and when.statistic:
        return f"{when.statistic}{within} {limits}"
    if limits and when.out_for is not None:
        return f"{limits}, for {spoken(when.out_for)} in all{within}"
    if limits:
        return limits
    changes = " or ".join(
        f"{name} by {by:g}" for name, by in (("rises", when.rises), ("falls", when.falls)) if by is not None
    )
    if changes:
        return changes + within
    if when.deviates is not None:
        other = when.from_ if isinstance(when.from_, str) else f"{when.from_ or 0.0:g}"
        return f"differs from {other} by more than {when.deviates:g}"
    if when.invalid is not None or when.positive is not None:
        return _share(when)
    return _other(when, within)


def _share(when: When) -> str:
    name, share = ("invalid", when.invalid) if when.invalid is not None else ("positive", when.positive)
    text = f"{share or 0.0:.0%} of the last {when.of_last} results"
    if when.per:
        text += f" of the same {when.per}"
    text += f" {name}"
    if when.over_baseline is not None:
        text += f", and {when.over_baseline:g} times the share of the {when.baseline} before"
    return text


def _other(when: When, within: str) -> str:
    if when.fault is not None:
        return "a fault is reported"
    said = (
        (when.silent, "nothing received for {}"),
        (when.unchanged, "unchanged for {}"),
        (when.lot_expires, "a lot expired or to expire within {}"),
        (when.behind, "not delivered for {}"),
    )
    for lasting, text in said:
        if lasting is not None:
            return text.format(spoken(lasting))
    if when.positives is not None:
        return f"{when.positives} positive results{within}"
    if when.quarantine is not None:
        return f"{when.quarantine} messages not understood{within}"
    return when.expression if when.expression is not None else f"is {when.equals}"
