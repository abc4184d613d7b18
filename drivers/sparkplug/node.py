"""A simulated edge node with one device: births, data by alias, rebirth when asked, and its death as the will."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from drivers.kit.exchange import DecodeError, Event, Send
from drivers.kit.observation import Value
from drivers.kit.sparkplug import BDSEQ, REBIRTH, Payload, Topic, Verb, read, write
from drivers.kit.sparkplug_values import Type, put_metric, put_update, value_of
from drivers.sparkplug.births import SEQS, unit
from drivers.sparkplug.options import SparkplugOptions

GROUP, NODE, DEVICE = "sim", "edge-1", "device-1"
TYPES: Final = {"UInt8": Type.UINT8, "UInt16": Type.UINT16, "UInt32": Type.UINT32, "UInt64": Type.UINT64,
                "Int8": Type.INT8, "Int16": Type.INT16, "Int32": Type.INT32, "Int64": Type.INT64,
                "Float": Type.FLOAT, "Double": Type.DOUBLE, "Boolean": Type.BOOLEAN, "String": Type.STRING}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Last:
    """A metric's last value."""

    alias: int
    datatype: Type
    value: Value
    timestamp: int | None
    unit: str


class EdgeNode:
    """Publishes what it is offered: payloads whose metrics have names and datatypes. A `Speaker`.

    Every message is a `Send` to its own topic; `will` is for the broker before it connects, `listens` the topic its
    commands come on. After `close` it is born again, with the next bdSeq.
    """

    confirms = False
    idle = True
    deadline: float | None = None

    def __init__(self, options: SparkplugOptions, session: int = 0) -> None:
        self._group, self._node = options.group or GROUP, options.node or NODE
        self._device = options.device or DEVICE
        self._bdseq = session % SEQS
        self._seq = 0
        self._born = False
        self._last: dict[str, _Last] = {}
        self._delivered = 0

    @property
    def delivered(self) -> int:
        """Messages written."""
        return self._delivered

    @property
    def will(self) -> Send:
        """The death certificate of the coming or present session."""
        metric = put_metric(BDSEQ, Type.INT64, self._bdseq, None)
        return Send(write(None, [metric]), channel=self._topic(Verb.NDEATH))

    @property
    def listens(self) -> str:
        """Where commands come from."""
        return self._topic(Verb.NCMD)

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """The first message is in the births; the following ones are data by alias."""
        payload = read(message)
        known = len(self._last)
        changed = self._take(payload)
        self._delivered += 1
        if not self._born:
            yield from self._births(payload.timestamp)
        elif len(self._last) > known:
            yield self._device_birth(payload.timestamp)
        else:
            updates = [put_update(one.alias, one.datatype, one.value, one.timestamp) for one in changed]
            yield Send(write(payload.timestamp, updates, self._next()), channel=self._topic(Verb.DDATA))

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """A command: a rebirth is obeyed, anything else ignored."""
        yield Send(b"", data)
        try:
            asked = read(data).named(REBIRTH)
            wanted = asked is not None and value_of(asked.holder, asked.held, asked.datatype, REBIRTH).value
        except DecodeError:
            return
        if wanted is True and self._born:
            yield from self._births(max((one.timestamp or 0 for one in self._last.values()), default=None))

    def receive_from(self, channel: str, data: bytes, now: float) -> Iterator[Event]:
        """What came on a topic: only our commands are listened to."""
        return self.receive(data, now) if channel in ("", self.listens) else iter((Send(b"", data),))

    def tick(self, now: float) -> Iterator[Event]:
        """Nothing is ever due."""
        return iter(())

    def close(self) -> Iterator[Event]:
        """The broker publishes the will; the next session has the next number."""
        self._born, self._bdseq = False, (self._bdseq + 1) % SEQS
        return iter(())

    # ---- what it says

    def _take(self, payload: Payload) -> list[_Last]:
        changed = []
        for metric in payload.metrics:
            if metric.name is None:
                continue
            before = self._last.get(metric.name)
            alias = before.alias if before else len(self._last) + 1
            said = None if metric.null else value_of(metric.holder, metric.held, metric.datatype, metric.name).value
            one = _Last(alias, Type(metric.datatype), said, metric.timestamp, unit(metric.properties) or "")
            self._last[metric.name] = one
            changed.append(one)
        return changed

    def _topic(self, verb: Verb) -> str:
        return str(Topic(self._group, verb, self._node, self._device if verb.of_device else ""))

    def _next(self) -> int:
        seq, self._seq = self._seq, (self._seq + 1) % SEQS
        return seq

    def _births(self, at: int | None) -> Iterator[Event]:
        self._born, self._seq = True, 0
        own = [
            put_metric(BDSEQ, Type.INT64, self._bdseq, at),
            put_metric(REBIRTH, Type.BOOLEAN, False, at),
            put_metric("Properties/Hardware Make", Type.STRING, "simulated", at),
        ]
        yield Send(write(at, own, self._next()), channel=self._topic(Verb.NBIRTH))
        yield self._device_birth(at)

    def _device_birth(self, at: int | None) -> Event:
        metrics = [
            put_metric(name, one.datatype, one.value, one.timestamp, one.alias, one.unit)
            for name, one in self._last.items()
        ]
        return Send(write(at, metrics, self._next()), channel=self._topic(Verb.DBIRTH))
