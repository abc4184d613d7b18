"""What one edge node's births said, and whether its messages come one after the other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from drivers.kit.sparkplug import BDSEQ, Known, Look, Payload, walk
from drivers.kit.sparkplug_values import Holder, value_of

SEQS = 256
UNITS = ("engUnit", "EngUnit", "engUnits", "Units", "units", "unit", "Engineering Units")
"""Keys of the property a metric's unit stands in: Ignition's engUnit first."""
MOST_NAME = 500  # characters; it is written behind the topic of every message with the metric
MOST_WAIT = 3600.0  # seconds between two requests that nobody answers


@dataclass(slots=True)
class Node:
    """One edge node as far as we have followed it."""

    aliases: dict[int, tuple[str, Known]] = field(default_factory=dict)  # alias -> device, metric
    names: dict[tuple[str, str], Known] = field(default_factory=dict)  # by device and name
    devices: set[str] = field(default_factory=set)  # born and not dead
    born: bool = False
    bdseq: int | None = None
    due: float | None = None  # when a birth is asked for
    asked: float | None = None  # when it was last
    tries: int = 0
    _expected: int | None = None
    _missing: set[int] = field(default_factory=set)
    _last: bytes = b""

    @property
    def gap(self) -> bool:
        """True while messages are missing that nobody has made up for by a birth."""
        return bool(self._missing)

    # ---- births and deaths

    def birth(self, device: str, payload: Payload) -> None:
        """A birth: of the node (device ""), which ends everything known before, or of a device."""
        if device:
            self._forget(device)
            self.devices.add(device)
        else:
            self.dead()
            self.born, self.bdseq = True, bdseq(payload)
            self.due, self.tries = None, 0
        templates = ((one.name, one) for one in payload.metrics if one.holder is Holder.TEMPLATE)
        members = ((name, metric) for name, metric, _ in walk(payload.metrics, lambda _alias, _name: None))
        for name, metric in (*templates, *members):
            if name is None or len(name) > MOST_NAME:
                continue
            known = Known(name, metric.datatype, unit(metric.properties) or "")
            if metric.alias is not None:
                self.aliases[metric.alias] = (device, known)
            self.names[device, name] = known

    def dead(self) -> None:
        """The node is gone and its devices with it: aliases mean nothing until it is born again."""
        self.aliases.clear()
        self.names.clear()
        self.devices.clear()
        self._missing.clear()
        self.born, self.bdseq, self._expected = False, None, None

    def device_dead(self, device: str) -> None:
        self._forget(device)
        self.devices.discard(device)

    def _forget(self, device: str) -> None:
        self.aliases = {alias: one for alias, one in self.aliases.items() if one[0] != device}
        self.names = {key: one for key, one in self.names.items() if key[0] != device}

    def look(self, device: str) -> Look:
        """What is known of a device's metrics, or of the node's own (device "")."""

        def known(alias: int | None, name: str | None) -> Known | None:
            if name is not None:
                return self.names.get((device, name))
            found = None if alias is None else self.aliases.get(alias)
            return found[1] if found and found[0] == device else None

        return known

    @property
    def size(self) -> int:
        """How much is remembered."""
        return len(self.names) + len(self.aliases) + len(self.devices)

    # ---- the order of messages

    def restart(self, seq: int | None, data: bytes) -> None:
        """A node's birth: counting begins."""
        self._last = hashlib.sha256(data).digest()
        self._missing.clear()
        self._expected = None if seq is None else (seq + 1) % SEQS

    def count(self, seq: int | None, data: bytes) -> None:
        """Note a message's number. The same message twice is no gap."""
        digest = hashlib.sha256(data).digest()
        again, self._last = digest == self._last, digest
        if seq is None or again:
            return
        if self._expected is None or seq == self._expected:
            self._expected = (seq + 1) % SEQS
        elif seq in self._missing:
            self._missing.discard(seq)
            if not self._missing:
                self.due = None  # nothing is missing any more
        else:
            self._missing.update((self._expected + n) % SEQS for n in range((seq - self._expected) % SEQS))
            self._expected = (seq + 1) % SEQS

    # ---- asking

    def want(self, now: float, after: float, pause: float) -> None:
        """A birth is wanted `after` seconds from now; not sooner than a pause after the last request."""
        at = now + after
        if self.asked is not None:
            at = max(at, self.asked + min(MOST_WAIT, pause * 2 ** min(12, max(0, self.tries - 1))))
        self.due = at if self.due is None else min(self.due, at)

    def ask(self, now: float) -> None:
        """It is being asked for."""
        self.due, self.asked, self.tries = None, now, self.tries + 1


def unit(properties: object) -> str | None:
    """The unit a metric's properties say."""
    if not isinstance(properties, dict):
        return None
    said = next((properties[key] for key in UNITS if isinstance(properties.get(key), str)), None)
    return said[:100] if isinstance(said, str) and said.strip() else None


def bdseq(payload: Payload) -> int | None:
    """The number of the session, in a birth or a death of a node."""
    metric = payload.named(BDSEQ)
    found = value_of(metric.holder, metric.held, metric.datatype or 4, BDSEQ).value if metric else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None
