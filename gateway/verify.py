"""Ledgers against the journal: what was acknowledged must be there, once, as it was meant, and nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

NAMED = 10  # offenders listed of each kind
NEAR = 0.0015  # seconds within which two times are one (a store or a wire may keep milliseconds)


class _Meant:
    """Everything the ledgers meant, by what identifies it."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.devices: set[str] = set()
        self.asked: set[str] = set()  # devices nobody acknowledges to: they may say one value several times
        self.entries: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)

    def read(self, path: Path) -> None:
        device = ""
        waiting: dict[int, list[dict[str, Any]]] = {}
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break  # its writer ended in the middle of a line
                entry = orjson.loads(line)
                if "ledger" in entry:
                    device = entry.get("device", "")
                    self.devices.add(device)
                    if not entry.get("confirmed", True):
                        self.asked.add(device)
                elif "meant" in entry:
                    waiting[entry["meant"]] = [{**one, "device": device} for one in entry["observations"]]
                    self.counts["meant"] += 1
                    for one in waiting[entry["meant"]]:
                        self.entries[_key(one, device)].append(one)
                elif "sent" in entry:
                    self.counts["sent"] += 1
                elif "acknowledged" in entry:
                    self.counts["acknowledged"] += 1
                    for one in waiting.pop(entry["acknowledged"], []):
                        one["acknowledged"] = True


def _key(one: dict[str, Any], device: str) -> tuple[Any, ...]:
    """Results are looked for by specimen, readings by quantity and value."""
    if one.get("specimen"):
        return (device, one["specimen"])
    return (device, one["quantity"], _value(one.get("value")))


def _value(value: Any) -> Any:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _means(value: Any, row: dict[str, Any]) -> bool:
    """Whether the stored value is the one meant, or became of it by a rule that is kept beside it."""
    sent = row["attributes"].get("value_as_sent", row["value"])
    return _value(value) in (_value(row["value"]), _value(sent), _number(sent))


def _number(text: Any) -> Any:
    try:
        return float(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def against(ledgers: Iterable[Path], rows: Iterator[tuple[int, bytes]]) -> tuple[dict[str, Any], bool]:
    """Counts and the first offenders; True where nothing is lost, doubled, altered or invented."""
    meant = _Meant()
    for path in ledgers:
        meant.read(path)
    found: Counter[int] = Counter()
    offenders: dict[str, list[str]] = {"lost": [], "doubled": [], "altered": [], "invented": []}
    counts: Counter[str] = Counter()
    for seq, body in rows:
        row = orjson.loads(body)
        if row["device"] not in meant.devices and "" not in meant.devices:
            continue
        if row["kind"] in ("event", "status"):
            continue  # what an instrument says of itself stands in no ledger
        counts["stored"] += 1
        one = _match(meant, row, found)
        if one is None and (row["value"], row["interpretation"]) == (None, None):
            continue  # "it did not answer" claims nothing
        if one is None:
            _note(offenders, counts, "invented", f"seq {seq}: {row['device']} {row['quantity']} {row['value']}")
            continue
        found[id(one)] += 1
        if found[id(one)] > 1 and (row["specimen"] or row["device"] not in meant.asked):
            _note(offenders, counts, "doubled", f"seq {seq}: {row['device']} {row['specimen'] or row['quantity']}")
        elif why := _differs(one, row):
            _note(offenders, counts, "altered", f"seq {seq}: {why}")
    for entries in meant.entries.values():
        for one in entries:
            if one.get("acknowledged") and not found[id(one)]:
                _note(
                    offenders, counts, "lost", f"{one['device']} {one.get('specimen') or one['quantity']} {one['time']}"
                )
    report: dict[str, Any] = {name: meant.counts[name] for name in ("meant", "sent", "acknowledged")}
    report |= {name: counts[name] for name in ("stored", *offenders)}
    report |= {f"{name}_first": listed for name, listed in offenders.items() if listed}
    return report, not any(counts[name] for name in offenders)


def _note(offenders: dict[str, list[str]], counts: Counter[str], kind: str, text: str) -> None:
    counts[kind] += 1
    if len(offenders[kind]) < NAMED:
        offenders[kind].append(text)


def _match(meant: _Meant, row: dict[str, Any], found: Counter[int]) -> dict[str, Any] | None:
    """The meant observation a stored one is; of equal ones the first not found yet."""
    candidates: list[dict[str, Any]] = []
    for device in (row["device"], ""):
        if row["specimen"]:
            candidates += [one for one in meant.entries.get((device, row["specimen"]), []) if _same_test(one, row)]
        else:
            equal = meant.entries.get((device, row["quantity"], _value(row["value"])), [])
            # Where the instrument said its time, that must be the one meant; elsewhere equal values take turns.
            if (at := _said(row)) is not None:
                equal = [one for one in equal if abs(_seconds(one["time"]) - at) < NEAR]
            candidates += equal
    # Of equal ones those that were acknowledged must be there; the others may be.
    for owed in (True, False):
        for one in candidates:
            if not found[id(one)] and bool(one.get("acknowledged")) is owed:
                return one
    return candidates[0] if candidates else None


def _said(row: dict[str, Any]) -> float | None:
    """The time the instrument said, as Unix seconds; None where it said none that can be read here."""
    told = row["device_time"]
    if not told:
        return None
    try:
        if told.startswith("unix:"):
            return float(told[5:])
        at = datetime.fromisoformat(told)
    except ValueError:
        at = None
    if at is not None and at.tzinfo is not None:
        return at.timestamp()
    # A time of its own zone and form: the stored one is the same, unless the clock was found wrong.
    clock = str(row["attributes"].get("quality_reason", ""))
    return None if "device clock" in clock or "clock_offset_s" in row["attributes"] else _seconds(row["time"])


def _same_test(one: dict[str, Any], row: dict[str, Any]) -> bool:
    """The instrument's name of the test, or the quantity it became."""
    said = _plain(row["attributes"].get("test", row["quantity"]))
    named = [_plain(one[name]) for name in ("test", "quantity") if one.get(name)]
    return said in named or row["quantity"] == one.get("quantity")


def _plain(test: str) -> str:
    """ "^^^GLU", "GLU" and "glu" are one test, as protocols write it."""
    return test.strip("^ ").casefold()


def _differs(one: dict[str, Any], row: dict[str, Any]) -> str:
    """Which field is not what was meant; "" when all are."""
    for name in ("kind", "specimen", "patient", "operator", "lot", "lot_expiry", "run", "interpretation", "flags"):
        if name in one and one[name] != row[name]:
            return f"{row['device']} {name} is {row[name]!r}, meant {one[name]!r}"
    if "value" in one and one["value"] is not None and not _means(one["value"], row):
        return f"{row['device']} value is {row['value']!r}, meant {one['value']!r}"
    return ""
