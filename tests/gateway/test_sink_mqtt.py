"""The mqtt sink against a real mosquitto."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import aiomqtt
import orjson
import pytest
from pydantic import ValidationError

from gateway.backoff import Backoff
from gateway.journal.store import Journal
from gateway.links.options import BrokerOptions
from gateway.sinks.mqtt import MqttSink
from gateway.sinks.options import MqttOptions
from tests.gateway.sink_bench import Bench, drained, journal, running, until
from tests.system.daemon import free_port
from tests.system.stores import needed

__all__ = ["journal"]


class Mosquitto:
    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.config = folder / "mosquitto.conf"
        self.config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = needed("mosquitto", "mosquitto")
        self.process = subprocess.Popen([program, "-c", str(self.config)], stderr=subprocess.DEVNULL)
        ends = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert time.monotonic() < ends, "mosquitto did not start"
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path)
    made.start()
    yield made
    made.kill()


def sink(journal: Journal, broker: Mosquitto, protocol: Literal["5", "3.1.1"] = "5", **more: Any) -> MqttSink:
    options = MqttOptions(**{"id": "north", "type": "mqtt", "broker": "bench", "linger": "10ms", **more})
    settings = BrokerOptions(id="bench", host="127.0.0.1", port=broker.port, protocol=protocol)
    return MqttSink(options, settings, journal, "lab-1", backoff=Backoff(0.05, 0.2))


async def hear(client: aiomqtt.Client, take: Callable[[aiomqtt.Message], None]) -> None:
    with contextlib.suppress(aiomqtt.MqttError):
        async for message in client.messages:
            take(message)


@contextlib.asynccontextmanager
async def heard(broker: Mosquitto, topic: str = "#") -> AsyncIterator[list[aiomqtt.Message]]:
    messages: list[aiomqtt.Message] = []
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe(topic, qos=1)

        task = asyncio.create_task(hear(client, messages.append))
        try:
            yield messages
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def said(message: aiomqtt.Message) -> dict[str, Any]:
    answer = orjson.loads(message.payload if isinstance(message.payload, bytes) else b"")
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_every_observation_is_published_in_order_without_persons(
    journal: Journal, broker: Mosquitto, protocol: Literal["5", "3.1.1"]
) -> None:
    bench = Bench(journal)
    async with heard(broker) as messages, running(sink(journal, broker, protocol)) as part:
        await bench.many(500)
        await until(drained(part))
        await until(lambda: len(messages) >= 500)
        assert part.state.connected
    assert [said(message)["seq"] for message in messages] == list(range(1, 501))
    assert {str(message.topic) for message in messages} == {"assaygate/lab-1/reader-1/crp"}
    first = said(messages[0])
    assert (first["value"], first["unit"], first["time"][:10]) == (1.5, "mg/L", "2026-03-01")
    assert not {"specimen", "patient", "operator", "attributes"} & set(first)


async def test_the_last_value_of_every_topic_is_kept_by_the_broker(journal: Journal, broker: Mosquitto) -> None:
    bench = Bench(journal)
    await bench.many(20, quantity="a/+#b")
    await bench.many(3, device="freezer-1")
    async with running(sink(journal, broker, identified=True, topic="lab/{device}/{kind}/{quantity}")) as part:
        await until(drained(part))
    async with heard(broker) as messages:
        await until(lambda: len(messages) >= 2)
    kept = {str(message.topic): (said(message)["seq"], said(message)["specimen"]) for message in messages}
    assert kept == {"lab/reader-1/result/a---b": (20, "S-1"), "lab/freezer-1/result/crp": (23, "S-1")}


def allow(broker: Mosquitto, *topics: str) -> None:
    """Let everybody read everything and write these; takes effect at the broker's next start."""
    rules = broker.config.with_name("acl")
    rules.write_text("topic read #\n" + "".join(f"topic write {topic}\n" for topic in topics))
    rules.chmod(0o644)
    broker.config.write_text(  # with unlimited queues mosquitto 2.0.11 hangs up on whom it denies something
        f"listener {broker.port} 127.0.0.1\nallow_anonymous true\nuser {getpass.getuser()}\nacl_file {rules}\n"
    )
    broker.kill()
    broker.start()


async def test_what_the_broker_refuses_is_listed_and_holds_nothing_up(journal: Journal, broker: Mosquitto) -> None:
    await asyncio.to_thread(allow, broker, "assaygate/lab-1/reader-1/#")
    bench = Bench(journal)
    await bench.many(5)
    await bench.many(3, device="freezer-1")
    async with heard(broker) as messages, running(sink(journal, broker)) as part:
        await until(drained(part))
        await bench.many(2, device="freezer-1")  # a batch of nothing else
        await until(drained(part))
        await bench.many(2)
        await until(drained(part))
        assert (part.state.refused, part.state.connected) == (5, True)
        await until(lambda: {said(one)["seq"] for one in messages} == {1, 2, 3, 4, 5, 11, 12})
    listed = await journal.read(lambda db: db.execute("SELECT seq, reason FROM refused ORDER BY seq").fetchall())
    assert [seq for seq, _ in listed] == [6, 7, 8, 9, 10]
    assert "uthori" in listed[0][1]


async def test_a_broker_that_refuses_everything_is_waited_for(journal: Journal, broker: Mosquitto) -> None:
    await asyncio.to_thread(allow, broker)
    await Bench(journal).many(5)
    async with running(sink(journal, broker)) as part:
        await until(lambda: "refuses every message" in part.state.last_error)
        assert (part.state.behind, part.state.refused) == (5, 0)
        await asyncio.to_thread(allow, broker, "assaygate/#")
        await until(drained(part))
        assert part.state.refused == 0


async def test_nothing_is_missing_after_the_broker_was_killed(journal: Journal, broker: Mosquitto) -> None:
    bench = Bench(journal)
    await bench.many(400)
    seen: set[int] = set()
    async with running(sink(journal, broker, batch=20)) as part:
        async with heard(broker) as messages:
            await until(lambda: part.state.delivered >= 100)
            await asyncio.to_thread(broker.kill)
            await until(lambda: not part.state.connected)
            seen |= {said(message)["seq"] for message in messages}
            before = part.state.cursor
        assert part.state.last_error
        assert set(range(1, before + 1)) - seen <= set(range(before - 19, before + 1))
        await asyncio.to_thread(broker.start)
        async with heard(broker) as messages:
            await bench.many(100)
            await until(drained(part))
            await until(lambda: messages and said(messages[-1])["seq"] == 500)
            after = [said(message)["seq"] for message in messages if not message.retain]
    assert after == sorted(after)
    assert after[-1] == 500


async def test_a_broker_that_is_not_there_is_a_state(journal: Journal, broker: Mosquitto) -> None:
    broker.kill()
    await Bench(journal).many(3)
    async with running(sink(journal, broker)) as part:
        await until(lambda: part.state.last_error)
        assert (part.state.connected, part.state.behind) == (False, 3)
        await asyncio.to_thread(broker.start)
        await until(drained(part))
        assert part.state.last_error == ""


@pytest.mark.parametrize("topic", ["a/+/b", "a/#", "a/{patient}", "a/{device.x}", "a/{", "a/{device!r}", "a\0"])
def test_a_topic_that_cannot_be_published_on_is_refused(topic: str) -> None:
    with pytest.raises(ValidationError, match="not a topic to publish on"):
        MqttOptions(id="north", type="mqtt", broker="bench", topic=topic)
