"""The mqtt sink: observations published for others to read, the last value of every topic kept by the broker."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Sequence
from typing import Any, Final

import aiomqtt
import orjson
import structlog
from aiomqtt import ProtocolVersion
from paho.mqtt import client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.backoff import Backoff
from gateway.journal.store import Journal
from gateway.links.options import BrokerOptions, TlsOptions
from gateway.sinks.messages import message
from gateway.sinks.options import MqttOptions
from gateway.sinks.place import Batch, Place, Row
from gateway.sinks.state import SinkState

log = structlog.get_logger()

UNDER_WAY: Final = 100  # messages sent and not yet acknowledged
LEAVE: Final = 1.0  # seconds for the farewell
_NOT_A_LEVEL: Final = re.compile(r"[+#/\x00-\x1f\x7f]")


class Client(aiomqtt.Client):
    """aiomqtt, but it remembers why a broker would not have a message (PUBACK's reason code, MQTT 5 alone).

    The method is private to aiomqtt, which is pinned to 2.5; the sink's tests hold it against a real broker.
    """

    refusal = ""

    def _on_publish(
        self, client: paho.Client, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        if reason_code.is_failure:
            self.refusal = str(reason_code)
        super()._on_publish(client, userdata, mid, reason_code, properties)


class MqttSink:
    """Publishes in order; the cursor moves when the broker has acknowledged the batch (at QoS 0: when it is sent).

    At least once: after a lost connection messages may come twice. `seq` tells them apart. What the broker refuses
    is listed and left out, but only where it accepts another message at the same time: a broker that refuses
    everything has a problem of its own.
    """

    def __init__(
        self,
        options: MqttOptions,
        broker: BrokerOptions,
        journal: Journal,
        site: str,
        *,
        backoff: Backoff | None = None,
    ) -> None:
        self._options = options
        self._broker = broker
        self._site = site
        self._place = Place(journal, options.id, options.select)
        self._backoff = backoff or Backoff()
        self._witness: Row | None = None  # the last one the broker accepted

    @property
    def id(self) -> str:
        return self._options.id

    @property
    def state(self) -> SinkState:
        return self._place.state

    async def run(self) -> None:
        await self._place.open()
        while True:
            try:
                async with await self._client() as client:
                    await self._converse(client)
            except* (aiomqtt.MqttError, OSError, ValueError) as errors:
                error: BaseException = errors
                while isinstance(error, BaseExceptionGroup):
                    error = error.exceptions[0]
                self._place.waits(error)
            await asyncio.sleep(self._backoff.next())

    async def _converse(self, client: Client) -> None:
        self._place.works()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(client), name=f"sink:{self.id}:listen")
                group.create_task(self._publish(client), name=f"sink:{self.id}:publish")
        finally:
            client.timeout = LEAVE  # aiomqtt waits so long for its own farewell

    async def _client(self) -> Client:
        # Not the name we subscribe with: the broker allows one connection a name.
        client = await client_of(self._broker, f"assaygate-{self._site}-sink-{self.id}", self._options.timeout)
        client.pending_calls_threshold = self._options.batch  # above it aiomqtt warns
        return client

    async def _listen(self, client: Client) -> None:
        """Nothing is subscribed; this ends with an error as soon as the connection is lost."""
        async for _ in client.messages:
            pass

    async def _publish(self, client: Client) -> None:
        while True:
            batch = await self._place.next(self._options.batch, self._options.linger)
            if await self._send(client, batch.rows):
                self._witness = batch.rows[-1]
                refused = dict[int, str]()
            else:
                refused = await self._one_by_one(client, batch)
            await self._place.delivered(batch, refused)
            self._backoff.succeeded()

    async def _send(self, client: Client, rows: Sequence[Row]) -> bool:
        """Publish all, in order, and wait for the broker's answers; False where it refused one."""
        options = self._options
        client.refusal = ""
        async with asyncio.TaskGroup() as group:
            for row in rows:
                payload = message(row, identified=options.identified)
                group.create_task(
                    client.publish(
                        self._topic(row), payload, qos=options.qos, retain=options.retain, timeout=options.timeout
                    )
                )
        return not client.refusal

    async def _one_by_one(self, client: Client, batch: Batch) -> dict[int, str]:
        """Find out which are refused, and why. Errors: aiomqtt.MqttError (all of them, and what was accepted before
        too)."""
        refused: dict[int, str] = {}
        for row in batch.rows:
            if await self._send(client, [row]):
                self._witness = row
            else:
                refused[row.seq] = client.refusal
                log.warning("message refused", sink=self.id, seq=row.seq, reason=client.refusal)
        if len(refused) == len(batch.rows) and not (self._witness and await self._send(client, [self._witness])):
            raise aiomqtt.MqttError(f"the broker refuses every message: {refused[batch.rows[-1].seq]}")
        return refused

    def _topic(self, row: Row) -> str:
        said = orjson.loads(row.body)
        places = {"site": self._site, **{name: str(said[name]) for name in ("device", "kind", "quantity")}}
        return self._options.topic.format(**{name: _level(value) for name, value in places.items()})


async def client_of(broker: BrokerOptions, identifier: str, patience: float) -> Client:
    """A client that has not connected yet. Errors: OSError, ValueError (a secret or a certificate that cannot be
    read)."""
    password = await asyncio.to_thread(broker.password.resolve) if broker.password else None
    tls = await asyncio.to_thread(_context, broker.tls) if broker.tls else None
    return Client(
        broker.host,
        broker.number,
        username=broker.username,
        password=password,
        tls_context=tls,
        protocol=ProtocolVersion.V5 if broker.protocol == "5" else ProtocolVersion.V311,
        keepalive=broker.keepalive,
        identifier=identifier,
        timeout=patience,
        max_inflight_messages=UNDER_WAY,
    )


def _context(options: TlsOptions) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.ca)
    if options.cert:
        context.load_cert_chain(options.cert, options.key)
    return context


def _level(value: str) -> str:
    """One level of a topic: what MQTT reads as a separator or a wildcard becomes a hyphen."""
    return _NOT_A_LEVEL.sub("-", value)[:200] or "-"
