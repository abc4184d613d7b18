"""Chaos: every driver's instrument for an hour with every fault its wire can have and its protocol can notice.

First on a virtual clock, each driver, variant and medium by itself: exchange, decoding, normalising and the uids in
memory, against what the same seed gives on a clean wire. Then all together against the daemon.

What a protocol cannot notice is not asked of it: a line without a checksum prints whatever a turned bit makes of it
(`simulators.faults.FAULTS[...].needs`, `python -m simulators.probe` lists it for every driver).
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from typing import Any

import orjson
import pytest

import drivers
from drivers.kit.declare import Message
from drivers.kit.observation import Kind
from gateway.decode import Failure, Reading, read
from gateway.journal.schema import BROKEN, LAST
from gateway.journal.transaction import RawMessage
from gateway.normalise import DeviceSettings, Normaliser
from simulators.faults import Guard, Medium, possible
from simulators.plan import Plan
from simulators.probe import LINKS, guards, media
from simulators.rehearsal import Rehearsal
from simulators.source import settled

SEED = int(os.environ.get("CHAOS_SEED", "1"))
HOUR, SHORT = 3600.0, 600.0  # a driver itself, each of its variants
EVERY = 25.0  # seconds between two messages
CHANCE = {Medium.LINE: 0.04, Medium.STREAM: 0.04, Medium.BROKER: 0.2, Medium.FOLDER: 0.2}  # of each fault, a write

FILED = {"astm": {"framing": "none"}, "genexpert": {"framing": "none"}}  # what these need to write files

Way = tuple[str, str, Medium]
WAYS: list[Way] = [
    (name, variant, medium)
    for name in drivers.names()
    for variant in ("", *(one.name for one in drivers.load(name).variants))
    for medium in media(drivers.load(name))[: None if not variant else 1]
]


def plan(way: Way, seed: int = SEED) -> Plan:
    name, variant, medium = way
    options = FILED.get(name, {}) if medium is Medium.FOLDER else {}
    return Plan(
        name, LINKS[medium], options=options, rate=1 / EVERY, seed=seed, variant=variant, device="chaos", example=True
    )


def rehearsed(way: Way, faults: dict[str, float], seed: int = SEED) -> Rehearsal:
    channel = "lab/chaos/SENSOR" if way[2] in (Medium.BROKER, Medium.FOLDER) else ""  # Tasmota reads the last level
    rehearsal = Rehearsal(replace(plan(way, seed), faults=faults), channel)
    rehearsal.run(SHORT if way[1] else HOUR)
    return rehearsal


def stored(rehearsal: Rehearsal) -> list[dict[str, Any]]:
    """What the journal would hold: whole messages in order, then what was broken off, each uid once."""
    driver, options = rehearsal.source.driver, rehearsal.source.options
    preset = driver.preset(rehearsal.plan.variant).device if rehearsal.plan.variant else {}
    normaliser = Normaliser(
        "chaos", DeviceSettings.model_validate(preset), driver.observed(options), driver.identity(options)
    )
    reading = Reading(driver, options, normaliser)
    rows: dict[bytes, dict[str, Any]] = {}
    heard = [(at, one) for at, one in rehearsal.bench.log if isinstance(one, Message)]
    for number, (at, message) in enumerate(sorted(heard, key=lambda one: not one[1].sound), 1):
        state = LAST if message.sound else BROKEN
        topic = bool(rehearsal.channel)
        raw = RawMessage(number, "chaos", message.channel, int(at * 1e9), message.data, state, False, topic)
        result = read(raw, reading)
        if isinstance(result, Failure):
            assert result.reason != "fault", result.detail
            continue
        for row in result:
            rows.setdefault(row.uid, orjson.loads(row.body))
    values = [row for row in rows.values() if row["kind"] in (Kind.RESULT, Kind.QC, Kind.READING)]
    return [row for row in values if (row["value"], row["interpretation"]) != (None, None)]  # "it did not answer"


def said(row: dict[str, Any]) -> tuple[Any, ...]:
    """A row as the instrument meant it: all but when (and the run, where that is a time), which faults of the clock
    change, and our own numbers."""
    names = ("kind", "quantity", "code", "value", "unit", "comparator", "interpretation", "specimen", "patient",
             "operator", "lot", "lot_expiry")  # fmt: skip
    return (*(row[name] for name in names), *sorted(row["flags"]))


@pytest.mark.parametrize("way", WAYS, ids=["-".join(filter(None, way)) for way in WAYS])
def test_an_hour_of_every_fault_loses_alters_and_doubles_nothing(way: Way) -> None:
    driver = drivers.load(way[0])
    held = guards(driver, settled(driver, plan(way)), way[2])
    faults = possible(way[2], held)
    clean, wild = rehearsed(way, {}), rehearsed(way, dict.fromkeys(faults, CHANCE[way[2]]))
    meant, found = Counter(map(said, stored(clean))), Counter(map(said, stored(wild)))
    wrong = []
    if not meant or not wild.faults.count:
        wrong.append("nothing came over a clean wire, or no fault happened")
    wrong += [f"stored, and nobody meant it: {row}" for row in found.keys() - meant.keys()]
    if Guard.IDENTIFIED in held:
        wrong += [f"stored twice: {row}" for row in found - meant]
    if wild.bench.instrument.confirms:
        if wild.source.acknowledged != wild.source.sent:
            wrong.append(f"never delivered: {wild.source.sent - wild.source.acknowledged} of {wild.source.sent}")
        wrong += [f"acknowledged and lost: {row}" for row in meant - found]
    chosen = "-".join(filter(None, way))
    assert not wrong, (
        f"{wrong[:5]} Again: CHAOS_SEED={SEED} .venv/bin/pytest 'tests/system/test_chaos.py' -k '{chosen}'"
    )
