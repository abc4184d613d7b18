"""The load under which faults come: instruments that do not give up, on every kind of link; and the count."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Container
from contextlib import closing
from typing import Any

from gateway.journal.schema import FILE, connect
from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import Analyser, Broker, HL7Sender, Publisher, SerialAnalyser
from tests.system.stores import Victoria
from tests.torture.daemon import MutatedDaemon
from tests.torture.row import Room, Tally
from tests.torture.store import ScriptedStore

ENDLESS = 1_000_000
CATCH_UP = 120.0  # seconds for the rest to come through, once nothing gets on any more
FLOOD = "flood"  # a device so called, or beginning so: nobody counts its results
STANDS_STILL = 5.0  # seconds without progress: nothing more is to come
BROKEN_CATCH_UP = 10.0  # where a promise is broken on purpose, and may never

_DEVICE = '[[devices]]\nid = "{id}"\ndriver = "{driver}"\nlink = {{ {link} }}\n{more}'
_READINGS = 'readings = [ { quantity = "temperature", path = "$.temp", unit = "Cel" } ]\n'


class Load:
    """Analysers over ASTM and HL7 on TCP, one on a serial line, a publisher on a real broker; with `store`, a real
    VictoriaMetrics. `begin` starts all of it and the daemon that hears them; `tally` ends it and counts."""

    def __init__(
        self,
        room: Room,
        *,
        astm: int = 2,
        hl7: int = 1,
        serial: int = 1,
        mqtt: bool = True,
        store: bool | ScriptedStore = False,
        pause: float = 0.002,
        ports: tuple[int, int] | None = None,
        listening: tuple[int, int] | None = None,
    ) -> None:
        """`pause`: seconds between two readings. `ports`: where ASTM and HL7 peers connect to, where not straight to
        the daemon (a wire with faults in between). `listening`: where the daemon does, else on free ports."""
        self.room = room
        self.astm_port, self.hl7_port = listening or (free_port(), free_port())
        to_astm, to_hl7 = ports or (self.astm_port, self.hl7_port)
        self.serial = [SerialAnalyser(f"SERIAL{n}", ENDLESS) for n in range(serial)]
        self.analysers = [*(Analyser(to_astm, f"S{n}", ENDLESS) for n in range(astm)), *self.serial]
        self.senders = [HL7Sender(to_hl7, f"H{n}", ENDLESS) for n in range(hl7)]
        self.more = ""  # of the configuration: what else the daemon hears
        self.refused: Container[int] = ()  # positions the store will not have
        for peer in (*self.analysers, *self.senders):
            room.also.callback(peer.stop)
        self.broker: Broker | None = None
        self.publisher: Publisher | None = None
        self.store: Victoria | ScriptedStore | None = None
        self.to_broker, self.broker_more = 0, ""  # where the daemon connects to, and how
        self.freezer = ""  # what else is said of the device on the broker
        if mqtt:
            self.broker = Broker(room.folder / "broker")
            self.to_broker = self.broker.port
            self.publisher = Publisher(self.broker.port, "lab/freezer", ENDLESS, pause)
            room.also.callback(self.broker.stop)
            room.also.callback(self.publisher.stop)
        if store is True:
            (room.folder / "store").mkdir()
            self.store = Victoria(room.folder / "store")
        elif store:
            self.store = store
        if self.store:
            room.also.callback(self.store.stop)

    @property
    def config(self) -> str:
        """[[brokers]], [[sinks]] and [[devices]]; no [gateway], no [http]."""
        parts = []
        if self.broker:
            parts.append(f'[[brokers]]\nid = "bench"\nhost = "127.0.0.1"\nport = {self.to_broker}\n')
            parts.append(self.broker_more)
        if self.store:
            parts.append(f'[[sinks]]\nid = "store"\ntype = "influxdb"\nurl = "{self.store.url}"\ntimeout = "5s"\n')
        for name, driver, port in (("astm", "astm", self.astm_port), ("hl7", "hl7", self.hl7_port)):
            link = f'type = "tcp-listen", port = {port}'
            parts.append(_DEVICE.format(id=name, driver=driver, link=link, more=""))
        for number, peer in enumerate(self.serial):
            link = f'type = "serial", port = "{peer.tty}"'
            parts.append(_DEVICE.format(id=f"serial-{number}", driver="astm", link=link, more=""))
        if self.broker:
            link = 'type = "mqtt", broker = "bench", topic = "lab/freezer"'
            parts.append(_DEVICE.format(id="freezer", driver="mqtt-json", link=link, more=_READINGS + self.freezer))
        return "\n".join([*parts, self.more])

    def begin(self, *, obeying_disk: bool = False, obeying_clock: bool = False, store: bool = True) -> MutatedDaemon:
        """Start everything (`store`: it too) and a daemon that hears it. Errors: AssertionError (it does not become
        ready)."""
        daemon = self.room.daemon(self.config, obeying_disk=obeying_disk, obeying_clock=obeying_clock)
        for place in (self.broker, self.store if store else None):
            if place:
                place.start()
        daemon.start()
        # What is published while nobody has subscribed is nobody's.
        if self.broker and not eventually(lambda: daemon.connected("freezer")):
            raise AssertionError("the broker grants no subscription")
        for peer in (*self.analysers, *self.senders, *([self.publisher] if self.publisher else ())):
            peer.start()
        self.room.check(self.goes_on(), "nothing is acknowledged")
        return daemon

    def stop(self) -> None:
        """No more messages; what is under way is brought to its end or given up. A serial line stays: closed, its name
        would go to whoever asks next, with the daemon still listening on it."""
        for peer in (*self.analysers, *self.senders):
            Analyser.stop(peer)
        if self.publisher:
            self.publisher.stop()

    @property
    def acknowledged(self) -> int:
        """How many results have been, over ASTM and HL7. (Their dictionaries grow while peers run.)"""
        return sum(len(peer.acknowledged) for peer in (*self.analysers, *self.senders))

    @property
    def resent(self) -> int:
        return sum(peer.resent for peer in (*self.analysers, *self.senders))

    def goes_on(self, more: int = 20, within: float = 60.0) -> bool:
        """Whether results are acknowledged (again)."""
        before = self.acknowledged
        return eventually(lambda: self.acknowledged >= before + more, within)

    def stands_still(self) -> bool:
        """Whether nothing is acknowledged over two seconds (what was on its way at first may be)."""
        time.sleep(0.5)
        before = self.acknowledged
        time.sleep(2.0)
        return self.acknowledged == before

    def tally(self, daemon: Daemon) -> Tally:
        """End the load, let everything come through, and count. The daemon runs, and goes on running."""
        self.stop()
        room = self.room
        results = {k: v for peer in (*self.analysers, *self.senders) for k, v in peer.acknowledged.items()}
        readings = self.publisher.acknowledged if self.publisher else set[int]()
        due, within = {*results, *readings}, BROKEN_CATCH_UP if room.mutation else CATCH_UP
        self._caught_up(daemon, within)
        eventually(lambda: due <= _names(daemon.export()), within)
        rows = daemon.export()
        report = daemon.verify()
        room.check(report["exit"] == 0 and report["unaccounted"] == 0, f"verify: {report}")
        expected = {row["seq"]: row["value"] for row in rows if row["seq"] not in self.refused}
        if self.store:
            eventually(lambda: not self._store_errs(expected), within)
            room.check(not (why := self._store_errs(expected)), why)
        return count(results, readings, rows, self._sent(), tuple(room.broken))

    def _caught_up(self, daemon: Daemon, within: float) -> None:
        """Wait as long as decoding and delivery get on: after hours of load there is much to read."""
        position = self._position(daemon)
        while eventually(lambda: self._position(daemon) != position, min(within, STANDS_STILL)):  # noqa: B023
            position = self._position(daemon)

    def _position(self, daemon: Daemon) -> list[tuple[str, int]]:
        """How far the journal's readers have come."""
        try:
            with closing(connect(daemon.data_dir / FILE, read_only=True)) as db:
                names = "('decode', 'sink:store')"
                return db.execute(f"SELECT name, seq FROM cursor WHERE name IN {names} ORDER BY name").fetchall()
        except sqlite3.OperationalError:  # held by the row's own fault
            return []

    def _sent(self) -> tuple[dict[str, str], int]:
        """Everything the peers ever put on a wire, acknowledged or not: results, and how many readings."""
        results = {k: v for peer in (*self.analysers, *self.senders) for k, v in peer.sent.items()}
        return results, self.publisher.sent if self.publisher else 0

    def _store_errs(self, expected: dict[int, float]) -> str:
        """What is wrong in the store; "" where it has just the expected."""
        try:
            there = self.in_store()
        except AssertionError as error:
            return f"the store: {error}"
        same = sum(there.get(seq) == value for seq, value in expected.items())
        return "" if there == expected else f"the store has {same} of {len(expected)} right, {len(there)} in all"

    def in_store(self) -> dict[int, float]:
        """Values in the store by journal position. Errors: AssertionError (one is there twice)."""
        assert self.store
        return self.store.by_seq("value")


