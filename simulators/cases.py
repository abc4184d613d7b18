"""Cases: a recording in a driver's folder, and what it must decode to."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any, Final

from drivers.kit import recording
from drivers.kit.declare import Driver
from drivers.kit.exchange import Rejected
from drivers.kit.observation import Draft

SHOWN: Final = 60  # bytes of a failing input in a finding


def shown(data: bytes) -> str:
    """Bytes for people, cut short."""
    return f"{data[:SHOWN]!r}{'...' if len(data) > SHOWN else ''}"


def case_differs(driver: Driver, case: recording.Case) -> str:
    """The first thing in which a case's recording does not decode to its expectation; "" where it does.

    `<case>.toml` has the options, and may name a `variant` they come on top of.
    Each line of `<case>.ndjson` names fields of one draft; `value` may be the number its text means. Errors: OSError,
    RecordingError, and whatever the driver raises.
    """
    given = tomllib.loads(case.options.read_text(encoding="utf-8")) if case.options else {}
    variant = given.pop("variant", "")
    options = driver.options.model_validate({**(driver.preset(variant).options if variant else {}), **given})
    made: list[Draft] = []
    for heard in recording.play(driver.host(options), recording.read(case.wire.read_text(encoding="utf-8"))):
        if isinstance(heard, Rejected):
            return f"{heard.reason}: {shown(heard.raw)}"
        made += driver.decode(heard, options)
    for line in case.expected.read_text(encoding="utf-8").splitlines():
        meant = json.loads(line)
        fits = [one for one in made if _is(one, meant)]
        if not fits:
            return f"no draft is {line}"
        if why := _other(fits[0], meant):
            return f"{why} in {line}"
    return ""


def _is(one: Draft, meant: Mapping[str, Any]) -> bool:
    named = (meant.get("test"), meant.get("quantity"))
    return (
        (one.test == named[0] or (one.quantity is not None and one.quantity == named[1]))
        and one.specimen == meant.get("specimen")
        and ("value" not in meant or _plain(one.value) == _plain(meant["value"]))
    )


def _other(one: Draft, meant: Mapping[str, Any]) -> str:
    for name in ("kind", "patient", "operator", "lot", "lot_expiry", "run", "unit", "comparator", "device_time"):
        if meant.get(name) is not None and getattr(one, name) != meant[name]:
            return f"{name} is {getattr(one, name)!r}"
    if list(one.flags) != meant.get("flags", []):
        return f"flags are {list(one.flags)}"
    return ""


def _plain(value: object) -> object:
    try:
        return value if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return value
