"""The real daemon over a disk that obeys: `python -m tests.torture.daemon CONTROL MUTATION run -c FILE`.

CONTROL is a JSON file (`tests.torture.disk.Faulty`); it is read again whenever it changes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.system.daemon import Daemon
from tests.torture.disk import Faulty, install


class OnFaultyDisk(Daemon):
    """A daemon whose disk does what `disk` says."""

    def __init__(self, folder: Path, config: str) -> None:
        super().__init__(folder, config)
        self.control = folder / "disk.json"
        self.mutation = ""
        self.disk()

    @property
    def program(self) -> list[str]:
        return [sys.executable, "-m", "tests.torture.daemon", str(self.control), self.mutation]

    def disk(self, **orders: Any) -> None:
        """From now on: `write`, `sync` (result codes), `slow` (seconds a flush), `kill` ([what, count, when])."""
        new = self.control.with_suffix(".new")
        new.write_text(json.dumps(orders))
        new.replace(self.control)


if __name__ == "__main__":
    install(Faulty(Path(sys.argv.pop(1))))
    from gateway.cli import main
    from tests.torture.mutations import MUTATIONS

    if name := sys.argv.pop(1):
        MUTATIONS[name]()

    main()
