"""One connection to a SiLA 2 server, until it is lost. Imported when a device needs it, with grpcio.

gRPC's own asyncio side is used: no thread stands between a stream and the loop, and a value that is not durable yet
keeps the next one from being read. Features are read from the server at every connect: it may have been replaced.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio
import structlog

from drivers.kit.exchange import DecodeError
from gateway.backoff import Backoff
from gateway.links.link import Chunk, Ear, LinkState
from gateway.links.options import SilaOptions
from gateway.links.requests import Durable, Requests
from gateway.links.sila_feature import (
    SERVICE,
    Feature,
    Property,
    described,
    error_text,
    feature,
    put_text,
    text,
    texts,
    value,
)

log = structlog.get_logger()

ANSWER_WITHIN: Final = 10.0  # seconds
LOOK_EVERY: Final = 15.0  # is it still there?
MOST_MESSAGE: Final = 4 << 20
MOST_FEATURES: Final = 500
MOST_FOLLOWED: Final = 500  # properties of one device
SHORTEST: Final = 0.1  # seconds between two questions
LONGEST: Final = 86_400.0
POLL_EVERY: Final = 60.0

GONE: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED)
TROUBLE: Final = (OSError, TimeoutError, ValueError, grpc.aio.AioRpcError, DecodeError)


async def converse(options: SilaOptions, ear: Ear) -> str:
    """Connect, follow what is asked for and deliver it until the connection is lost; why it was."""
    try:
        channel = await _channel(options)
    except (OSError, ValueError) as error:
        return _words(error)
    port, why = Requests(options.address), "stopped"
    opened = False
    try:
        server = Server(channel, port, ear)
        async with asyncio.timeout(2 * ANSWER_WITHIN):
            await server.greet()
        ear.opened(port)
        opened = True
        ear.state(LinkState.CONNECTED, options.address)
        why = await server.serve()
    except TROUBLE as error:
        why = _words(error)
    finally:
        port.lose(why)
        if opened:
            ear.closed(port, why)
        await channel.close()
    return why


async def _channel(options: SilaOptions) -> grpc.aio.Channel:
    """Errors: OSError (a certificate that cannot be read)."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    target = f"{host}:{options.port}"
    settings: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", MOST_MESSAGE),
        ("grpc.enable_retries", 0),
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if options.insecure:
        return grpc.aio.insecure_channel(target, settings)
    roots = await asyncio.to_thread(options.root_certificate.read_bytes) if options.root_certificate else None
    if options.server_name:
        settings.append(("grpc.ssl_target_name_override", options.server_name))
    return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(roots), settings)


def _words(error: BaseException) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        said = error.details() or ""
        said = error_text(said) if error.code() is grpc.StatusCode.ABORTED else said[:300]
        return f"{error.code().name.lower()}: {said}"
    return " ".join(str(error).split())[:300] or type(error).__name__


