"""One OPC UA session, from connecting until it is lost. Imported when a device needs it, with asyncua.

A publication is acknowledged to the server once everything in it is durable, and only then the next one is asked for:
while the journal presses back, the server queues. Subscriptions that fall silent are lost connections.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog
from asyncua import Client, ua
from asyncua.common.utils import ServiceError
from asyncua.crypto import security_policies, uacrypto
from cryptography import x509

from gateway.links.link import Chunk, Ear, LinkState
from gateway.links.opcua_nodes import Missing, Nodes, Unit, split, status
from gateway.links.options import OpcUaOptions
from gateway.links.requests import Durable, Requests

log = structlog.get_logger()
logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # what matters of it is in the link's state

APPLICATION: Final = "urn:assaygate:gateway"
CONNECT_WITHIN: Final = 20.0  # seconds
SUBSCRIBE_WITHIN: Final = 120.0
LEAVE_WITHIN: Final = 3.0
ANSWER_WITHIN: Final = 5.0
PROBE_EVERY: Final = 5.0
KEEP_ALIVE: Final = 5.0  # seconds without a change after which the server is to say that it is there
LIVES: Final = 10  # keep-alives the server may miss us for
MISSED: Final = 3  # keep-alives we may miss
LONGEST_SILENCE: Final = 600.0  # seconds, whatever the server makes of what was asked for
LAST_SEQUENCE: Final = 2**32 - 1
MOST_MESSAGE: Final = 16 << 20
AT_ONCE: Final = 1000  # changes in one publication
ITEMS_A_TURN: Final = 200  # then the loop looks at everyone else
MOST_TOGETHER: Final = 500  # requests answered together

# The lower half of a StatusCode (OPC 10000-4, 7.39.1).
OVERFLOW: Final = 0x0480  # info type DataValue, and the queue ran over
SEMANTICS: Final = 0x4000  # unit, range or the like has changed

TROUBLE: Final = (OSError, TimeoutError, ValueError, ua.UaError, ServiceError)


@dataclass(frozen=True, slots=True)
class Item:
    """A monitored variable: how the driver asked for it, or the path it was found at."""

    name: str
    node: ua.NodeId
    unit: Unit | None


async def converse(options: OpcUaOptions, ear: Ear) -> str:
    """Connect, subscribe what is asked for and deliver it until the connection is lost; why it was."""
    try:
        async with asyncio.timeout(CONNECT_WITHIN):
            client = await _client(options)
    except TROUBLE as error:
        return _words(error)
    try:
        async with asyncio.timeout(CONNECT_WITHIN):
            await client.connect()
        return await _connected(options, client, ear)
    except TROUBLE as error:
        return _words(error)
    finally:
        with contextlib.suppress(*TROUBLE):
            async with asyncio.timeout(LEAVE_WITHIN):
                await client.disconnect()
        client.disconnect_socket()


async def _connected(options: OpcUaOptions, client: Client, ear: Ear) -> str:
    port = Requests(options.address)
    session = Session(options, client, port, ear)
    client.connection_lost_callback = session.connection_lost
    ear.opened(port)
    why = "stopped"
    try:
        why = await session.serve()
    except TROUBLE as error:
        why = _words(error)
    finally:
        port.lose(why)
        ear.closed(port, why)
    return why


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    return " ".join(str(error).split())[:300] or type(error).__name__


async def _client(options: OpcUaOptions) -> Client:
    """Errors: OSError, ValueError, UaError."""
    client = Client(options.url, timeout=ANSWER_WITHIN, watchdog_intervall=PROBE_EVERY)
    client.name = client.description = "assaygate"
    client.application_uri = client.product_uri = APPLICATION
    client.session_timeout = 60_000  # ms
    client.max_messagesize = MOST_MESSAGE
    if options.username is not None:
        client.set_user(options.username)
        if options.password is not None:
            client.set_password(options.password.resolve())
    if options.security != "none":
        policy = getattr(security_policies, f"SecurityPolicy{options.security}")
        mode = getattr(ua.MessageSecurityMode, options.mode)
        own, key, server = options.certificate, options.key, options.server_certificate
        if own is None or key is None or server is None:  # the options see to that
            raise ValueError("certificates are missing")
        client.application_uri = await _application(own)
        await client.set_security(policy, own, key, server_certificate=str(server), mode=mode)
    return client


async def _application(certificate: Path) -> str:
    """Our application's URI as the certificate says it: servers compare (OPC 10000-6, 6.2.2)."""
    loaded = await uacrypto.load_certificate(str(certificate))
    try:
        names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return str(names.get_values_for_type(x509.UniformResourceIdentifier)[0])
    except (x509.ExtensionNotFound, IndexError):
        return APPLICATION


