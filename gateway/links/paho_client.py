"""paho's client, with three of its inner steps replaced: what a flood of PUBLISH packets costs is in them.

paho reads a packet with three system calls, builds properties nobody looks at, and sends every PUBACK by itself; each
call gives up the interpreter's lock, which under load is slow to come back. The replaced methods are private to
paho 2: the version is pinned, and `tests/gateway/test_links.py` runs them against a real broker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

if TYPE_CHECKING:
    from gateway.links.options import BrokerOptions

READ = 65_536
PUBACK = 0x40
Arrived = Callable[[str, bytes, int, bool, bool], None]  # topic, payload, packet id (0: QoS 0), again, retained


def sign_on(client: paho.Client, options: BrokerOptions) -> None:
    """Give a client what the broker asks of it. Errors: ValueError (a secret that cannot be read), OSError."""
    if options.username is not None:
        client.username_pw_set(options.username, options.password.resolve() if options.password else None)
    if options.tls:
        ca, cert, key = (str(path) if path else None for path in (options.tls.ca, options.tls.cert, options.tls.key))
        client.tls_set(ca, cert, key)


class Client(paho.Client):
    """A client that hands every PUBLISH to `arrived` and acknowledges several at once."""

    def __init__(self, arrived: Arrived, client_id: str, **more: Any) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, client_id, **more)
        self.manual_ack_set(True)
        self._arrived = arrived
        self._taken_in = b""
        self._at = 0

    @property
    def buffered(self) -> bool:
        """True while bytes that were read wait to be looked at."""
        return self._at < len(self._taken_in)

    def acknowledge(self, packets: list[int]) -> None:
        """PUBACK these packets, in this order, in one write."""
        data = b"".join(b"\x40\x02" + packet.to_bytes(2, "big") for packet in packets)
        self._packet_queue(PUBACK, data, 0, 1)

    def _sock_recv(self, bufsize: int) -> bytes:
        if not self.buffered:
            self._taken_in, self._at = super()._sock_recv(READ), 0
        piece = self._taken_in[self._at : self._at + bufsize]
        self._at += len(piece)
        return piece

    def _handle_publish(self) -> MQTTErrorCode:
        command, packet = self._in_packet["command"], bytes(self._in_packet["packet"])
        qos = (command >> 1) & 3
        length = int.from_bytes(packet[:2], "big")
        at, number = 2 + length, 0
        if qos > 1 or at > len(packet):
            return MQTTErrorCode.MQTT_ERR_PROTOCOL  # more than was subscribed, or cut short
        if qos:
            number = int.from_bytes(packet[at : at + 2], "big")
            at += 2
        if self._protocol == paho.MQTTv5:
            at = _after_properties(packet, at)
        topic = packet[2 : 2 + length].decode("utf-8", "backslashreplace")
        self._arrived(topic, packet[at:], number, bool(command & 8), bool(command & 1))
        return MQTTErrorCode.MQTT_ERR_SUCCESS


def _after_properties(packet: bytes, at: int) -> int:
    """Where the payload begins: behind the properties, whose length is a variable byte integer (MQTT 5, 1.5.5)."""
    length = shift = 0
    while at < len(packet):
        byte = packet[at]
        at += 1
        length |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
    return at + length
