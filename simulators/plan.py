"""What to simulate, and the command that does it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LINKS = (
    "pty[:PATH], tcp:HOST:PORT, tcp-listen:HOST:PORT, rfc2217:HOST:PORT, mqtt:HOST:PORT/TOPIC, folder:PATH, "
    "opcua:HOST:PORT, sila:HOST:PORT"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """One simulated instrument."""

    driver: str
    link: str  # one of LINKS
    model: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    rate: float = 1.0  # messages a second; 0: as fast as they are acknowledged
    speed: float = 1.0
    seed: int = 1
    faults: Mapping[str, float] = field(default_factory=dict)
    ledger: Path | None = None
    device: str = ""
    seconds: float | None = None
    count: int | None = None
    zone: str = "UTC"
    variant: str = ""
    record: Path | None = None  # write the wire traffic here
    example: bool = False  # options over those of the driver's example, whatever the defaults would make

    def command(self) -> str:
        """The command that runs this plan, its seed included."""
        words = ["assaygate", "simulate", self.driver, "--link", self.link, "--seed", str(self.seed)]
        for name in ("model", "variant", "device", "count", "ledger", "record"):
            if value := getattr(self, name):
                words += [f"--{name}", str(value)]
        words += ["--rate", f"{self.rate:g}"]
        if self.speed != 1:
            words += ["--speed", f"{self.speed:g}"]
        if self.seconds is not None:
            words += ["--for", f"{self.seconds:g}"]
        for name, rate in self.faults.items():
            words += ["--fault", f"{name}={rate:g}"]
        for name, value in self.options.items():
            words += ["--option", f"{name}={toml(value)}"]
        return shlex.join(words)


def toml(value: Any) -> str:
    """A value as TOML writes it within a line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key(name)} = {toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)


def key(name: str) -> str:
    """A key as TOML writes it, quoted where it must be."""
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else json.dumps(name)
