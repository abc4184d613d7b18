"""The real daemon over a disk that obeys, or with a promise broken: `python -m tests.torture.daemon CONTROL MUTATION
run -c FILE`.

CONTROL is a JSON file (`tests.torture.disk.Faulty`), read again whenever it changes; "-": the disk as it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.system.daemon import Daemon
from tests.torture.disk import Faulty, install
from tests.torture.mutations import break_it


class MutatedDaemon(Daemon):
    """A daemon that breaks the promise `mutation` names; without one, the real command."""

    mutation = ""
    control: Path | None = None

    @property
    def program(self) -> list[str]:
        if not (self.mutation or self.control):
            return super().program
        return [sys.executable, "-m", "tests.torture.daemon", str(self.control or "-"), self.mutation]


class OnFaultyDisk(MutatedDaemon):
    """A daemon whose disk does what `disk` says."""

    def __init__(self, folder: Path, config: str) -> None:
        super().__init__(folder, config)
        self.control = folder / "disk.json"
        self.disk()

    def disk(self, **orders: Any) -> None:
        """From now on: `write`, `sync` (result codes), `slow` (seconds a flush), `kill` ([what, count, when])."""
        assert self.control
        new = self.control.with_suffix(".new")
        new.write_text(json.dumps(orders))
        new.replace(self.control)


if __name__ == "__main__":
    if (control := sys.argv.pop(1)) != "-":
        install(Faulty(Path(control)))
    from gateway.cli import main

    break_it(sys.argv.pop(1))
    main()