class Session:
    """A connected client, what is subscribed on it, and whom it tells."""

    def __init__(self, options: OpcUaOptions, client: Client, port: Requests, ear: Ear) -> None:
        self._options, self._client, self._port, self._ear = options, client, port, ear
        self._loop = asyncio.get_running_loop()
        self._session = client.uaclient.session
        self._items: dict[int, Item] = {}  # by client handle
        self._subscription: int | None = None
        self._patience = ANSWER_WITHIN
        self._heard = self._loop.time()
        self._busy = self._overflowed = self._missed = False
        self._sequence = 0  # of the last publication

    async def connection_lost(self, error: Exception) -> None:
        """asyncua's word that the transport is gone or the server does not answer."""
        self._port.lose(_words(error))

    async def serve(self) -> str:
        """Until it is lost; why. Errors: TROUBLE."""
        async with asyncio.timeout(SUBSCRIBE_WITHIN):
            nodes = Nodes(self._session, await self._client.get_namespace_array())
            await self._create()
        self._ear.state(LinkState.CONNECTED, self._options.address)
        while True:
            batch = await self._port.batch(MOST_TOGETHER, self._patience / MISSED)
            if batch is None:
                return self._port.lost.result()
            if batch:
                async with asyncio.timeout(SUBSCRIBE_WITHIN):
                    await self._answer(nodes, batch)
                self._ear.state(LinkState.CONNECTED, f"{self._options.address}: {len(self._items)} variables")
            elif not self._busy and self._loop.time() - self._heard > self._patience:
                return f"the subscription has been silent for {self._patience:g} s"

    async def _create(self) -> None:
        interval = self._options.interval
        keep = max(1, math.ceil(KEEP_ALIVE / interval))
        wish = ua.CreateSubscriptionParameters()
        wish.RequestedPublishingInterval = interval * 1000
        wish.RequestedMaxKeepAliveCount, wish.RequestedLifetimeCount = keep, LIVES * keep
        wish.MaxNotificationsPerPublish, wish.PublishingEnabled, wish.Priority = AT_ONCE, True, 0
        made = await self._session.create_subscription(wish, self._published)
        self._subscription = made.SubscriptionId
        silence = MISSED * made.RevisedPublishingInterval / 1000 * made.RevisedMaxKeepAliveCount
        self._patience = ANSWER_WITHIN + (silence if 0 < silence < LONGEST_SILENCE else LONGEST_SILENCE)
        self._heard = self._loop.time()

    # ---- what is asked for

    async def _answer(self, nodes: Nodes, batch: Sequence[tuple[bytes, str]]) -> None:
        """Subscribe what a batch of requests names; of what there is not, a bad value is told."""
        wanted: dict[str, ua.NodeId] = {}
        for request, name in batch:
            verb, _, rest = request.partition(b" ")
            try:
                place = await nodes.find(name)
                if isinstance(place, ua.NodeId) and verb == b"browse":
                    found, whole = await nodes.look(place, json.loads(rest))
                    if not whole:
                        log.warning("too much below a node, the rest is not subscribed", node=name, found=len(found))
                    wanted |= found
                    if not found:
                        self._tell_missing(name, Missing(ua.StatusCodes.BadNoMatch, "nothing of the kind is below it"))
                elif isinstance(place, ua.NodeId):
                    wanted[name] = place
                else:
                    self._tell_missing(name, place)
            except (ua.UaStatusCodeError, ServiceError) as error:
                self._tell_missing(name, Missing(error.code))
        nodes.forget()
        await self._monitor(nodes, wanted)

    async def _monitor(self, nodes: Nodes, wanted: dict[str, ua.NodeId]) -> None:
        """Create the monitored items; their first values come with the next publication."""
        units: dict[ua.NodeId, Unit] = {}
        try:
            units = await nodes.units(list(dict.fromkeys(wanted.values())))
        except (ua.UaStatusCodeError, ServiceError) as error:
            log.warning("the server does not tell units", server=self._port.peer, why=_words(error))
        for part in split(list(wanted.items())):
            parameters = ua.CreateMonitoredItemsParameters()
            parameters.SubscriptionId = self._subscription
            parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            handles = []
            for name, node in part:
                handle = len(self._items) + 1
                self._items[handle] = Item(name, node, units.get(node))
                handles.append(handle)
                parameters.ItemsToCreate.append(self._request(handle, node))
            results = await self._session.create_monitored_items(parameters)
            for handle, result in zip(handles, results, strict=True):
                if not result.StatusCode.is_good():
                    self._tell_missing(self._items[handle].name, Missing(result.StatusCode.value))

    def _request(self, handle: int, node: ua.NodeId) -> ua.MonitoredItemCreateRequest:
        request = ua.MonitoredItemCreateRequest()
        request.ItemToMonitor.NodeId = node
        request.ItemToMonitor.AttributeId = ua.AttributeIds.Value
        request.MonitoringMode = ua.MonitoringMode.Reporting
        request.RequestedParameters.ClientHandle = handle
        request.RequestedParameters.SamplingInterval = -1  # as the subscription publishes
        request.RequestedParameters.QueueSize = self._options.queue
        request.RequestedParameters.DiscardOldest = True
        return request

    def _tell_missing(self, name: str, missing: Missing) -> None:
        told = {"node": name, "value": None, "status": status(missing.code), "code": int(missing.code)}
        self._deliver(name, told | ({"detail": missing.detail} if missing.detail else {}), Durable())

    # ---- what comes

    async def _published(self, result: ua.PublishResult) -> None:
        """A publication, or word that there is nothing new; returning acknowledges it."""
        self._heard, self._busy = self._loop.time(), True
        try:
            await self._port.flowing.wait()
            await self._take(result.NotificationMessage)
        except Exception:  # the library would swallow it, and the publication with it
            log.exception("publication failed", server=self._port.peer)
            self._port.lose("a publication could not be taken")
        finally:
            self._heard, self._busy = self._loop.time(), False

    async def _take(self, message: ua.NotificationMessage) -> None:
        """Hand on what a publication has, and return when all of it is durable."""
        if message.NotificationData:
            self._count(int(message.SequenceNumber))
        durable, count = Durable(), 0
        for notification in message.NotificationData or ():
            if isinstance(notification, ua.StatusChangeNotification):
                self._port.lose(f"the server ended the subscription: {status(int(notification.Status.value))}")
            for change in getattr(notification, "MonitoredItems", None) or ():
                self._change(change, durable)
                count += 1
                if not count % ITEMS_A_TURN:
                    await asyncio.sleep(0)
        await durable.wait()

    def _count(self, sequence: int) -> None:
        """Publications are numbered from 1 on without a gap (OPC 10000-4, 7.26); one the library could not read is
        missing."""
        before, self._sequence = self._sequence, sequence
        if sequence != before % LAST_SEQUENCE + 1 and not self._missed:
            self._missed = True
            log.warning("publications are missing", server=self._port.peer, after=before, next=sequence)

    def _change(self, change: ua.MonitoredItemNotification, durable: Durable) -> None:
        item = self._items.get(change.ClientHandle)
        if item is None or self._port.lost.done():
            return
        code = int(change.Value.StatusCode.value) if change.Value.StatusCode is not None else 0
        told = told_of(item, change.Value, code)
        if code & OVERFLOW == OVERFLOW and not self._overflowed:
            self._overflowed = True
            log.warning("the server's queue ran over: changes are missing", server=self._port.peer, node=item.name)
        self._deliver(item.name, told, durable)
        if code & SEMANTICS:
            self._port.lose("units or ranges have changed: they are read anew")

    def _deliver(self, name: str, told: dict[str, Any], durable: Durable) -> None:
        data = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        durable.expect()
        self._ear.received(self._port, Chunk(data, name, whole=True), durable.done)


