"""One connection to an MQTT broker, from CONNECT until it is lost.

paho acknowledges by our hand (`manual_ack`) and is driven by the event loop's own reader and writer. QoS 2 is
never asked for: paho answers PUBREC while the message is only in memory.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.links.link import Chunk, Ear, LinkError
from gateway.links.paho_client import Client, sign_on
from gateway.links.sparkplug_host import HostState

if TYPE_CHECKING:
    from gateway.links.mqtt import Broker

log = structlog.get_logger()

PACKETS_A_TURN = 256  # then the loop looks at everyone else


class MqttPort:
    """One device's subscription on one connection; a `Port`."""

    def __init__(self, connection: Connection, peer: str) -> None:
        self._connection = connection
        self.peer = peer

    def write(self, data: bytes, channel: str = "") -> None:
        """Publish on the topic `channel`. Without one there is nobody to reply to: the acknowledgement is the
        protocol's."""
        if channel:
            self._connection.publish(channel, data)

    def pause(self) -> None:
        self._connection.pause(self)

    def resume(self) -> None:
        self._connection.resume(self)

    def close(self) -> None:
        """A subscription is not hung up: other devices share the connection."""


@dataclass(slots=True, eq=False)
class Subscriber:
    device: str
    filters: tuple[str, ...]
    ear: Ear
    port: MqttPort | None = None
    refused: bool = False  # the broker does not grant all of its filters


class Pending:
    """A packet on its way to the disk."""

    __slots__ = ("_connection", "left", "mid")

    def __init__(self, connection: Connection, mid: int, left: int) -> None:
        self._connection, self.mid, self.left = connection, mid, left

    def done(self) -> None:
        self.left -= 1
        if not self.left:
            self._connection.acknowledge()