class Server:
    """A connected server, what is followed on it, and whom it tells."""

    def __init__(self, channel: grpc.aio.Channel, port: Requests, ear: Ear) -> None:
        self._channel, self._port, self._ear = channel, port, ear
        self._loop = asyncio.get_running_loop()
        self._implemented: list[str] = []
        self._features: dict[str, asyncio.Task[Feature]] = {}
        self._following: dict[str, asyncio.Task[None]] = {}
        self._troubles: dict[str, str] = {}  # told, with no value since

    async def greet(self) -> None:
        """What it implements. Errors: TROUBLE."""
        self._implemented = texts(await self._ask(f"{SERVICE}Get_ImplementedFeatures"))[:MOST_FEATURES]

    async def _ask(self, call: str, said: bytes = b"") -> bytes:
        answer: bytes = await self._channel.unary_unary(call)(said, timeout=ANSWER_WITHIN)
        return answer

    async def serve(self) -> str:
        """Until it is lost; why. Errors: TROUBLE."""
        watching = asyncio.create_task(self._watch(), name=f"sila-watch:{self._port.peer}")
        try:
            while True:
                batch = await self._port.batch(MOST_FOLLOWED, LOOK_EVERY)
                if batch is None:
                    return self._port.lost.result()
                for request, name in batch:
                    self._follow(name, _period(request))
                if batch:
                    self._ear.state(LinkState.CONNECTED, f"{self._port.peer}: {len(self._following)} properties")
        finally:
            tasks = [watching, *self._following.values(), *self._features.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        """A stream that is silent says nothing of its server."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self._ask(f"{SERVICE}Get_ServerUUID")
            except grpc.aio.AioRpcError as error:
                self._port.lose(_words(error))
                return

    # ---- what is asked for

    def _follow(self, name: str, period: float) -> None:
        if name in self._following or len(self._following) >= MOST_FOLLOWED:
            return
        task = asyncio.create_task(self._followed(name, period), name=f"sila:{self._port.peer}:{name}")
        task.add_done_callback(self._ended)
        self._following[name] = task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A property that is not followed any more through a fault of ours ends the conversation, loudly."""
        if not task.cancelled() and (error := task.exception()):
            log.error("property failed", server=self._port.peer, exc_info=error)
            self._port.lose(f"{type(error).__name__}: {error}")

    async def _followed(self, name: str, period: float) -> None:
        try:
            found = await self._property(name)
        except grpc.aio.AioRpcError as error:
            self._port.lose(_words(error))
            return
        except TROUBLE as error:
            await self._trouble(name, _words(error))
            return
        if found.observable:
            await self._again(name, lambda: self._stream(name, found), Backoff(longest=30.0))
        else:
            await self._again(name, lambda: self._poll(name, found, period), Backoff(first=period, longest=period))

    async def _property(self, name: str) -> Property:
        """Errors: TROUBLE; ValueError where there is no such property."""
        wanted, _, title = name.rpartition("/")
        fits = [one for one in self._implemented if one == wanted or one.split("/")[2:3] == [wanted]]
        if len(fits) != 1:
            known = ", ".join(fits or self._implemented)[:400]
            why = "several features are" if fits else "no feature is"
            raise ValueError(f"{why} called {wanted!r}: write one of {known}")
        (id_,) = fits
        if id_ not in self._features:
            self._features[id_] = asyncio.create_task(self._feature(id_), name=f"sila-feature:{id_}")
        properties = (await self._features[id_]).properties
        if title not in properties:
            raise ValueError(f"{id_} has no property {title!r}: it has {', '.join(properties)[:400]}")
        return properties[title]

    async def _feature(self, id_: str) -> Feature:
        definition = text(await self._ask(f"{SERVICE}GetFeatureDefinition", put_text(id_))).encode()
        found = await asyncio.to_thread(feature, definition)  # it may be long
        if found.id != id_:
            raise DecodeError(f"asked for {id_}, told of {found.id}")
        return found

    # ---- what comes

    async def _again(self, name: str, work: Callable[[], Awaitable[None]], backoff: Backoff) -> None:
        """Do it again whenever it ends."""
        while True:
            started = self._loop.time()
            try:
                await work()
            except grpc.aio.AioRpcError as error:
                if error.code() in GONE:
                    self._port.lose(_words(error))
                    return
                await self._trouble(name, _words(error))
                if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                    return
            except TROUBLE as error:
                await self._trouble(name, _words(error))
            if self._loop.time() - started > backoff.longest:
                backoff.succeeded()
            await asyncio.sleep(backoff.next(SHORTEST))

    async def _stream(self, name: str, of: Property) -> None:
        call = self._channel.unary_stream(of.call)(b"")
        try:
            async for message in call:
                await self._tell(name, of, message)
        finally:
            call.cancel()

    async def _poll(self, name: str, of: Property, period: float) -> None:
        due = self._loop.time()
        while True:
            await self._tell(name, of, await self._ask(of.call))
            due = max(due + period, self._loop.time() + SHORTEST)
            await asyncio.sleep(due - self._loop.time())

    async def _tell(self, name: str, of: Property, message: bytes) -> None:
        told = {"property": name, "id": of.id, "value": value(message, of.type), **described(of.type)}
        self._troubles.pop(name, None)
        await self._deliver(name, told)

    async def _trouble(self, name: str, why: str) -> None:
        """Say once that there is no value, and why."""
        if self._troubles.get(name) != why:
            self._troubles[name] = why
            await self._deliver(name, {"property": name, "value": None, "error": why})

    async def _deliver(self, name: str, told: dict[str, Any]) -> None:
        """Hand it over, and return when it is durable."""
        await self._port.flowing.wait()
        if self._port.lost.done():
            return
        data = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        durable = Durable()
        durable.expect()
        self._ear.received(self._port, Chunk(data, name, whole=True), durable.done)
        await durable.wait()


def _period(request: bytes) -> float:
    _, _, said = request.partition(b" ")
    try:
        return min(max(float(said), SHORTEST), LONGEST)
    except ValueError:
        return POLL_EVERY
