"""What a broker keeps for a client that is away, measured.

A client of our own leaves, messages are published on a topic of our own, it comes back and counts. Afterwards the
broker has nothing of it any more.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.links.options import BrokerOptions
from gateway.links.paho_client import sign_on

MESSAGES: Final = 1200  # more than the 1,000 that brokers keep unless told otherwise; of a few bytes each
PATIENCE: Final = 20.0  # seconds for each part
TURN: Final = 0.05
LEFT: Final = 60  # seconds the broker may keep what is ours when we end half-way
SYS: Final[Sequence[str]] = ("$SYS/broker/version", "$SYS/broker/publish/messages/dropped")


class ProbeError(Exception):
    """It could not be measured; the message says why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """`session`: it was still there. `kept` of `taken`: messages acknowledged to the publisher. `expiry`: seconds the
    broker keeps sessions where it keeps them for less than was asked; `told`: what it says of itself below $SYS."""

    qos: int
    session: bool
    taken: int
    kept: int
    expiry: float | None
    told: dict[str, str]


@dataclass(eq=False)
class _Peer:
    """One connection, driven by hand."""

    client: paho.Client
    state: str = ""  # "up", or why it is not
    present: bool = False
    expiry: float | None = None
    granted: list[int] = field(default_factory=list)
    answered: dict[int, int] = field(default_factory=dict)  # packet -> reason code
    heard: dict[str, list[bytes]] = field(default_factory=dict)

    def until(self, true: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        """Take part until it is true; whether it is. Errors: ProbeError (the connection is lost)."""
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                return False
            if self.client.loop(TURN) != paho.MQTT_ERR_SUCCESS and not true():
                raise ProbeError(self.state if self.state not in ("", "up") else "the broker closed the connection")
        return True

    def publish(self, topic: str, payload: bytes) -> int:
        return self.client.publish(topic, payload, qos=1).mid


def measure(options: BrokerOptions) -> Measured:
    """Blocks for some seconds. Errors: ProbeError, OSError, ValueError (a secret that cannot be read)."""
    name = f"doctor-{secrets.token_hex(6)}"
    topic = f"assaygate-doctor/{name}"
    try:
        with _peer(options, name, stays=True) as away:
            qos = _subscribe(away, topic)
            expiry = away.expiry
        with _peer(options, f"{name}-p") as publisher:
            publisher.client.subscribe([(one, 0) for one in SYS])  # may be refused: then nothing is told
            taken = _publish(publisher, topic)
            with _peer(options, name, stays=True) as back:
                kept = _count(back, publisher, topic) if back.present else 0
                present = back.present
            told = {one: publisher.heard[one][0].decode("utf-8", "replace") for one in SYS if one in publisher.heard}
            return Measured(qos, present, taken, kept, expiry, told)
    finally:
        with _peer(options, name):
            pass  # a clean start: the session and what it holds are gone


def _subscribe(peer: _Peer, topic: str) -> int:
    peer.client.subscribe(topic, qos=1)
    if not peer.until(lambda: bool(peer.granted)):
        raise ProbeError("no answer to a subscription")
    if peer.granted[0] >= 128:
        raise ProbeError(f"{topic} may not be subscribed to")
    return peer.granted[0]


def _publish(peer: _Peer, topic: str) -> int:
    """How many messages the broker acknowledged."""
    packets = [peer.publish(topic, b"%d" % number) for number in range(MESSAGES)]
    if not peer.until(lambda: len(peer.answered) >= MESSAGES):
        raise ProbeError(f"{len(peer.answered)} of {MESSAGES} messages acknowledged in {PATIENCE:g} s")
    taken = sum(peer.answered[packet] < 128 for packet in packets)
    if not taken:
        raise ProbeError(f"{topic} may not be published on")
    return taken


def _count(back: _Peer, publisher: _Peer, topic: str) -> int:
    """How many came. One more is published until it arrives: what was kept comes before it (MQTT-4.6.0-6)."""
    end = time.monotonic() + PATIENCE
    back.granted.clear()
    while b"end" not in back.heard.get(topic, []):
        if time.monotonic() > end:
            raise ProbeError("what was kept did not come to an end")
        packet = publisher.publish(topic, b"end")
        publisher.until(lambda packet=packet: packet in publisher.answered)  # type: ignore[misc]
        back.until(lambda: b"end" in back.heard.get(topic, []), 1.0)
    return len({one for one in back.heard[topic] if one.isdigit()})


@contextmanager
def _peer(options: BrokerOptions, name: str, *, stays: bool = False) -> Iterator[_Peer]:
    """A connection; `stays`: the broker is to keep its session. Errors: as `measure`."""
    five = options.protocol == "5"
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        name,
        clean_session=None if five else not stays,
        protocol=paho.MQTTv5 if five else paho.MQTTv311,
        reconnect_on_failure=False,
    )
    peer = _Peer(client)
    _listen(peer)
    sign_on(client, options)
    if five:
        asked = _expiry(PacketTypes.CONNECT, int(options.session_expiry) if stays else 0)
        client.connect(options.host, options.number, options.keepalive, clean_start=not stays, properties=asked)
    else:
        client.connect(options.host, options.number, options.keepalive)
    try:
        if not peer.until(lambda: bool(peer.state)):
            raise ProbeError("no answer to CONNECT")
        if peer.state != "up":
            raise ProbeError(peer.state)
        yield peer
    finally:
        client.disconnect(properties=_expiry(PacketTypes.DISCONNECT, LEFT) if five and stays else None)
        client.loop(TURN)


def _expiry(packet: int, seconds: int) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = min(seconds, 0xFFFFFFFE)
    return properties


def _listen(peer: _Peer) -> None:
    def connected(_client: object, _data: object, flags: Any, reason: Any, properties: Any) -> None:
        peer.state, peer.present = str(reason) if reason.is_failure else "up", bool(flags.session_present)
        peer.expiry = getattr(properties, "SessionExpiryInterval", None)

    def disconnected(_client: object, _data: object, _flags: Any, reason: Any, _properties: Any) -> None:
        peer.state = str(reason)

    def subscribed(_client: object, _data: object, _mid: int, reasons: Any, _properties: Any) -> None:
        peer.granted.extend(reason.value for reason in reasons)

    def published(_client: object, _data: object, mid: int, reason: Any, _properties: Any) -> None:
        peer.answered[mid] = reason.value

    def heard(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        peer.heard.setdefault(message.topic, []).append(bytes(message.payload))

    peer.client.on_connect, peer.client.on_disconnect = connected, disconnected
    peer.client.on_subscribe, peer.client.on_publish = subscribed, published
    peer.client.on_message = heard
