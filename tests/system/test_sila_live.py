"""SiLA 2 with a foreign peer: the sila2 library's server, and feature definitions written here, read by the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from typing import Any
from uuid import UUID

import pytest

from tests.system.daemon import Daemon, eventually, free_port

if os.environ.get("CI") != "true":
    pytest.importorskip("sila2", reason="pip install sila2")

from sila2.client import SilaClient
from sila2.framework import Feature
from sila2.framework.errors.undefined_execution_error import UndefinedExecutionError
from sila2.server import FeatureImplementationBase, SilaServer
from sila2.server.encryption import generate_self_signed_certificate

from gateway.links import sila_client
from gateway.links.link import Chunk, LinkState, Port
from gateway.links.options import SilaOptions
from gateway.links.sila import SilaLink
from simulators.instrument import Instrument
from simulators.plan import Plan

pytestmark = pytest.mark.library_threads


def basic(name: str) -> str:
    return f"<DataType><Basic>{name}</Basic></DataType>"


def unit(label: str, si: str, offset: float = 0, limits: str = "") -> str:
    return (
        f"<DataType><Constrained>{basic('Real')}<Constraints>"
        f"<Unit><Label>{label}</Label><Factor>1</Factor><Offset>{offset}</Offset>"
        f"<UnitComponent><SIUnit>{si}</SIUnit><Exponent>1</Exponent></UnitComponent></Unit>{limits}"
        f"</Constraints></Constrained></DataType>"
    )


def property_of(name: str, data_type: str, observable: bool) -> str:
    return (
        f"<Property><Identifier>{name}</Identifier><DisplayName>{name}</DisplayName><Description>{name}.</Description>"
        f"<Observable>{'Yes' if observable else 'No'}</Observable>{data_type}</Property>"
    )


def element(name: str, data_type: str) -> str:
    return (
        f"<Element><Identifier>{name}</Identifier><DisplayName>{name}</DisplayName><Description>{name}.</Description>"
        f"{data_type}</Element>"
    )


CHAMBER = element("CarbonDioxide", unit("%", "Dimensionless")) + element("DoorOpen", basic("Boolean"))
FEATURE = f"""<?xml version="1.0" encoding="utf-8" ?>
<Feature SiLA2Version="1.0" FeatureVersion="1.3" Originator="com.maker" Category="incubation"
 xmlns="http://www.sila-standard.org" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:schemaLocation="http://www.sila-standard.org FeatureDefinition.xsd">
<Identifier>Incubator</Identifier><DisplayName>Incubator</DisplayName><Description>An incubator.</Description>
{property_of("Temperature", unit("°C", "Kelvin", 273.15, "<MaximalInclusive>60.0</MaximalInclusive>"), True)}
{property_of("Cycles", basic("Integer"), True)}
{property_of("Mode", basic("String"), True)}
{property_of("Filled", basic("Timestamp"), False)}
{property_of("Level", "<DataType><DataTypeIdentifier>Level</DataTypeIdentifier></DataType>", False)}
{property_of("Chamber", f"<DataType><Structure>{CHAMBER}</Structure></DataType>", True)}
<DataTypeDefinition><Identifier>Level</Identifier><DisplayName>Level</DisplayName><Description>Level.</Description>
{unit("mm", "Meter")}</DataTypeDefinition>
</Feature>"""


class Incubator(FeatureImplementationBase):  # type: ignore[misc]
    """What the peer measures: a queue for every observable property."""

    def __init__(self, server: SilaServer) -> None:
        super().__init__(server)
        self.level: float | Exception = 31.5
        self.queues: dict[str, Queue[Any]] = {}
        for name in ("Temperature", "Cycles", "Mode", "Chamber"):
            self.queues[name] = Queue()
            setattr(self, f"_{name}_producer_queue", self.queues[name])
            setattr(self, f"{name}_on_subscription", lambda *, metadata: None)

    def put(self, name: str, value: Any) -> None:
        self.queues[name].put(value)

    def get_Level(self, *, metadata: Any) -> float:  # noqa: N802 - the library calls it so
        if isinstance(self.level, Exception):
            raise self.level
        return self.level

    def get_Filled(self, *, metadata: Any) -> Any:  # noqa: N802
        return datetime(2026, 1, 15, 9, 30, 5, tzinfo=UTC)


@contextlib.contextmanager
def peer(start: Callable[[SilaServer], None], first: dict[str, Any]) -> Iterator[Incubator]:
    """The server with first values, until the end."""
    server = SilaServer("Peer", "Incubator", "A peer.", "1.0", "https://maker.example", UUID(int=7), 20, 20)
    implementation = Incubator(server)
    server.set_feature_implementation(Feature(FEATURE), implementation)
    for name, value in first.items():
        implementation.put(name, value)
    start(server)
    try:
        yield implementation
    finally:
        server.stop(0)


def plain(port: int) -> Callable[[SilaServer], None]:
    return lambda server: server.start_insecure("127.0.0.1", port, enable_discovery=False)


def daemon_for(folder: Path, link: str) -> Daemon:
    return Daemon(
        folder,
        f"""