def told_of(item: Item, value: ua.DataValue, code: int) -> dict[str, Any]:
    """A change as JSON can carry it."""
    variant = value.Value
    told: dict[str, Any] = {
        "node": item.name,
        "value": plain(variant.Value) if variant is not None else None,
        "type": variant.VariantType.name if variant is not None and variant.VariantType is not None else None,
        "status": status(code),
        "code": code,
        "source_time": written(value.SourceTimestamp),
        "server_time": written(value.ServerTimestamp),
    }
    if item.unit is not None:
        told |= {"unit": item.unit.sign, "unit_id": item.unit.number, "unit_namespace": item.unit.namespace}
    if code & OVERFLOW == OVERFLOW:
        told["overflow"] = True
    return {name: one for name, one in told.items() if one is not None or name == "value"}


def plain(value: Any) -> Any:
    """A variant's content: numbers, truth and texts as they are; of what JSON has no word for, a text or its type."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)  # an enumeration's number
    if isinstance(value, float):
        return value
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, ua.LocalizedText):
        return value.Text
    if isinstance(value, ua.QualifiedName):
        return value.Name
    if isinstance(value, datetime):
        return written(value)
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, ua.NodeId):
        return value.to_string()
    if isinstance(value, ua.Variant):
        return plain(value.Value)
    return {"structure": type(value).__name__}


def written(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC; None where the server gave none (its zero is the year 1601)."""
    if moment is None or moment.year <= 1601:
        return None
    return moment.replace(tzinfo=None).isoformat() + "Z" if moment.tzinfo in (None, UTC) else moment.isoformat()
