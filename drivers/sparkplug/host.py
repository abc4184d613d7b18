"""The host's side of Sparkplug B: follows births, deaths and sequence numbers, and asks nodes for what is missing.

Every message is kept with its topic, and behind the topic what the births said of the metrics in it
(`drivers.sparkplug.notes`). Asking is an NCMD with `Node Control/Rebirth` (Sparkplug 3.0, chapters 5 and 6).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from drivers.kit.exchange import DecodeError, Event, Reason, Received, Rejected, Send
from drivers.kit.sparkplug import BDSEQ, REBIRTH, Known, Look, Payload, Topic, Verb, command, read, topic, walk
from drivers.sparkplug import notes
from drivers.sparkplug.births import Node, bdseq
from drivers.sparkplug.options import SparkplugOptions

MOST_NODES: Final = 1000
MOST_DEVICES: Final = 1000  # of a node, that are named in its death
MOST_KNOWN: Final = 400_000  # names and aliases of all nodes; the node longest silent is forgotten first
MAX_MESSAGE: Final = 4 * 1024 * 1024  # it is read while others wait
UNNAMED: Final = ("group", "edge", "device")  # where nothing says who it is: no topic, no options


class Host:
    """One subscription's conversation with all edge nodes on it. An `Exchange`, and `Addressed`."""

    def __init__(self, options: SparkplugOptions) -> None:
        self._options = options
        self._nodes: OrderedDict[tuple[str, str], Node] = OrderedDict()
        self._known = 0
        self._due: float | None = None
        self._opening = options.rebirth and options.group is not None and options.node is not None

    @property
    def deadline(self) -> float | None:
        """When a birth is to be asked for."""
        return 0.0 if self._opening else self._due

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """A message whose topic is not known (a file, a bench): what it is is told by what stands in it."""
        return self.receive_from(str(told) if (told := self._told(data)) else "", data, now)

    def receive_from(self, channel: str, data: bytes, now: float) -> Iterator[Event]:
        """A message on a topic."""
        at = topic(channel)
        if not data or (at is not None and self._others(at)):
            yield Send(b"", data)
            return
        if len(data) > MAX_MESSAGE:
            yield Rejected(data, Reason.TOO_LONG, detail=f"longer than {MAX_MESSAGE} bytes")
            return
        try:
            payload = None if at is None or at.verb is Verb.STATE else read(data)
            items = [] if at is None or payload is None else self._follow(at, payload, data, now)
        except DecodeError:
            items = []  # kept as it is: decoding says what is wrong with it
        ours = not self._options.device or at is None or at.device in ("", self._options.device)
        yield Received(data, channel=notes.written(channel, items)) if ours else Send(b"", data)
        if self._due is not None and self._due <= now:
            yield from self.tick(now)

    def tick(self, now: float) -> Iterator[Event]:
        """Ask for the births that are due."""
        if self._opening:
            self._opening = False
            node = self._node(self._options.group or "", self._options.node or "")
            if not node.born:
                node.want(now, self._options.reorder, self._options.ask_again)
        for (group, name), node in self._nodes.items():
            if node.due is not None and node.due <= now:
                node.ask(now)
                yield Send(command(REBIRTH, now), channel=str(Topic(group, Verb.NCMD, name)))
        self._schedule()

    def close(self) -> Iterator[Event]:
        """Nothing is ever unfinished."""
        return iter(())

    # ---- following

    def _others(self, at: Topic) -> bool:
        """Messages of a node this device is not about."""
        options = self._options
        if at.verb is Verb.STATE:
            return False
        return (options.group or at.group) != at.group or (options.node or at.node) != at.node

    def _node(self, group: str, name: str) -> Node:
        node = self._nodes.get((group, name))
        if node is None:
            node = self._nodes[group, name] = Node()
        self._nodes.move_to_end((group, name))
        while len(self._nodes) > 1 and (len(self._nodes) > MOST_NODES or self._known > MOST_KNOWN):
            self._known -= self._nodes.popitem(last=False)[1].size
        return node

    def _follow(self, at: Topic, payload: Payload, data: bytes, now: float) -> list[str]:
        """Take note of a message; what is to stand behind its topic."""
        node = self._node(at.group, at.node)
        size = node.size
        items = self._message(node, at, payload, data, now)
        if node.gap:
            node.want(now, self._options.reorder, self._options.ask_again)
        if node.size > MOST_KNOWN:
            node.dead()
        self._known += node.size - size
        self._schedule()
        return items

    def _message(self, node: Node, at: Topic, payload: Payload, data: bytes, now: float) -> list[str]:
        if at.verb.command:
            if not at.device and payload.named(REBIRTH):
                node.due, node.asked = None, now  # somebody has asked, or we have
            return []
        if at.verb is Verb.NDEATH:
            return self._death(node, payload)
        if at.verb is Verb.NBIRTH:
            node.birth("", payload)
            node.restart(payload.seq, data)
            return []
        node.count(payload.seq, data)
        if at.verb is Verb.DBIRTH:
            node.birth(at.device, payload)
        elif at.verb is Verb.DDEATH:
            node.device_dead(at.device)
        items, whole = _named(payload, node.look(at.device)) if at.verb.data else ([], True)
        if not whole or not node.born:
            node.want(now, 0.0, self._options.ask_again)
        if items and node.gap:
            items.append("gap=1")
        return items

    def _death(self, node: Node, payload: Payload) -> list[str]:
        ended = bdseq(payload)
        if node.born and node.bdseq is not None and ended is not None and ended != node.bdseq:
            return [f"late={node.bdseq}"]
        devices = [notes.device(device) for device in sorted(node.devices)[:MOST_DEVICES]]
        node.dead()
        return devices

    def _schedule(self) -> None:
        dues = [node.due for node in self._nodes.values() if node.due is not None] if self._options.rebirth else []
        self._due = min(dues, default=None)

    def _told(self, data: bytes) -> Topic | None:
        """The topic a message would have had."""
        try:
            payload = read(data)
        except DecodeError:
            return None
        group, node, device = self._options.group, self._options.node, self._options.device
        where = (group or UNNAMED[0], node or UNNAMED[1], device or UNNAMED[2])
        verb = _verb(payload)
        return Topic(where[0], verb, where[1], where[2] if verb.of_device else "")


def _verb(payload: Payload) -> Verb:
    if payload.named(BDSEQ):
        return Verb.NDEATH if payload.seq is None else Verb.NBIRTH
    if payload.named(REBIRTH):
        return Verb.NCMD
    if not payload.metrics:
        return Verb.DDEATH
    said = all(metric.name is not None and metric.datatype for metric in payload.metrics)
    return Verb.DBIRTH if said else Verb.DDATA


def _named(payload: Payload, look: Look) -> tuple[list[str], bool]:
    """What has to be known to read a DATA message, and whether all of it is."""
    items: dict[str, None] = {}
    whole = True

    def found(alias: int | None, name: str | None) -> Known | None:
        known = look(alias, name)
        if known is not None:
            items[notes.metric(None if name is not None else alias, known)] = None
        return known

    for name, metric, known in walk(payload.metrics, found):
        if name is None or (known is None and not metric.datatype):
            whole = False
    return list(items), whole