[[devices]]
id = "incubator"
driver = "sila2"
link = {{ type = "sila", {link} }}
properties = [
  {{ feature = "Incubator", property = "Temperature", quantity = "temperature" }},
  {{ feature = "com.maker/incubation/Incubator/v1", property = "Cycles", quantity = "cycles" }},
  {{ feature = "Incubator", property = "Mode", quantity = "mode", kind = "status" }},
  {{ feature = "Incubator", property = "Chamber", quantity = "chamber" }},
  {{ feature = "Incubator", property = "Level", quantity = "level", period = "200ms" }},
  {{ feature = "Incubator", property = "Filled", quantity = "filled", kind = "status", period = "1h" }},
  {{ feature = "Incubator", property = "Humidity", quantity = "humidity" }},
]
""",
    )


FIRST = {"Temperature": 37.01, "Cycles": -12, "Mode": "running", "Chamber": (5.1, True)}


def said(daemon: Daemon) -> dict[str, list[tuple[Any, str, str | None]]]:
    found: dict[str, list[tuple[Any, str, str | None]]] = {}
    where = f"http://127.0.0.1:{daemon.http}/api/v1/observations?limit=1000"
    with urllib.request.urlopen(where, timeout=10) as answer:
        rows = json.load(answer)["items"]
    for row in rows:
        found.setdefault(row["quantity"], []).append((row["value"], row["quality"], row["unit"]))
    return found


def test_properties_are_subscribed_or_asked_for_and_a_restarted_server_is_subscribed_again(tmp_path: Path) -> None:
    port = free_port()
    daemon = daemon_for(tmp_path, f'host = "127.0.0.1", port = {port}, insecure = true')
    daemon.start()
    try:
        with peer(plain(port), FIRST) as incubator:
            assert eventually(lambda: {"chamber-door-open", "level", "filled", "humidity"} <= said(daemon).keys()), (
                said(daemon),
                daemon.log[-5:],
            )
            incubator.put("Temperature", 37.25)
            incubator.put("Chamber", (float("nan"), False))
            assert eventually(lambda: len(said(daemon)["chamber-door-open"]) == 2)
            told = said(daemon)
            assert told["temperature"] == [(37.01, "good", "Cel"), (37.25, "good", "Cel")]
            assert told["cycles"] == [(-12, "good", None)]
            assert told["mode"] == [("running", "good", None)]
            assert told["chamber-carbon-dioxide"] == [(5.1, "good", "%"), (None, "bad", "%")]
            assert told["chamber-door-open"] == [(True, "good", None), (False, "good", None)]
            assert told["filled"] == [("2026-01-15T09:30:05Z", "good", None)]
            assert set(told["level"]) == {(31.5, "good", "mm")} and len(told["level"]) > 1
            assert told["humidity"] == [(None, "bad", None)]
            incubator.level = UndefinedExecutionError("the float is stuck")
            assert eventually(lambda: said(daemon)["level"][-1][:2] == (None, "bad"))
            incubator.level = 30.0
            assert eventually(lambda: said(daemon)["level"][-1] == (30, "good", "mm"))
            stuck = [row for row in daemon.export("--quantity", "level") if row["quality"] == "bad"]
            assert len(stuck) == 1 and "the float is stuck" in stuck[0]["attributes"]["quality_reason"]
        with peer(plain(port), {**FIRST, "Temperature": 36.5}) as incubator:
            assert eventually(lambda: said(daemon)["temperature"][-1][0] == 36.5, 40)
            incubator.put("Temperature", 36.75)
            assert eventually(lambda: said(daemon)["temperature"][-1][0] == 36.75)
            assert [value for value, _, _ in said(daemon)["temperature"]] == [37.01, 37.25, 36.5, 36.75]
        report = daemon.verify()
        assert (report["unaccounted"], report["journal"]) == (0, "sound")
    finally:
        daemon.stop()


def test_tls_trusts_the_certificate_it_was_given_and_no_other(tmp_path: Path) -> None:
    port = free_port()
    certificate = tmp_path / "server.pem"
    key, chain = generate_self_signed_certificate(UUID(int=7), "127.0.0.1")
    certificate.write_bytes(chain)

    def secure(server: SilaServer) -> None:
        server.start("127.0.0.1", port, key, chain, enable_discovery=False)

    with peer(secure, FIRST):
        trusting = daemon_for(tmp_path, f'host = "127.0.0.1", port = {port}, root_certificate = "{certificate}"')
        trusting.start()
        try:
            assert eventually(lambda: said(trusting).get("temperature") == [(37.01, "good", "Cel")])
        finally:
            trusting.stop()
        other = tmp_path / "other"
        other.mkdir()
        doubting = daemon_for(other, f'host = "127.0.0.1", port = {port}')
        doubting.start()
        try:
            assert eventually(lambda: any("waiting" in line and "unavailable" in line for line in doubting.log))
            assert said(doubting) == {}
        finally:
            doubting.stop()


# ---- the link alone


class Heard:
    """An ear that asks for properties, and keeps what it is told; `done` is called at once unless it holds back."""

    def __init__(self, *properties: str, hold: bool = False) -> None:
        self.values: list[Any] = []
        self.states: list[LinkState] = []
        self.held: list[Callable[[], None]] = []
        self.closed_for: list[str] = []
        self._properties, self._hold = properties, hold
        self._event = asyncio.Event()

    def opened(self, port: Port) -> None:
        for name in self._properties:
            port.write(b"subscribe 0.1", name)

    def received(self, port: Port, chunk: Chunk, done: Callable[[], None]) -> None:
        assert chunk.whole
        self.values.append(json.loads(chunk.data)["value"])
        if self._hold:
            self.held.append(done)
        else:
            done()
        self._event.set()

    def closed(self, port: Port, why: str) -> None:
        self.closed_for.append(why)
        self._event.set()

    def state(self, state: LinkState, detail: str) -> None:
        self.states.append(state)
        self._event.set()

    async def until(self, true: Callable[[], bool], within: float = 20.0) -> None:
        async with asyncio.timeout(within):
            while not true():
                self._event.clear()
                await self._event.wait()


@contextlib.asynccontextmanager
async def running(port: int, ear: Heard) -> AsyncIterator[None]:
    options = SilaOptions(type="sila", host="127.0.0.1", port=port, insecure=True)
    task = asyncio.create_task(SilaLink(options).run(ear))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_stopped_link_leaves_no_task() -> None:
    port = free_port()
    with peer(plain(port), FIRST):
        before = asyncio.all_tasks()
        ear = Heard("Incubator/Temperature", "Incubator/Level")
        async with running(port, ear):
            await ear.until(lambda: {37.01, 31.5} <= set(ear.values))
        async with asyncio.timeout(5):
            while asyncio.all_tasks() - before:  # gRPC's own end with the calls they are for
                await asyncio.sleep(0.01)
        assert ear.states[-1] is LinkState.STOPPED and len(ear.closed_for) == 1


async def test_the_next_value_is_taken_when_the_one_before_is_durable() -> None:
    port = free_port()
    with peer(plain(port), FIRST) as incubator:
        ear, witness = Heard("Incubator/Cycles", hold=True), Heard("Incubator/Cycles")
        async with running(port, ear), running(port, witness):
            await ear.until(lambda: len(ear.values) == 1)
            await witness.until(lambda: len(witness.values) == 1)
            for number in range(50):
                incubator.put("Cycles", number)
            await witness.until(lambda: len(witness.values) == 51)
            assert ear.values == [-12], "what is not durable must hold back what follows"
            while len(ear.values) < 51:
                count = len(ear.values)
                ear.held.pop()()
                await ear.until(lambda count=count: len(ear.values) > count)  # type: ignore[misc]
            assert ear.values == witness.values == [-12, *range(50)]


async def test_a_server_that_falls_silent_is_a_lost_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sila_client, "LOOK_EVERY", 0.3)
    monkeypatch.setattr(sila_client, "ANSWER_WITHIN", 1.0)
    port = free_port()
    with peer(plain(port), FIRST):
        silent = asyncio.Event()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(65536):
                    if not silent.is_set():
                        writer.write(data)
            writer.close()

        async def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(relay(reader, back), relay(there, writer))

        between = await asyncio.start_server(arrived, "127.0.0.1", 0)
        ear = Heard("Incubator/Temperature")
        async with running(between.sockets[0].getsockname()[1], ear):
            await ear.until(lambda: ear.values == [37.01])
            silent.set()
            await ear.until(lambda: bool(ear.closed_for))
            silent.clear()
            await ear.until(lambda: len(ear.values) == 2, 40)
        between.close()


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 64])
async def test_what_is_no_sila_server_is_tried_again(monkeypatch: pytest.MonkeyPatch, says: bytes) -> None:
    monkeypatch.setattr(sila_client, "ANSWER_WITHIN", 1.0)

    async def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(2):  # gRPC may leave it open for ever
                await reader.read()
        writer.close()

    other = await asyncio.start_server(arrived, "127.0.0.1", 0)
    ear = Heard("Incubator/Temperature")
    async with running(other.sockets[0].getsockname()[1], ear):
        await ear.until(lambda: ear.states.count(LinkState.WAITING) > 1, 40)
    other.close()
    assert ear.closed_for == []


# ---- the simulator


PROPERTIES = [
    {"feature": "TemperatureController", "property": "CurrentTemperature", "quantity": "temperature", "unit": "Cel"},
    {"feature": "com.maker/incubation/Door/v2", "property": "Open", "quantity": "door", "kind": "status"},
]


@contextlib.asynccontextmanager
async def simulated(plan: Plan) -> AsyncIterator[str]:
    """A simulated server that has values; its address."""
    instrument = Instrument(plan)
    running = asyncio.create_task(instrument.run())
    try:
        yield instrument.address
    finally:
        instrument.stop()
        await running


async def test_what_a_simulated_server_published_is_in_the_journal_as_it_was_meant(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    options = {"properties": PROPERTIES}
    plan = Plan("sila2", "sila:127.0.0.1:0", rate=10, ledger=ledger, device="incubator", options=options)
    async with simulated(plan) as address:
        port = address.rpartition(":")[2]
        declared = "".join(f"[[devices.properties]]\n{toml_lines(one)}" for one in PROPERTIES)
        daemon = Daemon(
            tmp_path,
            f"""
