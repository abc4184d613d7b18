"""A journal with one freezer in it, written and sealed by the journal's own code, and reports about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.config import Config, parse
from gateway.equipment import forms
from gateway.equipment.asked import Asked
from gateway.equipment.make import make
from gateway.equipment.report import Report
from gateway.journal import seals
from gateway.journal.schema import FILE, LAST, connect, migrate
from gateway.journal.transaction import Keep, Transaction
from gateway.reports import open_journal
from tests.gateway.served import row

START = datetime(2025, 3, 1, tzinfo=UTC)
CONFIG = """
[gateway]
site = "test-lab"
data_dir = "{folder}"

[[brokers]]
id = "bench"
host = "127.0.0.1"

[[devices]]
id = "freezer-1"
driver = "mqtt-json"
label = "{label}"
room = "Cold room"
timezone = "{zone}"
link = {{ type = "mqtt", broker = "bench", topic = "lab/freezer-1" }}
readings = [ {{ quantity = "temperature", path = "$.temp", unit = "Cel" }} ]
{more}

[[alarms]]
id = "freezer-warm"
title = "Freezer warm"
when = {{ device = "freezer-*", quantity = "temperature", above = -70.0, for = "10m" }}
{alarms}
"""


class Bench:
    """Minutes are counted from START."""

    def __init__(self, folder: Path, **more: str) -> None:
        said = {"folder": str(folder), "label": "-80 freezer", "zone": "UTC", "more": "", "alarms": "", **more}
        self.folder = folder
        self.text = CONFIG.format(**said)
        self.config: Config = parse(self.text)
        self._uid = 0
        with self._open() as transaction:
            migrate(transaction.db)
        seals.key(folder, make=True)

    @contextmanager
    def _open(self) -> Iterator[Transaction]:
        with closing(connect(self.folder / FILE)) as db:
            yield Transaction(db)

    def observe(self, minutes: float, *values: Any, every: float = 1.0, **fields: Any) -> None:
        """Values from that minute on; `late`: minutes from their time to their arrival."""
        late = timedelta(minutes=fields.pop("late", 0.0))
        with self._open() as transaction:
            transaction.db.execute("BEGIN")
            for n, value in enumerate(values):
                self._uid += 1
                at = START + timedelta(minutes=minutes + n * every)
                raw = transaction.keep(
                    Keep("freezer-1", "bench", int(at.timestamp() * 1e9), b"{}", LAST, lambda _id: None)
                )
                received = (at + late).isoformat(timespec="milliseconds").replace("+00:00", "Z")
                assert transaction.observe([row(raw, self._uid, at, value=value, received=received, **fields)]) == 1
            transaction.db.execute("COMMIT")

    def audit(self, action: str, minutes: float, **body: Any) -> None:
        at = (START + timedelta(minutes=minutes)).timestamp()
        with self._open() as transaction:
            transaction.audit(action, at_device=at, **body)

    def alarm(self, what: str, minutes: float, alarm: str, by: str = "", why: str = "") -> None:
        """A transition, as the alarms write it."""
        self.audit(f"alarm.{what}", minutes, alarm=alarm, transition=what, by=by, why=why)

    def seal(self) -> None:
        """What the running daemon does within a second or two."""
        secret = seals.key(self.folder)
        with self._open() as transaction:
            while (seal := seals.following(transaction.db, secret)) is not None:
                seals.store(transaction.db, seal)

    def report(self, since: Any = 0, until: Any = 60, device: str = "freezer-1", **asked: Any) -> Report:
        """`since` and `until` in minutes, or as somebody writes them."""
        times = [
            (START + timedelta(minutes=one)).isoformat() if isinstance(one, int | float) else one
            for one in (since, until)
        ]
        with open_journal(self.config) as db:
            return make(db, self.config, Asked(device, since=times[0], until=times[1], **asked))

    def written(self, form: str, made: str = "", **asked: Any) -> bytes:
        return forms.FORMS[form].write(self.report(**asked), made)
