"""Two exchanges on one virtual clock: no sockets, no sleep, faults in between."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from drivers.kit.declare import Message
from drivers.kit.exchange import Event, Exchange, Received, Rejected, Send, Speaker
from simulators.faults import Faults, Pause

LONGEST = 100_000  # steps before a conversation is called endless


@dataclass(slots=True)
class Bench:
    """A host and an instrument that hear each other; `faults` damage what the instrument says."""

    host: Exchange
    instrument: Speaker
    faults: Faults = field(default_factory=lambda: Faults({}, 1))
    now: float = 0.0
    heard: list[Message] = field(default_factory=list)  # whole messages the host received
    refused: list[Rejected] = field(default_factory=list)
    _frames: bytes = b""
    _to_host: list[bytes] = field(default_factory=list)
    _to_instrument: list[bytes] = field(default_factory=list)

    def say(self, message: bytes) -> None:
        """The instrument has a message to deliver."""
        self._instrument_did(self.instrument.offer(message, self.now))

    def run(self, until: float) -> None:
        """Let them talk until nothing is due before `until` (seconds of virtual time)."""
        for _ in range(LONGEST):
            if self._to_host:
                self._host_did(self.host.receive(self._to_host.pop(0), self.now))
            elif self._to_instrument:
                self._instrument_did(self.instrument.receive(self._to_instrument.pop(0), self.now))
            elif not self._wait(until):
                return
        raise AssertionError("the conversation does not end")

    def _wait(self, until: float) -> bool:
        due = [d for d in (self.host.deadline, self.instrument.deadline) if d is not None]
        if not due or min(due) > until:
            return False
        self.now = max(self.now, min(due))
        if self.host.deadline is not None and self.host.deadline <= self.now:
            self._host_did(self.host.tick(self.now))
        if self.instrument.deadline is not None and self.instrument.deadline <= self.now:
            self._instrument_did(self.instrument.tick(self.now))
        return True

    def _instrument_did(self, events: Iterable[Event]) -> None:
        for event in events:
            data = event.data if isinstance(event, Send) else event.reply
            if data:
                for step in self.faults.write(data):
                    if isinstance(step, bytes) and step:
                        self._to_host.append(step)
                    elif isinstance(step, Pause):
                        self.now += step.seconds

    def _host_did(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Rejected):
                self.refused.append(event)
            if isinstance(event, Received):
                self._frames += event.raw
                if event.complete:
                    if event.sound:
                        self.heard.append(Message(self._frames, event.channel))
                    self._frames = b""
            data = event.data if isinstance(event, Send) else event.reply
            if data:
                self._to_instrument.append(data)
