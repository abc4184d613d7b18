"""Where a scenario's instruments are plugged in, and the gateway's configuration for that bench."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulators.endpoints import free_port
from simulators.plan import key, toml
from simulators.scenario import Placed, Scenario


@dataclass(frozen=True, slots=True)
class Bench:
    """Links for the simulators by instrument, and the `[[devices]]` and `[[alarms]]` of the gateway."""

    links: Mapping[str, str]
    text: str


def place(scenario: Scenario, folder: Path, broker: tuple[str, int] = ("127.0.0.1", 1883)) -> Bench:
    """Give every instrument its place: names of pseudo-terminals and folders below `folder`, free ports, topics."""
    links, text = {}, ""
    for placed in scenario.instruments:
        links[placed.id], link = _place(placed, folder, broker)
        preset = {"variant": placed.variant} if placed.variant else {}
        table = {"id": placed.id, "driver": placed.driver, **preset, "link": link, **placed.options, **placed.device}
        text += _table("devices", table)
    for alarm in scenario.alarms:
        text += _table("alarms", alarm)
    return Bench(links, text)


def whole(scenario: Scenario, bench: Bench, folder: Path, broker: tuple[str, int]) -> str:
    """A configuration the gateway can run with."""
    text = f'# For: {scenario.title}\n[gateway]\nsite = "simulated"\ndata_dir = {toml(str(folder / "data"))}\n'
    if any(placed.link == "mqtt" for placed in scenario.instruments):
        text += f'\n[[brokers]]\nid = "bench"\nhost = {toml(broker[0])}\nport = {broker[1]}\n'
    return text + bench.text


def _place(placed: Placed, folder: Path, broker: tuple[str, int]) -> tuple[str, dict[str, Any]]:
    match placed.link:
        case "tcp":
            port = free_port()
            return f"tcp:127.0.0.1:{port}", {"type": "tcp-listen", "port": port}
        case "tcp-listen":
            port = free_port()
            return f"tcp-listen:127.0.0.1:{port}", {"type": "tcp", "host": "127.0.0.1", "port": port}
        case "opcua":
            port = free_port()
            return f"opcua:127.0.0.1:{port}", {"type": "opcua", "url": f"opc.tcp://127.0.0.1:{port}"}
        case "sila":
            port = free_port()
            link = {"type": "sila", "host": "127.0.0.1", "port": port, "insecure": True}
            return f"sila:127.0.0.1:{port}", link
        case "pty":
            path = folder / f"{placed.id}.tty"
            return f"pty:{path}", {"type": "serial", "port": str(path)}
        case "folder":
            path = folder / placed.id
            return f"folder:{path}", {"type": "file", "path": str(path)}
        case "mqtt":
            topic = f"lab/{placed.id}"
            return f"mqtt:{broker[0]}:{broker[1]}/{topic}", {"type": "mqtt", "broker": "bench", "topic": topic}


def _table(name: str, table: Mapping[str, Any]) -> str:
    return f"\n[[{name}]]\n" + "".join(f"{key(one)} = {toml(value)}\n" for one, value in table.items())
