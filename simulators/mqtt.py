"""A topic on an MQTT broker as an endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from drivers.kit.exchange import Send
from simulators.endpoints import GoneError, Published, Received
from simulators.faults import Faults
from simulators.mqtt_marked import publish_marked

MOST_IN_FLIGHT = 200  # messages published and not acknowledged


class MqttEndpoint:
    """Publishes at QoS 1, to its own topic where a message names none; acknowledged is what the broker acknowledged.

    Its will is the instrument's, or else the word "offline" on `TOPIC/state`.
    """

    acknowledges = True

    def __init__(
        self,
        host: str,
        port: int,
        topic: str,
        name: str,
        acknowledged: Callable[[], None],
        faults: Faults | None = None,
        about: Published | None = None,
    ) -> None:
        self._host, self._port, self._topic, self._name = host, port, topic, name
        self._acknowledged = acknowledged
        self._faults = faults or Faults({}, 1)
        self._about = about
        self._publishing: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(MOST_IN_FLIGHT)
        self._stack: contextlib.AsyncExitStack | None = None
        self._client: Any = None
        self._listening: asyncio.Task[None] | None = None
        self.gone = asyncio.Event()

    @property
    def address(self) -> str:
        return f"mqtt://{self._host}:{self._port}/{self._topic}"

    async def open(self, received: Received) -> None:
        import aiomqtt

        await self.drop()
        stack = contextlib.AsyncExitStack()
        will = self._about.will if self._about else None
        will = will or Send(b"offline", channel=f"{self._topic}/state")
        there = aiomqtt.Client(
            self._host,
            self._port,
            identifier=self._name,
            will=aiomqtt.Will(will.channel, will.data, qos=1),
            max_inflight_messages=MOST_IN_FLIGHT,
        )
        there.pending_calls_threshold = MOST_IN_FLIGHT + 1
        try:
            client = await stack.enter_async_context(there)
            if self._about and self._about.listens:
                await client.subscribe(self._about.listens, qos=1)
        except aiomqtt.MqttError as error:
            await stack.aclose()
            raise GoneError(str(error)) from None
        client._disconnected.add_done_callback(lambda lost: lost.cancelled() or lost.exception())  # noqa: SLF001
        self._stack, self._client = stack, client
        self.gone.clear()
        self._listening = asyncio.create_task(self._listen(client, received), name=f"listen:{self.address}")

    async def _listen(self, client: Any, received: Received) -> None:
        """Commands, until the connection is lost."""
        import aiomqtt

        try:
            async for message in client.messages:
                received(bytes(message.payload), str(message.topic))
        except aiomqtt.MqttError:
            self.gone.set()

    async def write(self, data: bytes, channel: str = "") -> None:
        if self._client is None or self.gone.is_set():
            raise GoneError("the connection ended")
        await self._room.acquire()
        task = asyncio.create_task(self._deliver(self._client, data, channel or self._topic))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)

    async def _deliver(self, client: Any, data: bytes, topic: str) -> None:
        import aiomqtt

        try:
            retain = self._faults.happens("mqtt-retained")
            await client.publish(topic, data, qos=1, retain=retain, timeout=10)
            if self._faults.happens("mqtt-duplicate"):
                await self._publish_again(client, data, topic)
        except (aiomqtt.MqttError, OSError):
            self.gone.set()
        else:
            self._acknowledged()
        finally:
            self._room.release()

    async def _publish_again(self, client: Any, data: bytes, topic: str) -> None:
        """The same message once more, every other time as a client does that did not hear its acknowledgement."""
        if self._faults.struck["mqtt-duplicate"] % 2:
            await client.publish(topic, data, qos=1, timeout=10)
        else:
            await publish_marked(self._host, self._port, f"{self._name}-again", topic, data)

    async def drop(self, how: str = "disconnect") -> None:
        """Say goodbye, or vanish ("mqtt-will") so that the broker publishes the will."""
        stack, self._stack = self._stack, None
        client, self._client = self._client, None
        if stack is None:
            return
        if how == "mqtt-will":
            _shut(client)
        await asyncio.gather(*self._publishing, return_exceptions=True)
        if self._listening:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        with contextlib.suppress(Exception):
            await stack.aclose()
        self.gone.set()

    async def close(self) -> None:
        await self.drop()


def _shut(client: Any) -> None:
    """Take the socket from under a client: it cannot say goodbye, and the broker publishes its will."""
    with contextlib.suppress(OSError):
        sock = client._client.socket()  # noqa: SLF001 - nothing public does this
        if sock:
            sock.shutdown(socket.SHUT_RDWR)
