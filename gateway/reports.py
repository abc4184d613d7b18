"""What the commands print: exports, the journal's account of itself, versions."""

from __future__ import annotations

import platform
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from gateway.account import account
from gateway.config import Config
from gateway.journal import audit, seals
from gateway.journal.export import WRITERS, Selection, lines
from gateway.journal.opening import JournalError
from gateway.journal.schema import FILE, connect
from gateway.readings import readings

_AGE = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@contextmanager
def open_journal(config: Config) -> Iterator[sqlite3.Connection]:
    """The journal, read-only. Errors: JournalError where there is none yet."""
    path = config.gateway.data_dir / FILE
    if not path.exists():
        raise JournalError(f"there is no journal at {path}. Start the daemon once: assaygate run -c FILE")
    with closing(connect(path, read_only=True)) as db:
        yield db


def moment(text: str, now: datetime | None = None) -> int:
    """Unix microseconds of an RFC 3339 time, or of an age ("2h") before now. Errors: LookupError."""
    if age := _AGE.fullmatch(text):
        back = timedelta(seconds=float(age[1]) * _SECONDS[age[2]])
        at = (now or datetime.now(UTC)) - back
    else:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            message = f"{text!r} is no time. Write 2026-01-15T09:30:00Z, 2026-01-15, or an age such as 2h or 7d."
            raise LookupError(message) from None
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
    return int(at.timestamp() * 1_000_000)


def export_to(
    config: Config,
    since: str | None,
    until: str | None,
    device: str | None,
    quantity: str | None,
    form: str,
    output: IO[bytes],
) -> None:
    """Write the selected observations to `output`; progress on standard error where that is a terminal."""
    wanted = Selection(moment(since) if since else None, moment(until) if until else None, device, quantity)
    with open_journal(config) as db:
        (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM observation").fetchone()
        WRITERS[form](_with_progress(lines(db, wanted), last), cast(BinaryIO, output))
        output.flush()


def _with_progress(rows: Iterator[tuple[int, bytes]], last: int) -> Iterator[tuple[int, bytes]]:
    for count, row in enumerate(rows):
        if count % 5000 == 0:
            _progress(f"{100 * row[0] // max(last, 1)} %")
        yield row
    _progress("")


def _progress(text: str) -> None:
    """What long work is at, where somebody watches a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text:<40}" if text else f"\r{'':40}\r")
        sys.stderr.flush()


def verify_journal(config: Config, ledgers: tuple[Path, ...], head: str = "") -> tuple[dict[str, Any], bool]:
    """The journal's account of itself, and against ledgers what the simulators meant; whether all is well.

    `head`: the seals' head as it was noted elsewhere. Errors: JournalError, SealKeyError.
    """
    with open_journal(config) as db:
        _progress("checking the file's pages")
        damage = [row[0] for row in db.execute("PRAGMA integrity_check(10)") if row[0] != "ok"]
        _progress("checking the audit chain")
        entries, broken = audit.broken(db)
        _progress("counting messages")
        books = account(db, readings(config).get)
        report: dict[str, Any] = {"journal": "damaged" if damage else "sound", "damage": damage, **asdict(books)}
        report["audit"] = f"{entries} entries, " + ("whole" if broken is None else f"broken at {broken}")
        _progress("checking the seals")
        chain = _seals(db, config.gateway.data_dir, head)
        report |= chain
        good = not damage and broken is None and not books.unaccounted and not chain["altered_or_missing"]
        if ledgers:
            from gateway.verify import against

            (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM observation").fetchone()
            counts, fine = against(ledgers, _with_progress(lines(db, Selection()), last))
            report |= counts
            good = good and fine
    _progress("")
    return report, good


def _seals(db: sqlite3.Connection, data_dir: Path, head: str) -> dict[str, Any]:
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name='seal'").fetchone():
        return {"seals": "none yet: this journal is of an older version", "altered_or_missing": []}
    found = seals.check(db, seals.key(data_dir), head)
    told = f"{found.seals}, head {found.head}" if found.seals else "none yet"
    told += (
        f"; {found.rows} rows as they were sealed, {found.removed} removed by retention, {found.unsealed} not sealed"
    )
    problems = [*found.problems, *([f"and {found.more} more"] if found.more else [])]
    return {"seals": told, "altered_or_missing": problems}


def versions() -> dict[str, Any]:
    """Versions of the gateway and of what its answers depend on."""
    found: dict[str, Any] = {"assaygate": metadata.version("assaygate"), "python": platform.python_version()}
    found["platform"] = platform.platform()
    found["sqlite"] = sqlite3.sqlite_version
    for name in ("pydantic", "paho-mqtt", "aiomqtt", "pyserial", "influxdb-client", "starlette", "uvicorn"):
        found[name] = metadata.version(name)
    return found
