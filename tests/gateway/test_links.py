"""Links on real sockets, pseudo-terminals, folders and a real broker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import tty
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from gateway.links import listen, mqtt
from gateway.links.files import FileLink
from gateway.links.link import Chunk, Link, LinkState, Port
from gateway.links.listen import Listeners, ListenLink, conflicts
from gateway.links.mqtt import Broker as BrokerConnection
from gateway.links.mqtt import MqttLink
from gateway.links.options import (
    BrokerOptions,
    FileOptions,
    MqttLinkOptions,
    SerialOptions,
    TcpListenOptions,
    TcpOptions,
)
from gateway.links.serial import SerialLink
from gateway.links.tcp import TcpLink
from tests.system.daemon import free_port
from tests.system.peers import Broker


class Listener:
    """An ear that keeps what it is told; `done` is called at once unless it holds back."""

    def __init__(self, *, hold: bool = False) -> None:
        self.data = b""
        self.chunks: list[Chunk] = []
        self.ports: list[Port] = []
        self.states: list[LinkState] = []
        self.held: list[Callable[[], None]] = []
        self._hold = hold
        self._event = asyncio.Event()

    def opened(self, port: Port) -> None:
        self.ports.append(port)
        self._event.set()

    def received(self, port: Port, chunk: Chunk, done: Callable[[], None]) -> None:
        self.data += chunk.data
        self.chunks.append(chunk)
        if self._hold:
            self.held.append(done)
        else:
            done()
        self._event.set()

    def closed(self, port: Port, why: str) -> None:
        self.ports.remove(port)
        self._event.set()

    def state(self, state: LinkState, detail: str) -> None:
        self.states.append(state)
        self._event.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not true():
                self._event.clear()
                await self._event.wait()


@asynccontextmanager
async def running(*works: Awaitable[None]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(work) for work in works]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def link(options: TcpListenOptions, name: str, listeners: Listeners) -> Link:
    return ListenLink(name, options, listeners, asyncio.Event())


async def test_devices_on_one_port_are_told_apart_by_their_address() -> None:
    port, listeners = free_port(), Listeners()
    near, far = Listener(), Listener()
    one = TcpListenOptions(type="tcp-listen", port=port, allow=("127.0.0.1",))
    other = TcpListenOptions(type="tcp-listen", port=port, allow=("127.0.0.0/8",))
    async with running(link(one, "a", listeners).run(near), link(other, "b", listeners).run(far)):
        await far.until(lambda: LinkState.LISTENING in far.states)
        await near.until(lambda: LinkState.LISTENING in near.states)
        for address, ear in (("127.0.0.1", near), ("127.0.0.2", far)):
            _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
            writer.write(b"hello")
            await ear.until(lambda ear=ear: ear.data == b"hello")  # type: ignore[misc]
            writer.close()
            await ear.until(lambda ear=ear: not ear.ports)  # type: ignore[misc]


async def test_a_peer_nobody_allows_is_turned_away() -> None:
    port, listeners, ear = free_port(), Listeners(), Listener()
    options = TcpListenOptions(type="tcp-listen", port=port, allow=("10.20.0.0/24",))
    async with running(link(options, "a", listeners).run(ear)):
        await ear.until(lambda: LinkState.LISTENING in ear.states)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        assert (listeners.turned_away, ear.ports) == (1, [])


async def test_an_instrument_that_vanished_too_often_is_heard_when_it_calls_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listen, "MOST_PER_DEVICE", 3)
    monkeypatch.setattr(listen, "SILENT", 0.0)
    port, listeners, ear = free_port(), Listeners(), Listener()
    options = TcpListenOptions(type="tcp-listen", port=port)
    async with running(link(options, "a", listeners).run(ear)):
        await ear.until(lambda: LinkState.LISTENING in ear.states)
        callers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await ear.until(lambda: len(ear.ports) == 3)
        callers[0][1].write(b"alive")
        await ear.until(lambda: ear.data == b"alive")
        late = await asyncio.open_connection("127.0.0.1", port)
        late[1].write(b" again")
        callers[0][1].write(b" still")
        await ear.until(lambda: sorted(ear.data.split()) == [b"again", b"alive", b"still"])
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await callers[1][0].readexactly(1)  # silent longest
        for _, writer in (*callers, late):
            writer.close()
        await ear.until(lambda: not ear.ports)


async def test_whoever_speaks_gives_no_room_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "MOST_PER_DEVICE", 1)
    monkeypatch.setattr(listen, "SILENT", 3600.0)
    port, listeners, ear = free_port(), Listeners(), Listener()
    async with running(link(TcpListenOptions(type="tcp-listen", port=port), "a", listeners).run(ear)):
        await ear.until(lambda: LinkState.LISTENING in ear.states)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await ear.until(lambda: len(ear.ports) == 1)
        reader, other = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.write(b"alive")
        await ear.until(lambda: ear.data == b"alive")
        for one in (writer, other):
            one.close()
        await ear.until(lambda: not ear.ports)


def test_two_devices_that_claim_the_same_peers_are_a_conflict() -> None:
    any_peer = TcpListenOptions(type="tcp-listen", port=5001)
    some = TcpListenOptions(type="tcp-listen", port=5001, allow=("10.20.0.0/24",))
    assert conflicts([("a", any_peer), ("b", some)]) == []
    assert len(conflicts([("a", any_peer), ("b", any_peer)])) == 1


async def test_a_lost_instrument_is_called_again() -> None:
    calls = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.write(b"%d" % calls)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port, ear = server.sockets[0].getsockname()[1], Listener()
    async with running(TcpLink(TcpOptions(type="tcp", host="127.0.0.1", port=port)).run(ear)):
        await ear.until(lambda: ear.data.startswith(b"12"))
    server.close()
    assert LinkState.WAITING in ear.states


async def test_a_serial_adapter_may_be_unplugged_and_come_back_under_its_name(tmp_path: Path) -> None:
    name, ear = tmp_path / "by-id", Listener()
    async with running(SerialLink(SerialOptions(type="serial", port=str(name))).run(ear)):
        await ear.until(lambda: LinkState.WAITING in ear.states)
        for word in (b"one", b"two"):
            master, slave = pty.openpty()
            tty.setraw(slave)
            name.symlink_to(os.ttyname(slave))
            await ear.until(lambda: bool(ear.ports))
            os.close(slave)
            os.write(master, word)
            await ear.until(lambda word=word: ear.data.endswith(word))  # type: ignore[misc]
            ear.ports[0].write(b"\x06")
            assert os.read(master, 1) == b"\x06"
            os.close(master)
            name.unlink()
            await ear.until(lambda: not ear.ports)
    assert ear.data == b"onetwo"


async def test_a_file_is_read_when_it_has_stopped_changing_and_once(tmp_path: Path) -> None:
    taken: set[str] = set()
    ear = Listener()

    async def seen(key: str) -> bool:
        return key in taken

    options = FileOptions(type="file", path=tmp_path, pattern="*.csv", settle="100ms")
    (tmp_path / ".half.csv").write_text("no")
    (tmp_path / "run.csv").write_text("a,b\n")
    async with running(FileLink(options, seen).run(ear)):
        await ear.until(lambda: len(ear.chunks) == 1)
        (tmp_path / "next.csv").write_text("c")
        await ear.until(lambda: len(ear.chunks) == 2)
    assert [(chunk.channel, chunk.data) for chunk in ear.chunks] == [("run.csv", b"a,b\n"), ("next.csv", b"c")]
    taken.update(chunk.key for chunk in ear.chunks)
    again = Listener()
    async with running(FileLink(options, seen).run(again)):
        (tmp_path / "third.csv").write_text("d")
        await again.until(lambda: bool(again.chunks))
    assert [chunk.channel for chunk in again.chunks] == ["third.csv"]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_what_was_not_acknowledged_comes_again_after_a_reconnect_and_in_order(
    tmp_path: Path, protocol: str
) -> None:
    broker = Broker(tmp_path)
    await asyncio.to_thread(broker.start)
    options = BrokerOptions(id="b", host="127.0.0.1", port=broker.port, protocol=protocol)
    topics = MqttLinkOptions(type="mqtt", broker="b", topic="lab/+")
    try:
        first = Listener(hold=True)
        connection = BrokerConnection(options, "test", lambda _c, done: done())
        async with running(connection.run(), MqttLink("d", topics, connection).run(first)):
            await first.until(lambda: LinkState.CONNECTED in first.states)
            async with aiomqtt.Client("127.0.0.1", broker.port) as client:
                for number in range(5):
                    await client.publish("lab/x", str(number), qos=1)
            await first.until(lambda: len(first.chunks) == 5)
            assert not any(chunk.again for chunk in first.chunks)
            first.held[1]()  # durable out of order: nothing may be acknowledged before the first
            first.held[0]()
            await asyncio.sleep(0.3)
        second = Listener()
        connection = BrokerConnection(options, "test", lambda _c, done: done())
        async with running(connection.run(), MqttLink("d", topics, connection).run(second)):
            await second.until(lambda: len(second.chunks) == 3)
            assert [(chunk.data, chunk.again) for chunk in second.chunks] == [(b"2", True), (b"3", True), (b"4", True)]
    finally:
        await asyncio.to_thread(broker.stop)


async def test_a_device_is_connected_once_the_broker_lets_it_subscribe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "ASK_AGAIN", 1)
    answers = [b"\x80", b"\x00", b"\x01"]  # MQTT 3.1.1, 3.9.3: refused; QoS 0; QoS 1

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, length = await reader.readexactly(2)
                body = await reader.readexactly(length)
                if kind == 0x10:
                    writer.write(b"\x20\x02\x00\x00")
                elif kind == 0x82:
                    writer.write(b"\x90\x03" + body[:2] + answers.pop(0))
                elif kind == 0xC0:
                    writer.write(b"\xd0\x00")
        writer.close()

    server = await asyncio.start_server(broker, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        for expected in (LinkState.WAITING, LinkState.CONNECTED):
            ear = Listener()
            options = BrokerOptions(id="b", host="127.0.0.1", port=port, protocol="3.1.1")
            connection = BrokerConnection(options, "test", lambda _c, done: done())
            link = MqttLink("d", MqttLinkOptions(type="mqtt", broker="b", topic="lab/+"), connection)
            async with running(connection.run(), link.run(ear)):
                await ear.until(lambda ear=ear: LinkState.CONNECTED in ear.states)  # type: ignore[misc]
                assert next(one for one in ear.states if one != LinkState.STARTING) == expected
    finally:
        server.close()
    assert not answers


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_port_publishes_where_it_is_told_and_a_host_says_that_it_is_there(
    tmp_path: Path, protocol: str
) -> None:
    broker = Broker(tmp_path)
    await asyncio.to_thread(broker.start)
    options = BrokerOptions(id="b", host="127.0.0.1", port=broker.port, protocol=protocol, sparkplug_host="gate")
    topics = MqttLinkOptions(type="mqtt", broker="b", topic="lab/+")
    unclaimed: list[str] = []

    def nobodys(chunk: Chunk, done: Callable[[], None]) -> None:
        unclaimed.append(chunk.channel)
        done()

    try:
        async with aiomqtt.Client("127.0.0.1", broker.port) as client:
            await client.subscribe([("cmd/#", 0), ("spBv1.0/STATE/+", 1)])
            heard = aiter(client.messages)

            async def state() -> dict[str, object]:
                message = await asyncio.wait_for(anext(heard), 15)
                assert str(message.topic) == "spBv1.0/STATE/gate"
                said: dict[str, object] = json.loads(bytes(message.payload))
                return said

            ear = Listener()
            connection = BrokerConnection(options, "test", nobodys)
            async with running(connection.run(), MqttLink("d", topics, connection).run(ear)):
                born = await state()
                assert born["online"] is True
                await ear.until(lambda: bool(ear.ports))
                ear.ports[0].write(b"no topic")
                ear.ports[0].write(b"told", "cmd/node")
                ear.ports[0].write(b"not allowed", "cmd/#")
                ear.ports[0].write(b"again", "cmd/node")
                for wanted in (b"told", b"again"):
                    message = await asyncio.wait_for(anext(heard), 15)
                    assert (str(message.topic), message.payload) == ("cmd/node", wanted)
                await client.publish("spBv1.0/STATE/gate", b'{"online":false,"timestamp":1}', qos=1, retain=True)
                assert await state() == {"online": False, "timestamp": 1}
                assert await state() == born
            assert await state() == {**born, "online": False}
        assert unclaimed == []
    finally:
        await asyncio.to_thread(broker.stop)
