"""MQTT: subscribed at QoS 1, acknowledged in order of arrival and only after the commit.

paho acknowledges by our hand (`manual_ack`) and is driven by the event loop's own reader and writer. QoS 2 is
never asked for: paho answers PUBREC while the message is only in memory.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.backoff import Backoff
from gateway.links.link import Chunk, Ear, LinkError, LinkState
from gateway.links.options import BrokerOptions, MqttLinkOptions
from gateway.links.paho_client import Client

log = structlog.get_logger()

CONNECT_WITHIN = 15.0
PACKETS_A_TURN = 256  # then the loop looks at everyone else
MOST_ROUTES = 20_000  # topics whose devices are remembered
SETTLED = 10.0
Unclaimed = Callable[[Chunk, Callable[[], None]], None]


class MqttPort:
    """One device's subscription on one connection; a `Port`."""

    def __init__(self, connection: _Connection, peer: str) -> None:
        self._connection = connection
        self.peer = peer

    def write(self, data: bytes) -> None:
        """A subscription takes no replies: the acknowledgement is the protocol's."""

    def pause(self) -> None:
        self._connection.pause(self)

    def resume(self) -> None:
        self._connection.resume(self)

    def close(self) -> None:
        """A subscription is not hung up: other devices share the connection."""


@dataclass(slots=True, eq=False)
class _Subscriber:
    device: str
    filters: tuple[str, ...]
    ear: Ear
    port: MqttPort | None = None


class _Pending:
    """A packet on its way to the disk."""

    __slots__ = ("_connection", "left", "mid")

    def __init__(self, connection: _Connection, mid: int, left: int) -> None:
        self._connection, self.mid, self.left = connection, mid, left

    def done(self) -> None:
        self.left -= 1
        if not self.left:
            self._connection.acknowledge()


class _Connection:
    """One connection to the broker, from CONNECT until it is lost."""

    def __init__(self, broker: Broker, epoch: int, version: int) -> None:
        self._broker, self._epoch = broker, epoch
        self._loop = asyncio.get_running_loop()
        self._pending: deque[_Pending] = deque()
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
        if options.username is not None:
            self.client.username_pw_set(options.username, options.password.resolve() if options.password else None)
        if options.tls:
            tls = options.tls
            ca, cert, key = (str(path) if path else None for path in (tls.ca, tls.cert, tls.key))
            self.client.tls_set(ca, cert, key)
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
        self, _client: paho.Client, _userdata: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            self._broker.report(LinkState.CONNECTED, f"the broker refused a subscription: {refused[0]}")

    def _on_message(self, topic: str, payload: bytes, packet: int, again: bool, retained: bool) -> None:
        chunk = Chunk(payload, topic, whole=True, retained=retained, packet=packet, again=again, epoch=self._epoch)
        routes = [subscriber for subscriber in self._broker.routes(topic) if subscriber.port is not None]
        done: Callable[[], None] = _nothing
        if packet:
            pending = _Pending(self, packet, max(1, len(routes)))
            self._pending.append(pending)
            done = pending.done
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