[[devices]]
id = "incubator"
driver = "sila2"
link = {{ type = "sila", host = "127.0.0.1", port = {port}, insecure = true }}
{declared}
""",
        )
        await asyncio.to_thread(daemon.start)
        try:
            assert await asyncio.to_thread(eventually, lambda: len(daemon.export("--quantity=temperature")) > 5)
            rows = await asyncio.to_thread(daemon.export)
            report = await asyncio.to_thread(daemon.verify, ledger)
        finally:
            await asyncio.to_thread(daemon.stop)
    counts = {name: report[name] for name in ("doubled", "altered", "invented", "unaccounted")}
    assert counts == {"doubled": 0, "altered": 0, "invented": 0, "unaccounted": 0}, report
    assert {row["quantity"]: row["unit"] for row in rows} == {"temperature": "Cel", "door": None}


def toml_lines(table: dict[str, str]) -> str:
    return "".join(f'{name} = "{value}"\n' for name, value in table.items())


async def test_a_foreign_client_reads_the_simulated_server() -> None:
    plan = Plan("sila2", "sila:127.0.0.1:0", rate=20, options={"properties": PROPERTIES})
    async with simulated(plan) as address:
        port = int(address.rpartition(":")[2])
        told = await asyncio.to_thread(_foreign, port)
    assert told["name"] == "assaygate simulator"
    assert {"TemperatureController", "Door"} <= told["features"]
    assert all(isinstance(value, float) for value in told["temperatures"])
    assert len(told["temperatures"]) == 3


def _foreign(port: int) -> dict[str, Any]:
    """What the sila2 library's client sees."""
    end = time.monotonic() + 15
    while True:
        try:
            client = SilaClient("127.0.0.1", port, insecure=True)
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            break
    subscription = client.TemperatureController.CurrentTemperature.subscribe()
    values = [next(subscription) for _ in range(3)]
    subscription.cancel()
    features = {one.split("/")[2] for one in client.SiLAService.ImplementedFeatures.get()}
    return {"name": client.SiLAService.ServerName.get(), "features": features, "temperatures": values}