class Connection:
    """One connection to the broker, from CONNECT until it is lost."""

    def __init__(self, broker: Broker, epoch: int, version: int) -> None:
        self._broker, self._epoch = broker, epoch
        self._loop = asyncio.get_running_loop()
        self._pending: deque[Pending] = deque()
        self._paused: set[MqttPort] = set()
        self._socket: socket.socket | None = None
        self._acknowledging = self._listening = False
        self.connected: asyncio.Future[bool] = self._loop.create_future()  # its result: the session was there
        self.lost: asyncio.Future[str] = self._loop.create_future()
        options = broker.options
        self.client = Client(
            self._on_message,
            broker.client_id,
            clean_session=False if version == paho.MQTTv311 else None,
            protocol=version,
            reconnect_on_failure=False,
        )
        sign_on(self.client, options)
        self._host = HostState(self.client, options.sparkplug_host) if options.sparkplug_host else None
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_subscribe = self._on_subscribe

    def open(self) -> None:
        """Connect and send CONNECT; blocks, so it runs in a thread before the loop's hooks are set."""
        options = self._broker.options
        properties = None
        if self.client.protocol == paho.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = min(int(options.session_expiry), 0xFFFFFFFE)
            properties.ReceiveMaximum = options.receive_maximum
            self.client.connect(
                options.host, options.number, options.keepalive, clean_start=False, properties=properties
            )
        else:
            self.client.connect(options.host, options.number, options.keepalive)

    def attach(self) -> None:
        """From here on the event loop drives the client."""
        sock = self.client.socket()
        if sock is None:
            self._end("the broker closed the connection")
            return
        self._socket = sock  # type: ignore[assignment]
        self.client.on_socket_register_write = self._want_write
        self.client.on_socket_unregister_write = self._no_write
        self.client.on_socket_close = self._on_socket_close
        self._loop.add_reader(sock, self._readable)
        if self.client.want_write():
            self._want_write(self.client, None, sock)

    # ---- the loop's side

    def _readable(self) -> None:
        for _ in range(PACKETS_A_TURN):
            self.client.loop_read()
            if self.connected.done() and not self._listening:
                # What the broker redelivers follows its CONNACK at once: it waits until the devices' ears are open.
                if self._socket is not None:
                    self._loop.remove_reader(self._socket)
                return
            if not self.client.buffered or self._paused:
                return
        if self._socket is not None:
            self._loop.call_soon(self._more)

    def listen(self) -> None:
        """The devices' ears are open."""
        self._listening = True
        if self._host is not None and self._socket is not None:
            self._host.online()
        if self._socket is not None:
            self._loop.add_reader(self._socket, self._readable)
            self._loop.call_soon(self._more)

    def _more(self) -> None:
        if self._socket is not None and self.client.buffered and not self._paused:
            self._readable()

    def _want_write(self, _client: paho.Client, _userdata: Any, sock: Any) -> None:
        self._loop.add_writer(sock, self._writable)

    def _writable(self) -> None:
        self.client.loop_write()

    def _no_write(self, _client: paho.Client, _userdata: Any, sock: Any) -> None:
        self._loop.remove_writer(sock)

    def _on_socket_close(self, _client: paho.Client, _userdata: Any, sock: Any) -> None:
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)
        self._socket = None

    def publish(self, topic: str, data: bytes) -> None:
        """At QoS 0: what must arrive is asked for again by whoever needs the answer."""
        if self._socket is None:
            return
        try:
            self.client.publish(topic, data)
        except ValueError as error:  # no topic, or more than MQTT carries
            log.warning("cannot be published", broker=self._broker.options.id, topic=topic[:200], why=str(error))

    def pause(self, port: MqttPort) -> None:
        if self._socket is not None and not self._paused:
            self._loop.remove_reader(self._socket)
        self._paused.add(port)

    def resume(self, port: MqttPort) -> None:
        self._paused.discard(port)
        if self._socket is not None and not self._paused and self._listening:
            self._loop.add_reader(self._socket, self._readable)
            self._loop.call_soon(self._more)

    def close(self) -> None:
        """Say goodbye; the broker keeps the session and what is not acknowledged."""
        self.client.on_socket_register_write = None
        if self._host is not None and self._listening and self._socket is not None:
            self._host.offline()
        self.client.disconnect()
        if self._socket is not None:
            sock = self._socket
            self._on_socket_close(self.client, None, sock)
            sock.close()
        self._end("stopped")

    # ---- paho's callbacks

    def _on_connect(
        self, _client: paho.Client, _userdata: Any, flags: paho.ConnectFlags, reason: ReasonCode, _properties: Any
    ) -> None:
        if self.connected.done():
            return
        if reason.is_failure:
            self.connected.set_exception(LinkError(str(reason)))
        else:
            self.connected.set_result(bool(flags.session_present))

    def _on_disconnect(
        self, _client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        self._end(str(reason))

    def _end(self, why: str) -> None:
        self._pending.clear()
        if not self.connected.done():
            self.connected.set_exception(LinkError(why))
        if not self.lost.done():
            self.lost.set_result(why)

    def _on_subscribe(
        self, _client: paho.Client, _userdata: Any, mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        self._broker.subscribed(mid, reasons)

    def _on_message(self, topic: str, payload: bytes, packet: int, again: bool, retained: bool) -> None:
        chunk = Chunk(payload, topic, whole=True, retained=retained, packet=packet, again=again, epoch=self._epoch)
        routes = [subscriber for subscriber in self._broker.routes(topic) if subscriber.port is not None]
        done: Callable[[], None] = _nothing
        if packet:
            pending = Pending(self, packet, max(1, len(routes)))
            self._pending.append(pending)
            done = pending.done
        if self._host is not None and topic == self._host.topic:
            self._host.heard(payload)
            if not routes:
                done()
                return
        if not routes:
            self._broker.unclaimed(chunk, done)
            return
        for subscriber in routes:
            if subscriber.port is not None:
                subscriber.ear.received(subscriber.port, chunk, done)

    def acknowledge(self) -> None:
        """Soon, once for all that one commit made durable."""
        if not self._acknowledging:
            self._acknowledging = True
            self._loop.call_soon(self._acknowledge)

    def _acknowledge(self) -> None:
        """PUBACK everything durable at the head of the line (MQTT-4.6.0-2 wants the order of arrival)."""
        self._acknowledging = False
        pending, durable = self._pending, list[int]()
        while pending and not pending[0].left:
            durable.append(pending.popleft().mid)
        if durable and self._socket is not None:
            self.client.acknowledge(durable)


def _nothing() -> None:
    """QoS 0 has no acknowledgement."""
