"""Two exchanges on one virtual clock: no sockets, no sleep, faults in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from drivers.kit.declare import Message
from drivers.kit.exchange import Event, Exchange, Received, Rejected, Send, Speaker, receiver
from drivers.kit.recording import Piece
from simulators.faults import Faults
from simulators.outbox import Outbox
from simulators.wire import Broken, ToHost, Wire, away

LONGEST = 10_000  # steps at one moment before a conversation is called endless


@dataclass(slots=True)
class Bench:
    """A host and an instrument that hear each other over a wire with `faults`.

    A broken connection makes a new host of `host_again`, and an `Outbox` begins again; without them both are closed
    and go on. `channel` is what the link says of its messages (an MQTT topic),
    which it then carries whole.
    """

    host: Exchange
    instrument: Speaker
    faults: Faults = field(default_factory=lambda: Faults({}, 1))
    now: float = 0.0
    heard: list[Message] = field(default_factory=list)  # whole messages the host received
    refused: list[Rejected] = field(default_factory=list)
    host_again: Callable[[], Exchange] | None = None
    channel: str = ""
    brokered: bool = False  # a broker stands between: the host does not notice when the instrument goes
    log: list[tuple[float, Message | Rejected]] = field(default_factory=list)  # all of it, when it was whole
    record: bool = False
    pieces: list[Piece] = field(default_factory=list)  # what went over the wire, where it is recorded
    wire: Wire = field(init=False)
    _frames: dict[int, bytes] = field(default_factory=dict)  # of the message coming in, by the host's id()
    _old: list[Exchange] = field(default_factory=list)  # hosts whose instrument vanished without a word
    _back: float | None = None  # when the instrument is there again

    def __post_init__(self) -> None:
        self.wire = Wire(self.faults, whole=bool(self.channel))

    def say(self, message: bytes) -> None:
        """The instrument has a message to deliver."""
        self.wire.faults = self.faults
        self._instrument_did(self.instrument.offer(message, self.now))

    def run(self, until: float) -> None:
        """Let them talk until `until` (seconds of virtual time)."""
        self.wire.faults = self.faults
        at, steps = self.now, 0
        while steps < LONGEST:
            at, steps = (at, steps + 1) if at == self.now else (self.now, 0)
            step = None if self._back is not None else self.wire.take(self.now)
            if isinstance(step, ToHost):
                self._to_host(step.data, step.channel or self.channel)
            elif isinstance(step, Broken):
                self._broke(step.how)
            elif step is not None:
                self._instrument_did(receiver(self.instrument)(step.channel, step.data, self.now))
            elif not self._wait(until):
                self.now = max(self.now, until)
                return
        raise AssertionError("the conversation does not end")

    def end(self) -> None:
        """Everybody hangs up: the host keeps what was left unfinished."""
        for host in (*self._old, self.host):
            self._host_did(host, host.close())
        self._old.clear()

    def _wait(self, until: float) -> bool:
        if self._back is not None:
            return self._away(until)
        hosts = (self.host, *self._old)
        due = [d for d in (*(end.deadline for end in (*hosts, self.instrument)), self.wire.deadline) if d is not None]
        if not due or min(due) > until:
            return False
        self.now = max(self.now, min(due))
        for host in hosts:
            if host.deadline is not None and host.deadline <= self.now:
                self._host_did(host, host.tick(self.now))
        if self.instrument.deadline is not None and self.instrument.deadline <= self.now:
            self._instrument_did(self.instrument.tick(self.now))
        return True

    def _away(self, until: float) -> bool:
        if self._back is None or self._back > until:
            return False
        self.now, self._back = max(self.now, self._back), None
        self._connect()
        return True

    def _broke(self, how: str) -> None:
        self.wire.cut()
        will = getattr(self.instrument, "will", None)
        if self.brokered:
            if how != "disconnect" and isinstance(will, Send):
                self._to_host(will.data, will.channel)
        elif how == "half-open" and self.host_again:
            self._old.append(self.host)
        else:
            self._host_did(self.host, self.host.close())
        for _ in self.instrument.close():
            pass
        if seconds := away(how):
            self._back = self.now + seconds
        else:
            self._connect()

    def _connect(self) -> None:
        if self.host_again and not self.brokered:
            self.host = self.host_again()
        if isinstance(self.instrument, Outbox):
            self._instrument_did(self.instrument.again(self.now))

    def _to_host(self, data: bytes, channel: str) -> None:
        if self.record:
            self.pieces.append(Piece(self.now, True, data, channel))
        self._host_did(self.host, receiver(self.host)(channel, data, self.now), channel)

    def _instrument_did(self, events: Iterable[Event]) -> None:
        for event in events:
            data, channel = (event.data, event.channel) if isinstance(event, Send) else (event.reply, "")
            if data and self._back is None:
                self.wire.say(data, self.now, channel)

    def _host_did(self, host: Exchange, events: Iterable[Event], channel: str = "") -> None:
        for event in events:
            if isinstance(event, Rejected):
                self.refused.append(event)
                self.log.append((self.now, event))
            if isinstance(event, Received):
                frames = self._frames.pop(id(host), b"") + event.raw
                if event.complete:
                    message = Message(frames, event.channel or channel or self.channel, event.sound)
                    self.log.append((self.now, message))
                    if event.sound:
                        self.heard.append(message)
                else:
                    self._frames[id(host)] = frames
            data, where = (event.data, event.channel) if isinstance(event, Send) else (event.reply, "")
            if data and host is self.host:
                if self.record:
                    self.pieces.append(Piece(self.now, False, data, where or channel))
                self.wire.hear(data, self.now, where)
