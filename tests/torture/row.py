"""What a row of the table is: a fault, and what came of the messages sent while it lasted."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.torture.daemon import MutatedDaemon, OnFaultyDisk, OnWrongClock
from tests.torture.disk import install


@dataclass(frozen=True, slots=True)
class Tally:
    """What instruments sent and were told, against what the journal (and the store, where there is one) has.

    `messages`: different ones, however often they were sent again. `lost`: told "received" and not there. `doubled`:
    there more than once. `wrong`: there, but not as sent, or never sent. `broken`: what else was promised and did not
    hold, in words. `failed`: why the row could not be brought to its end: neither a proof nor a disproof.
    """

    messages: int
    acknowledged: int
    stored: int
    lost: int
    doubled: int
    wrong: int
    broken: tuple[str, ...] = ()
    failed: str = ""

    @property
    def good(self) -> bool:
        return bool(self.acknowledged) and not (self.red or self.failed)

    @property
    def red(self) -> bool:
        """A promise was seen broken."""
        return bool(self.lost or self.doubled or self.wrong or self.broken)

    def noting(self, broken: Sequence[str]) -> Tally:
        """The same, with what was seen after the count."""
        return replace(self, broken=tuple(broken))


@dataclass
class Room:
    """Where a row happens: a folder of its own, and everything begun in it is ended with it (`also`, last in, first
    out). `scale` multiplies how much is sent and how often the fault comes."""

    folder: Path
    also: ExitStack
    mutation: str = ""
    scale: int = 1
    broken: list[str] = field(default_factory=list)

    def daemon(self, config: str, *, obeying_disk: bool = False, obeying_clock: bool = False) -> MutatedDaemon:
        """A daemon, not started; `[gateway]` and `[http]` are written before `config`."""
        if obeying_disk:
            try:
                install(None)
            except RuntimeError as error:
                pytest.skip(str(error))
        kind = OnFaultyDisk if obeying_disk else OnWrongClock if obeying_clock else MutatedDaemon
        made = kind(self.folder, config)
        made.mutation = self.mutation
        self.also.callback(made.kill)
        return made

    def check(self, holds: bool, words: str) -> None:
        """Note what else was promised and does not hold."""
        if not holds:
            self.broken.append(words)


@dataclass(frozen=True, slots=True)
class Row:
    """One fault. `run` brings it about in a room; each of `mutations` (`tests.torture.mutations`) must turn it red."""

    family: str
    fault: str
    run: Callable[[Room], Tally]
    mutations: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.family}: {self.fault}"


def happen(row: Row, folder: Path, mutation: str = "", scale: int = 1) -> Tally:
    """Bring a row about.

    Errors: pytest.skip.Exception (what it takes is not on this machine).
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as also:
        room = Room(folder, also, mutation, scale)
        try:
            return row.run(room)
        except (AssertionError, OSError, LookupError, ValueError, RuntimeError, subprocess.SubprocessError) as error:
            return Tally(0, 0, 0, 0, 0, 0, tuple(room.broken), f"{type(error).__name__}: {error}"[:2000])
