"""What a simulated instrument meant, sent and had acknowledged: one JSON object a line, written as it happens.

`{"ledger": 1, "driver", "device", "seed", "confirmed"}` (confirmed false: nobody acknowledges), then for message n
`{"meant": n, "observations": [...]}`, `{"sent": n}` and `{"acknowledged": n}`. An observation names the fields that the
stored one must equal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from drivers.kit.words import interpret

CARRIED = ("specimen", "patient", "operator", "lot", "lot_expiry", "run")


@dataclass(frozen=True, slots=True)
class Carried:
    """What an instrument's messages have a place for: fields of `CARRIED`, quantities (None: whatever it reads), flags,
    and whether they can say that a result is a control's."""

    fields: frozenset[str] = frozenset(CARRIED)
    quantities: frozenset[str] | None = None
    flags: bool = True
    controls: bool = True


def meant(drawn: Mapping[str, Any], has: Carried = Carried()) -> list[dict[str, Any]]:
    """The observations a message should become, as far as the instrument can know them and say them."""
    time = drawn["time"].astimezone(UTC)
    if "readings" in drawn:
        return [
            {"kind": "reading", "quantity": quantity, "value": _plain(value), "time": _time(time)}
            for quantity, value in drawn["readings"].items()
            if value is not None and (has.quantities is None or quantity in has.quantities)
        ]
    carried = {name: drawn[name] for name in CARRIED if name in has.fields and drawn.get(name) is not None}
    found = []
    for result in drawn.get("results", ()):
        one = {"kind": drawn.get("kind", "result"), "test": result.get("test"), **carried, "time": _time(time, 0)}
        if result.get("quantity"):
            one["quantity"] = result["quantity"]
        if result.get("interpretation") is not None and (call := interpret(result["interpretation"])):
            one["interpretation"] = str(call)  # an instrument's own words mean what its configuration says
        if result.get("value") is not None:
            one["value"] = _plain(result["value"])
        if result.get("flags") and has.flags:
            one["flags"] = list(result["flags"])
        found.append(one)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _time(moment: datetime, digits: int = 3) -> str:
    return moment.isoformat(timespec="milliseconds" if digits else "seconds").replace("+00:00", "Z")


class Ledger:
    """Appends to a file; None writes nothing. Each line is handed to the system at once, so it survives our end."""

    def __init__(self, path: Path | None, header: Mapping[str, Any]) -> None:
        self._file: IO[str] | None = path.open("w", encoding="utf-8", buffering=1) if path else None
        self._write({"ledger": 1, **header})

    def meant(self, number: int, observations: list[dict[str, Any]]) -> None:
        self._write({"meant": number, "observations": observations})

    def sent(self, number: int) -> None:
        self._write({"sent": number})

    def acknowledged(self, number: int) -> None:
        self._write({"acknowledged": number})

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file:
            self._file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None
