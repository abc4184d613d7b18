"""The journal's folder: who has it open, how the last process left it, and the space kept back for a full disk."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import IO, Final

LOCK: Final = "lock"
RUNNING: Final = "running"
RESERVE: Final = 16 << 20  # bytes set aside so that a full disk can still record its own alarm


class InUseError(Exception):
    """Another process has the folder open; the message says which."""


def holder(path: Path) -> str | None:
    """The process (its number as text) that has the journal of this folder open; None where nobody has."""
    try:
        with (path / LOCK).open("r") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read().strip() or "unknown"
    except OSError:
        pass
    return None


class Folder:
    """One process's hold on a data folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None
        self._reserve = path / "reserve"

    def take(self) -> None:
        """Make it ours alone. Errors: InUseError, OSError."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = (self.path / LOCK).open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            self._lock = None
            raise InUseError(
                f"{self.path} is in use by another assaygate (process {holder(self.path)}). Stop it, or give this "
                "one its own gateway.data_dir."
            ) from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    @property
    def left_running(self) -> bool:
        """True where the last process did not end as it should."""
        return (self.path / RUNNING).exists()

    @property
    def used(self) -> bool:
        """True where a journal has been open in it before."""
        return self.left_running or self._reserve.exists()

    def running(self) -> None:
        """From here on a sudden end leaves a trace."""
        (self.path / RUNNING).touch()

    def release(self, *, well: bool) -> None:
        """Let others have it; `well`: everything was committed and closed."""
        if self._lock:
            if well:
                (self.path / RUNNING).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    # ---- space kept back

    def reserved(self) -> bool:
        """Whether the reserve is there; it is made where there is room for it twice."""
        try:
            if self._reserve.exists():
                return True
            if shutil.disk_usage(self.path).free < 2 * RESERVE:
                return False
            with self._reserve.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE)
        except OSError:
            self.spend()
            return False
        return True

    def spend(self) -> None:
        """Give the reserve to whoever writes next."""
        self._reserve.unlink(missing_ok=True)