class Broker:
    """One configured broker, shared by the devices on it."""

    def __init__(self, options: BrokerOptions, site: str, unclaimed: Unclaimed) -> None:
        self.options = options
        self.client_id = options.client_id or f"assaygate-{site}-{options.id}"
        self.unclaimed = unclaimed
        self.sessions_lost = 0
        self.state, self.detail = LinkState.STARTING, ""
        self._subscribers: list[_Subscriber] = []
        self._routes: dict[str, list[_Subscriber]] = {}
        self._connection: _Connection | None = None
        self._up = False
        self._known: set[str] = set()  # filters the broker's session has, as far as this process knows
        self._version = paho.MQTTv5 if options.protocol == "5" else paho.MQTTv311

    async def run(self) -> None:
        """Connect, and connect again, until cancelled."""
        loop = asyncio.get_running_loop()
        backoff = Backoff(longest=30.0)
        epoch = 0
        lock = self._lock()
        try:
            while True:
                epoch += 1
                started = loop.time()
                try:
                    why = await self._once(epoch)
                except (OSError, LinkError, ValueError, TimeoutError) as error:
                    why = str(error) or "no answer"
                    self._other_version(why)
                if loop.time() - started > SETTLED:
                    backoff.succeeded()
                self.report(LinkState.WAITING, f"{self.options.host}:{self.options.number}: {why}")
                await asyncio.sleep(backoff.next())
        finally:
            lock.close()
            self.report(LinkState.STOPPED, "")

    async def _once(self, epoch: int) -> str:
        connection = _Connection(self, epoch, self._version)
        misc: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                await asyncio.to_thread(connection.open)
                connection.attach()
                present = await connection.connected
            self._connection = connection
            misc = asyncio.create_task(_keep_alive(connection.client), name=f"mqtt-keepalive:{self.options.id}")
            self._arrive(present)
            connection.listen()
            return await connection.lost
        finally:
            if misc:
                misc.cancel()
            self._connection, self._up = None, False
            connection.close()
            if connection.connected.done() and not connection.connected.cancelled():
                connection.connected.exception()
            for subscriber in self._subscribers:
                self._close(subscriber, "connection lost")

    def _arrive(self, present: bool) -> None:
        self._up = True
        detail = f"{self.options.host}:{self.options.number}"
        if self._known and not present:
            self.sessions_lost += 1
            detail = "the broker had forgotten our session: messages may be missing"
            log.warning("broker forgot the session", broker=self.options.id)
        if not present:
            self._known.clear()
        for subscriber in self._subscribers:
            self._open(subscriber)
        self.report(LinkState.CONNECTED, detail)

    def _other_version(self, why: str) -> None:
        """A broker that knows only 3.1.1 refuses protocol 5, or hangs up without a word."""
        if self.options.protocol == "5" and ("protocol version" in why.lower() or not self._known):
            self._version = paho.MQTTv311 if self._version == paho.MQTTv5 else paho.MQTTv5

    def _lock(self) -> socket.socket:
        """Two daemons with one client id would throw each other out for ever. Errors: LinkError."""
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f"\0assaygate-mqtt-{self.options.host}-{self.options.number}-{self.client_id}")
        except OSError:
            lock.close()
            raise LinkError(f"another assaygate on this machine uses the MQTT client id {self.client_id}") from None
        return lock

    # ---- devices

    def add(self, subscriber: _Subscriber) -> None:
        self._subscribers.append(subscriber)
        self._routes.clear()
        subscriber.ear.state(self.state, self.detail)
        if self._up:
            self._open(subscriber)

    def remove(self, subscriber: _Subscriber) -> None:
        self._subscribers.remove(subscriber)
        self._routes.clear()
        self._close(subscriber, "stopped")

    def settle(self) -> None:
        """After a change of configuration: give up the topics that no device has any more. Not at a stop: the
        broker is to keep collecting for us."""
        gone = self._known - {one for subscriber in self._subscribers for one in subscriber.filters}
        if self._connection and gone:
            self._connection.client.unsubscribe(sorted(gone))
            self._known -= gone

    def _open(self, subscriber: _Subscriber) -> None:
        connection = self._connection
        if connection is None:
            return
        subscriber.port = MqttPort(connection, f"mqtt:{self.options.id}")
        subscriber.ear.opened(subscriber.port)
        subscriber.ear.state(LinkState.CONNECTED, ",".join(subscriber.filters))
        wanted = [one for one in subscriber.filters if one not in self._known]
        if not wanted:
            return
        if self._version == paho.MQTTv5:
            # retainHandling 1: the broker's last values only where the subscription is new.
            connection.client.subscribe([(one, SubscribeOptions(qos=1, retainHandling=1)) for one in wanted])
        else:
            connection.client.subscribe([(one, 1) for one in wanted])
        self._known.update(wanted)

    def _close(self, subscriber: _Subscriber, why: str) -> None:
        port, subscriber.port = subscriber.port, None
        if port is not None:
            subscriber.ear.closed(port, why)

    def routes(self, topic: str) -> list[_Subscriber]:
        """The devices whose filters match."""
        found = self._routes.get(topic)
        if found is None:
            found = [s for s in self._subscribers if any(paho.topic_matches_sub(one, topic) for one in s.filters)]
            if len(self._routes) >= MOST_ROUTES:
                self._routes.clear()
            self._routes[topic] = found
        return found

    def report(self, state: LinkState, detail: str) -> None:
        """Tell every device how the connection is."""
        self.state, self.detail = state, detail
        for subscriber in self._subscribers:
            subscriber.ear.state(state, detail)


async def _keep_alive(client: paho.Client) -> None:
    while True:
        await asyncio.sleep(1.0)
        client.loop_misc()


@dataclass(slots=True)
class MqttLink:
    """One device's topics on a broker."""

    device: str
    options: MqttLinkOptions
    broker: Broker
    _subscriber: _Subscriber | None = field(default=None, init=False)

    async def run(self, ear: Ear) -> None:
        subscriber = _Subscriber(self.device, self.options.filters, ear)
        self.broker.add(subscriber)
        try:
            await asyncio.Event().wait()
        finally:
            self.broker.remove(subscriber)
            ear.state(LinkState.STOPPED, "")
