"""MQTT: subscribed at QoS 1, acknowledged in order of arrival and only after the commit.

A broker's connection is shared by the devices on it (`gateway.links.mqtt_connection`).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

import structlog
from paho.mqtt import client as paho
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.backoff import Backoff
from gateway.links.link import Chunk, Ear, LinkError, LinkState
from gateway.links.mqtt_connection import Connection, MqttPort, Subscriber
from gateway.links.options import BrokerOptions, MqttLinkOptions

log = structlog.get_logger()

CONNECT_WITHIN = 15.0
MOST_ROUTES = 20_000  # topics whose devices are remembered
SETTLED = 10.0
ASK_AGAIN = 30  # seconds between two attempts at a subscription the broker refuses
Unclaimed = Callable[[Chunk, Callable[[], None]], None]


class Broker:
    """One configured broker, shared by the devices on it."""

    def __init__(self, options: BrokerOptions, site: str, unclaimed: Unclaimed) -> None:
        self.options = options
        self.client_id = options.client_id or f"assaygate-{site}-{options.id}"
        self.unclaimed = unclaimed
        self.sessions_lost = 0
        self.state, self.detail = LinkState.STARTING, ""
        self._subscribers: list[Subscriber] = []
        self._routes: dict[str, list[Subscriber]] = {}
        self._connection: Connection | None = None
        self._up = False
        self._held: MqttPort | None = None  # what a change of configuration holds the connection by
        self._known: set[str] = set()  # filters the broker's session has, as far as it has told this process
        self._asked: dict[int, tuple[Subscriber, list[str]]] = {}  # by the number of a SUBSCRIBE under way
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
                except LinkError as error:
                    why = str(error)
                    self._other_version(why)
                except (OSError, ValueError, TimeoutError) as error:
                    why = str(error) or "no answer"
                if loop.time() - started > SETTLED:
                    backoff.succeeded()
                self.report(LinkState.WAITING, f"{self.options.host}:{self.options.number}: {why}")
                await asyncio.sleep(backoff.next())
        finally:
            lock.close()
            self.report(LinkState.STOPPED, "")

    async def _once(self, epoch: int) -> str:
        connection = Connection(self, epoch, self._version)
        misc: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                await asyncio.to_thread(connection.open)
                connection.attach()
                present = await connection.connected
            self._connection = connection
            misc = asyncio.create_task(self._keep_alive(connection.client), name=f"mqtt-keepalive:{self.options.id}")
            self._arrive(present)
            connection.listen()
            return await connection.lost
        finally:
            if misc:
                misc.cancel()
            self._connection, self._up = None, False
            self._asked.clear()
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
        self.state, self.detail = LinkState.CONNECTED, detail
        for subscriber in self._subscribers:
            self._open(subscriber)

    async def _keep_alive(self, client: paho.Client) -> None:
        for second in count(1):
            await asyncio.sleep(1.0)
            client.loop_misc()
            if second % ASK_AGAIN == 0:
                self._ask_again()

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

    def add(self, subscriber: Subscriber) -> None:
        self._subscribers.append(subscriber)
        self._routes.clear()
        subscriber.ear.state(self.state, self.detail)
        if self._up:
            self._open(subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        self._subscribers.remove(subscriber)
        self._routes.clear()
        self._close(subscriber, "stopped")

    def hold(self) -> None:
        """Before a change of configuration: take nothing in until `settle`. What comes while a device begins anew would
        be nobody's."""
        if self._connection:
            self._held = MqttPort(self._connection, "")
            self._held.pause()

    def settle(self) -> None:
        """After a change of configuration: give up the topics that no device has any more. Not at a stop: the
        broker is to keep collecting for us."""
        if self._held:
            self._held.resume()
            self._held = None
        gone = self._known - {one for subscriber in self._subscribers for one in subscriber.filters}
        if self._connection and gone:
            self._connection.client.unsubscribe(sorted(gone))
            self._known -= gone

    def _open(self, subscriber: Subscriber) -> None:
        connection = self._connection
        if connection is None:
            return
        subscriber.port = MqttPort(connection, f"mqtt:{self.options.id}")
        subscriber.ear.opened(subscriber.port)
        self._subscribe(connection, subscriber)

    def _subscribe(self, connection: Connection, subscriber: Subscriber) -> None:
        """Ask for what the broker has not granted yet; only then what is published reaches us."""
        wanted = [one for one in subscriber.filters if one not in self._known]
        if not wanted:
            subscriber.ear.state(LinkState.CONNECTED, self.detail)
            return
        subscriber.ear.state(LinkState.STARTING, f"subscribing to {','.join(wanted)[:200]}")
        if self._version == paho.MQTTv5:
            # retainHandling 1: the broker's last values only where the subscription is new.
            _, number = connection.client.subscribe(
                [(one, SubscribeOptions(qos=1, retainHandling=1)) for one in wanted]
            )
        else:
            _, number = connection.client.subscribe([(one, 1) for one in wanted])
        if number is not None:
            self._asked[number] = subscriber, wanted

    def subscribed(self, number: int, reasons: list[ReasonCode]) -> None:
        """The broker's answer to a SUBSCRIBE, a reason for each filter."""
        subscriber, wanted = self._asked.pop(number, (None, []))
        if subscriber is None or subscriber.port is None:
            return
        refused = [(one, str(reason)) for one, reason in zip(wanted, reasons, strict=False) if reason.is_failure]
        self._known.update(set(wanted) - {one for one, _ in refused})
        subscriber.refused = bool(refused)
        if refused:
            topic, why = refused[0]
            log.warning("subscription refused", broker=self.options.id, device=subscriber.device, topic=topic, why=why)
            subscriber.ear.state(LinkState.WAITING, f"the broker refuses to let us subscribe to {topic[:200]}: {why}")
        elif any(reason.value == 0 for reason in reasons):
            subscriber.ear.state(
                LinkState.CONNECTED, "the broker grants QoS 0 only: what it cannot send at once is lost"
            )
        else:
            subscriber.ear.state(LinkState.CONNECTED, self.detail)

    def _ask_again(self) -> None:
        """Permissions change while we are connected."""
        for subscriber in self._subscribers:
            if subscriber.refused and self._connection and subscriber.port is not None:
                self._subscribe(self._connection, subscriber)

    def _close(self, subscriber: Subscriber, why: str) -> None:
        port, subscriber.port = subscriber.port, None
        if port is not None:
            subscriber.ear.closed(port, why)

    def routes(self, topic: str) -> list[Subscriber]:
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


@dataclass(slots=True)
class MqttLink:
    """One device's topics on a broker."""

    device: str
    options: MqttLinkOptions
    broker: Broker
    _subscriber: Subscriber | None = field(default=None, init=False)

    async def run(self, ear: Ear) -> None:
        subscriber = Subscriber(self.device, self.options.filters, ear)
        self.broker.add(subscriber)
        try:
            await asyncio.Event().wait()
        finally:
            self.broker.remove(subscriber)
            ear.state(LinkState.STOPPED, "")
