"""Chaos on the real thing: every simulator at once on one running daemon, with every fault its link and protocol can
have, an hour of simulated time in a minute. What was acknowledged is there, once, as it was meant, and nothing else."""

from __future__ import annotations

import json
import os
import tomllib
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import drivers
from simulators.faults import possible
from simulators.plan import key, toml
from simulators.probe import MEDIA, guards
from tests.system.daemon import Daemon, eventually
from tests.system.peers import Broker, broker
from tests.system.test_simulate import Control, simulated

__all__ = ["broker"]

PLUGGED = {
    "tcp-listen": "tcp",
    "tcp": "tcp-listen",
    "serial": "pty",
    "mqtt": "mqtt",
    "file": "folder",
    "opcua": "opcua",
    "sila": "sila",
}
PUBLISHING = {"mqtt-json", "senml", "sparkplug"}  # what they say before somebody subscribes, a broker gives nobody
SPEED = 60.0  # an hour in a minute
CHANCE = 0.01  # of each fault, a write
WAITED = 0.0003  # of those that cost an instrument real seconds each time
WAITING = {"silence", "half-open", "unplug", "late-ack", "enq-contention", "no-ack", "nak"}
SEED = int(os.environ.get("CHAOS_SEED", "7"))
SAID = 150  # messages of each instrument, at least


def instrument(name: str) -> dict[str, Any]:
    """One instrument of a scenario, as its driver's example declares it."""
    driver = drivers.load(name)
    link = next(one for one in driver.links if one in PLUGGED)
    (table, *_rest) = tomllib.loads(driver.example)["devices"]
    options = {key_: value for key_, value in table.items() if key_ in driver.options.model_fields}
    if "poll" in options:
        options["poll"] = "200ms"
    held = guards(driver, driver.trial())
    faults = possible(MEDIA[link], held)
    told: dict[str, Any] = {"id": name, "driver": name, "link": PLUGGED[link], "rate": 1 / 12, "seed": SEED}
    told["device"] = {"clock_limit": "4h"}  # the bench's clock runs ahead of ours
    if name == "sparkplug":  # whose nodes choose their topics
        told["device"]["link"] = {"type": "mqtt", "broker": "bench", "topic": "spBv1.0/#"}
    return {**told, "options": options, "faults": {one: WAITED if one in WAITING else CHANCE for one in faults}}


@pytest.mark.chaos
def test_every_simulator_at_once_with_every_fault(tmp_path: Path, broker: Broker) -> None:
    everyone = [instrument(name) for name in drivers.names()]
    text = f'title = "Everything at once"\nspeed = {SPEED}\nlasts = "1h"\n'
    text += '[[events]]\nat = 0\ninstrument = "*"\npause = true\n'  # until the gateway has subscribed
    for one in everyone:
        text += "\n[[instruments]]\n" + "".join(f"{key(name)} = {toml(value)}\n" for name, value in one.items())
    bench = tmp_path / "bench.toml"
    bench.write_text(text)
    config, ledgers = tmp_path / "made" / "assaygate.toml", tmp_path / "ledgers"
    words = ("--scenario", str(bench), "--config", str(config), "--ledger", str(ledgers), "--control", "0")
    with simulated(*words, "--link", f"mqtt:127.0.0.1:{broker.port}") as running:
        running.said("assaygate run -c (.*)")
        tell = Control(running)
        daemon = Daemon(tmp_path, "")
        daemon.config.write_text(config.read_text() + f'\n[http]\nlisten = "127.0.0.1:{daemon.http}"\n')
        daemon.start()
        try:
            assert eventually(lambda: connected(daemon) >= PUBLISHING, 30)
            tell("resume")
            assert eventually(lambda: min(counts(tell).values()) >= SAID, 200), str(counts(tell))
            tell("pause")
            for name in counts(tell):
                for fault in next(one for one in everyone if one["id"] == name)["faults"]:
                    tell(f"fault {fault}=0 {name}")
            assert eventually(lambda: not behind(tell), 120), behind(tell)
            tell("stop")
            running.end()
            report = daemon.verify(*ledgers.iterdir())
            seen = {row["device"] for row in daemon.export()}
        finally:
            tell.close()
            daemon.stop()
    assert seen == {one["id"] for one in everyone}
    wrong = {name: report[name] for name in ("lost", "doubled", "altered", "invented")}
    told = json.dumps({name: report[name] for name in report if name != "damage"})
    assert wrong == dict.fromkeys(wrong, 0), f"{told} Again: CHAOS_SEED={SEED} make chaos"
    assert report["unaccounted"] == 0
    assert report["acknowledged"] > 1000, report


def connected(daemon: Daemon) -> set[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.http}/api/v1/devices", timeout=5) as answer:
        return {one["id"] for one in json.load(answer)["items"] if one["state"] == "connected"}


def counts(tell: Control) -> dict[str, int]:
    return {name: one["sent"] for name, one in tell("status")["instruments"].items()}


def behind(tell: Control) -> dict[str, Any]:
    """Who still has something to deliver (what a sensor gave up when its broker was gone, it has not)."""
    status = tell("status")["instruments"]
    return {name: one for name, one in status.items() if one["waiting"]}