def _names(rows: list[dict[str, Any]]) -> set[str | int]:
    return {_name(row) for row in rows if not row["device"].startswith(FLOOD)}


def _name(row: dict[str, Any]) -> str | int:
    """What a peer calls it: a specimen, or a reading's number."""
    return int(row["attributes"]["n"]) if row["device"] == "freezer" else str(row["specimen"])


def count(
    results: dict[str, str],
    readings: set[int],
    rows: list[dict[str, Any]],
    sent: tuple[dict[str, str], int],
    broken: tuple[str, ...] = (),
) -> Tally:
    """Compare what was acknowledged with the journal's rows: results and readings, but for those of `FLOOD`."""
    rows = [row for row in rows if row["kind"] in ("result", "reading") and not row["device"].startswith(FLOOD)]
    times = Counter(_name(row) for row in rows)
    ever, numbers = sent
    right: dict[str | int, float] = {name: float(value) for name, value in ever.items()}
    right |= dict.fromkeys(range(numbers), -80.1)
    wrong = {name for row in rows if (name := _name(row)) not in right or row["value"] != right[name]}
    return Tally(
        messages=len(right),
        acknowledged=len(results) + len(readings),
        stored=len(times),
        lost=len((results.keys() | readings) - times.keys()),
        doubled=sum(n - 1 for n in times.values()),
        wrong=len(wrong),
        broken=broken,
    )
