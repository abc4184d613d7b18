"""The real daemon over a disk or by a clock that obeys, or with a promise broken: `python -m tests.torture.daemon
CONTROL MUTATION run -c FILE`.

CONTROL is a JSON file, read again whenever it changes: disk.json (`tests.torture.disk.Faulty`), clock.json
(`tests.torture.clock.Clock`); "-": all as it is."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.system.daemon import Daemon
from tests.torture import clock
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
        _tell(self.control, orders)


class OnWrongClock(MutatedDaemon):
    """A daemon whose wall clock goes as `clock` says; the commands beside it go by the real one."""

    def __init__(self, folder: Path, config: str) -> None:
        super().__init__(folder, config)
        self.control = folder / "clock.json"
        self.clock()

    def clock(self, at: datetime | None = None, *, ahead: float = 0.0) -> None:
        """From now on: at this moment, or ahead of the real time by so many seconds."""
        assert self.control
        _tell(self.control, {"ahead": at.timestamp() - time.time() if at else ahead})


def _tell(control: Path, orders: dict[str, Any]) -> None:
    new = control.with_suffix(".new")
    new.write_text(json.dumps(orders))
    new.replace(control)


if __name__ == "__main__":
    if (control := Path(sys.argv.pop(1))).name == "clock.json":
        clock.install(control)
    elif control.name != "-":
        install(Faulty(control))
    from gateway.cli import main

    break_it(sys.argv.pop(1))
    main()
