"""OPC UA with a foreign peer: asyncua's server with a small LADS device in it, read by the running daemon."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import threading
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.system.daemon import Daemon, eventually, free_port

if os.environ.get("CI") != "true":
    pytest.importorskip("asyncua", reason="pip install 'assaygate[opcua]'")

from asyncua import Server, ua
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from asyncua.crypto.permission_rules import PermissionRuleset, User, UserRole
from cryptography.x509.oid import ExtendedKeyUsageOID

from drivers.opcua.driver import DRIVER
from gateway.links import opcua_client
from gateway.links.link import Chunk, LinkState, Port
from gateway.links.opcua import OpcUaLink
from gateway.links.options import OpcUaOptions
from simulators.instrument import Instrument
from simulators.plan import Plan

DI, LADS = "http://opcfoundation.org/UA/DI/", "http://opcfoundation.org/UA/LADS/"
MAKER = "http://maker.example/incubator/"
OVERFLOW = 0x0480  # info type DataValue, and the overflow bit
START = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
CELSIUS = ua.EUInformation("http://www.opcfoundation.org/UA/units/un/cefact", 4408652, ua.LocalizedText("°C"))
PERCENT = ua.EUInformation("http://www.opcfoundation.org/UA/units/un/cefact", 20529, ua.LocalizedText(""))


class Watched(PermissionRuleset):  # type: ignore[misc]
    """Allows everything, and takes note of it."""

    def __init__(self, asked: set[str]) -> None:
        self._asked = asked

    def check_validity(self, user: Any, action: Any, body: Any) -> bool:
        self._asked.add(ua.extension_objects_by_typeid.get(action, type(None)).__name__)
        return True


class Peer:
    """A server in a loop of its own. `variables` are known by short names; every change carries the next second."""

    def __init__(self, port: int, before: tuple[str, ...] = ()) -> None:
        self.port = port
        self._before = before  # namespaces registered first: they shift the others' numbers
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self.variables: dict[str, Any] = {}
        self.server: Any = None
        self.clock = START
        self.asked: set[str] = set()  # the requests it has had, by name

    @property
    def sessions(self) -> int:
        """How many clients are connected."""
        return len(self.server.bserver.clients)

    def call(self, work: Awaitable[Any]) -> Any:
        async def run() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(20)

    def start(self, prepare: Callable[[Any], Awaitable[None]] | None = None) -> None:
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        self._thread.start()
        self.call(self._start(prepare))

    async def _start(self, prepare: Callable[[Any], Awaitable[None]] | None) -> None:
        server = self.server = Server()
        await server.init()
        server.set_endpoint(f"opc.tcp://127.0.0.1:{self.port}")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity], permission_ruleset=Watched(self.asked))
        for uri in self._before:
            await server.register_namespace(uri)
        if prepare:
            await prepare(server)
        await self._space(server)
        await server.start()

    async def _space(self, server: Any) -> None:
        maker, di, lads = [await server.register_namespace(uri) for uri in (MAKER, DI, LADS)]
        objects = server.nodes.objects

        async def variable(name: str, parent: Any, node: Any, title: str, value: Any, unit: Any = None) -> None:
            made = await parent.add_variable(node, title, value)
            if unit:
                await made.add_property(ua.NodeId(0, maker), ua.QualifiedName("EngineeringUnits", 0), unit)
            self.variables[name] = made
            await self._put(made, value, ua.StatusCode(ua.StatusCodes.Good))

        async def group(parent: Any, namespace: int, name: str) -> Any:
            return await parent.add_object(ua.NodeId(0, maker), ua.QualifiedName(name, namespace))

        auto = ua.NodeId(0, maker)
        await variable("plain", objects, ua.NodeId("Chamber.Temperature", maker), f"{maker}:Plain", 36.5, CELSIUS)
        cabinet = await group(objects, maker, "Cabinet A/B")
        await variable("door", cabinet, auto, f"{maker}:Door", False)
        devices = await objects.add_object(ua.NodeId(5001, di), ua.QualifiedName("DeviceSet", di))
        device = await group(devices, maker, "Incubator 1")
        await variable("health", device, auto, f"{di}:DeviceHealth", ua.Variant(0, ua.VariantType.Int32))
        state = await group(device, lads, "DeviceState")
        await variable("state", state, auto, "0:CurrentState", ua.LocalizedText("Operate"))
        units = await group(device, lads, "FunctionalUnitSet")
        unit = await group(units, maker, "Chamber")
        functions = await group(unit, lads, "FunctionSet")
        sensor = await group(functions, maker, "Temperature")
        await variable("sensor", sensor, auto, f"{lads}:SensorValue", 37.01, CELSIUS)
        await variable("raw", sensor, auto, f"{lads}:RawValue", 0.123)
        operational = await group(sensor, di, "Operational")
        await operational.add_reference(self.variables["sensor"], ua.ObjectIds.Organizes)
        control = await group(functions, maker, "CO2")
        await variable("co2", control, auto, f"{lads}:CurrentValue", 5.0, PERCENT)
        await variable("co2-target", control, auto, f"{lads}:TargetValue", 5.5, PERCENT)
        alarm = await group(control, di, "AlarmMonitor")
        await variable("limit", await group(alarm, 0, "LimitState"), auto, "0:CurrentState", ua.LocalizedText("High"))
        cover = await group(functions, maker, "Door")
        await variable(
            "cover", await group(cover, lads, "CoverState"), auto, "0:CurrentState", ua.LocalizedText("Closed")
        )
        programs = await group(unit, lads, "ProgramManager")
        await variable("program", programs, auto, f"{lads}:CurrentValue", 99.0)

    async def _put(self, node: Any, value: Any, status: Any) -> None:
        self.clock += timedelta(seconds=1)
        variant = value if isinstance(value, ua.Variant) else ua.Variant(value)
        await node.write_value(ua.DataValue(variant, status, self.clock, ServerTimestamp=self.clock))

    def put(self, name: str, value: Any, status: int = 0) -> None:
        self.call(self._put(self.variables[name], value, ua.StatusCode(status)))

    def stop(self) -> None:
        if self.server is not None:
            with contextlib.suppress(Exception):
                self.call(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextlib.contextmanager
def peer(port: int, before: tuple[str, ...] = (), prepare: Any = None) -> Iterator[Peer]:
    made = Peer(port, before)
    made.start(prepare)
    try:
        yield made
    finally:
        made.stop()


def daemon_for(folder: Path, port: int, device: str, link: str = "") -> Daemon:
    url = f"opc.tcp://127.0.0.1:{port}"
    return Daemon(
        folder,
        f"""
[[devices]]
id = "incubator"
driver = "opcua"
link = {{ type = "opcua", url = "{url}", interval = "100ms"{link} }}
{device}
""",
    )


NODES = f"""
nodes = [
  {{ node = "nsu={MAKER};s=Chamber.Temperature", quantity = "temperature" }},
  {{ node = "/Cabinet A&/B/Door", quantity = "door", kind = "status", map = {{ false = "closed", true = "open" }} }},
  {{ node = "nsu={MAKER};s=Nothing", quantity = "nothing" }},
  {{ node = "nsu=http://other.example/;i=7", quantity = "elsewhere" }},
]
"""


def rows_of(daemon: Daemon, **wanted: str) -> list[dict[str, Any]]:
    """What the journal holds, oldest first."""
    query = urllib.parse.urlencode({"limit": "1000", **wanted})
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.http}/api/v1/observations?{query}", timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)["items"]
        return found


def said(daemon: Daemon, quantity: str) -> list[tuple[Any, str]]:
    return [(row["value"], row["quality"]) for row in rows_of(daemon, quantity=quantity)]


def test_values_units_times_and_quality_and_a_restart_with_other_namespace_numbers(tmp_path: Path) -> None:
    port = free_port()
    daemon = daemon_for(tmp_path, port, NODES)
    daemon.start()
    try:
        with peer(port) as server:
            assert eventually(lambda: said(daemon, "temperature") == [(36.5, "good")]), daemon.log[-5:]
            server.put("plain", 36.75)
            server.put("plain", 36.8, ua.StatusCodes.UncertainSensorNotAccurate)
            server.put("plain", 36.9, ua.StatusCodes.BadSensorFailure)
            server.put("plain", float("nan"))
            server.put("plain", 37.0, OVERFLOW)
            server.put("door", True)
            assert eventually(lambda: said(daemon, "door") == [("closed", "good"), ("open", "good")])
            assert eventually(lambda: said(daemon, "temperature")[-1:] == [(37.0, "good")])
            rows = rows_of(daemon, quantity="temperature")
            assert [(row["value"], row["quality"]) for row in rows[:3]] == [
                (36.5, "good"), (36.75, "good"), (36.8, "uncertain"),
            ]  # fmt: skip
            assert [row["quality"] for row in rows] == ["good", "good", "uncertain", "bad", "bad", "good"]
            assert {row["unit"] for row in rows} == {"Cel"}
            assert rows[1]["device_time"] == rows[1]["time"] and rows[1]["time"].startswith("2026-01-15T09:30:")
            assert "UncertainSensorNotAccurate" in rows[2]["attributes"]["quality_reason"]
            assert "BadSensorFailure" in rows[3]["attributes"]["quality_reason"]
            assert rows[5]["attributes"]["overflow"] is True
            assert any("ran over" in line for line in daemon.log)
            assert said(daemon, "nothing") == said(daemon, "elsewhere") == [(None, "bad")]
            assert not {"WriteRequest", "CallRequest"} & server.asked
            assert "CreateMonitoredItemsRequest" in server.asked
        with peer(port, ("urn:first", "urn:second")) as server:
            assert eventually(lambda: said(daemon, "nothing") == [(None, "bad")] * 2, 60)
            server.clock += timedelta(hours=1)
            server.put("plain", 38.25)
            assert eventually(lambda: said(daemon, "temperature")[-1:] == [(38.25, "good")])
            # The restarted server begins with the value and time the first began with: that is one reading.
            assert len(said(daemon, "temperature")) == 7
        report = daemon.verify()
        assert (report["unaccounted"], report["journal"]) == (0, "sound")
    finally:
        daemon.stop()


def test_a_lads_device_is_found_by_the_names_of_the_standard(tmp_path: Path) -> None:
    port = free_port()
    daemon = daemon_for(tmp_path, port, 'lads = true\nlads_device = "Incubator 1"')
    with peer(port) as server:
        daemon.start()
        try:
            assert eventually(lambda: len(rows_of(daemon)) >= 6)
            server.put("program", 100.0)
            server.put("raw", 1.0)
            server.put("limit", ua.LocalizedText("Low"))
            server.put("health", ua.Variant(1, ua.VariantType.Int32))
            server.put("cover", ua.LocalizedText("Opened"))
            assert eventually(lambda: len(rows_of(daemon)) >= 8)
            told = [(row["quantity"], row["kind"], row["value"], row["unit"]) for row in rows_of(daemon)]
            assert sorted(told[:6], key=str) == [
                ("chamber-co2", "reading", 5, "%"),
                ("chamber-co2-target", "reading", 5.5, "%"),
                ("chamber-door-state", "status", "Closed", None),
                ("chamber-temperature", "reading", 37.01, "Cel"),
                ("health", "status", "NORMAL", None),
                ("state", "status", "Operate", None),
            ]
            assert sorted(told[6:], key=str) == [
                ("chamber-door-state", "status", "Opened", None),
                ("health", "status", "FAILURE", None),
            ]
        finally:
            daemon.stop()


def test_a_server_without_lads_is_said_to_be_one(tmp_path: Path) -> None:
    port = free_port()
    daemon = daemon_for(tmp_path, port, 'lads = true\nlads_device = "Incubator 2"')
    with peer(port):
        daemon.start()
        try:
            assert eventually(lambda: said(daemon, "device-set") == [(None, "bad")])
            assert "BadNoMatch" in rows_of(daemon)[0]["attributes"]["quality_reason"]
        finally:
            daemon.stop()


# ---- the link alone


class Heard:
    """An ear that asks for one node, and keeps what it is told; `done` is called at once unless it holds back."""

    def __init__(self, node: str, *, hold: bool = False) -> None:
        self.values: list[Any] = []
        self.states: list[tuple[LinkState, str]] = []
        self.held: list[Callable[[], None]] = []
        self.closed_for: list[str] = []
        self._node, self._hold = node, hold
        self._event = asyncio.Event()

    def opened(self, port: Port) -> None:
        port.write(b"subscribe", self._node)

    def received(self, port: Port, chunk: Chunk, done: Callable[[], None]) -> None:
        assert chunk.whole and chunk.channel == self._node
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
        self.states.append((state, detail))
        self._event.set()

    def waits(self) -> bool:
        return any(state is LinkState.WAITING for state, _ in self.states)

    async def until(self, true: Callable[[], bool], within: float = 20.0) -> None:
        async with asyncio.timeout(within):
            while not true():
                self._event.clear()
                await self._event.wait()


@contextlib.asynccontextmanager
async def running(port: int, ear: Heard, **more: Any) -> AsyncIterator[None]:
    options = OpcUaOptions(type="opcua", url=f"opc.tcp://127.0.0.1:{port}", interval="50ms", **more)
    task = asyncio.create_task(OpcUaLink(options).run(ear))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


PLAIN = f"nsu={MAKER};s=Chamber.Temperature"


async def test_a_stopped_link_leaves_no_task_and_the_server_no_session() -> None:
    with peer(free_port()) as server:
        before = asyncio.all_tasks()
        ear = Heard(PLAIN)
        async with running(server.port, ear):
            await ear.until(lambda: ear.values == [36.5])
        assert asyncio.all_tasks() - before == set()
        assert ear.states[-1][0] is LinkState.STOPPED
        assert len(ear.closed_for) == 1
        assert await asyncio.to_thread(eventually, lambda: not server.sessions)


async def test_a_publication_is_acknowledged_when_it_is_durable_and_the_server_queues_until_then() -> None:
    with peer(free_port()) as server:
        ear, witness = Heard(PLAIN, hold=True), Heard(PLAIN)
        async with running(server.port, ear, queue=50), running(server.port, witness, queue=50):
            await ear.until(lambda: ear.values == [36.5])
            await witness.until(lambda: witness.values == [36.5])
            for number in range(30):
                await asyncio.to_thread(server.put, "plain", float(number))
            await witness.until(lambda: len(witness.values) == 31)
            assert ear.values == [36.5], "what is not durable must hold back what follows"
            while len(ear.values) < 31:
                count = len(ear.values)
                for done in ear.held:
                    done()
                ear.held.clear()
                await ear.until(lambda count=count: len(ear.values) > count)  # type: ignore[misc]
            assert ear.values == witness.values == [36.5, *map(float, range(30))]


def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second is long enough for an answer."""
    for name in ("ANSWER_WITHIN", "PROBE_EVERY", "LEAVE_WITHIN"):
        monkeypatch.setattr(opcua_client, name, 1.0)


async def test_a_server_that_falls_silent_is_a_lost_one(monkeypatch: pytest.MonkeyPatch) -> None:
    hasty(monkeypatch)
    with peer(free_port()) as server:
        silent = asyncio.Event()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, backward: bool) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(65536):
                    if not silent.is_set():
                        writer.write(data)
            writer.close()

        async def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection("127.0.0.1", server.port)
            await asyncio.gather(relay(reader, back, False), relay(there, writer, True))

        before = asyncio.all_tasks()
        between = await asyncio.start_server(arrived, "127.0.0.1", 0)
        ear = Heard(PLAIN)
        async with running(between.sockets[0].getsockname()[1], ear):
            await ear.until(lambda: ear.values == [36.5])
            silent.set()
            await ear.until(lambda: bool(ear.closed_for), 40)
            silent.clear()
            await ear.until(lambda: len(ear.values) == 2, 60)
            silent.set()
        between.close()
        assert {task for task in asyncio.all_tasks() - before if "asyncua" in repr(task)} == set()


@pytest.mark.parametrize(
    "says", [b"", b"\x00" * 64, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"ACKF\xff\xff\xff\x7f" + b"x" * 64]
)
async def test_what_is_no_opc_ua_server_is_tried_again(monkeypatch: pytest.MonkeyPatch, says: bytes) -> None:
    hasty(monkeypatch)

    async def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        await reader.read()
        writer.close()

    other = await asyncio.start_server(arrived, "127.0.0.1", 0)
    before = asyncio.all_tasks()
    ear = Heard(PLAIN)
    async with running(other.sockets[0].getsockname()[1], ear):
        await ear.until(lambda: [state for state, _ in ear.states].count(LinkState.WAITING) > 1, 60)
    other.close()
    assert ear.closed_for == []
    assert {task for task in asyncio.all_tasks() - before if "asyncua" in repr(task)} == set()


async def test_it_speaks_encrypted_with_the_server_it_knows_and_with_no_other(tmp_path: Path) -> None:
    ours, theirs, other = [await certificate(tmp_path, name) for name in ("ours", "theirs", "other")]

    async def prepare(server: Any) -> None:
        await server.set_application_uri("urn:theirs")
        server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
        await server.load_certificate(str(theirs[0]))
        await server.load_private_key(str(theirs[1]))
        server.iserver.set_user_manager(Users())

    secret = tmp_path / "password"
    secret.write_text("correct")
    settings = {"security": "Basic256Sha256", "certificate": ours[0], "key": ours[1], "username": "gateway"}
    with peer(free_port(), prepare=prepare) as server:
        ear = Heard(PLAIN)
        known = {**settings, "server_certificate": theirs[0]}
        async with running(server.port, ear, **known, password={"file": str(secret)}):
            await ear.until(lambda: ear.values == [36.5])
        for refused in (
            {**settings, "server_certificate": other[0], "password": {"file": str(secret)}},
            {**known, "password": {"file": str(tmp_path / "nowhere")}},
            known,
        ):
            ear = Heard(PLAIN)
            async with running(server.port, ear, **refused):
                await ear.until(ear.waits)
            assert ear.values == [] and ear.closed_for == []


class Users:
    """One user, who knows the password."""

    def get_user(self, _server: Any, username: str = "", password: str = "", certificate: Any = None) -> Any:
        return User(role=UserRole.User) if (username, password) == ("gateway", "correct") else None


async def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of its own, and its key."""
    paths = folder / f"{name}.der", folder / f"{name}.pem"
    extended = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    await setup_self_signed_certificate(paths[1], paths[0], f"urn:{name}", "127.0.0.1", extended, {})
    return paths


def test_what_a_simulated_server_published_is_in_the_journal_as_it_was_meant(tmp_path: Path) -> None:
    port, ledger = free_port(), tmp_path / "ledger"
    plan = Plan("opcua", f"opcua:127.0.0.1:{port}", rate=10, ledger=ledger, device="incubator")
    nodes = DRIVER.example[DRIVER.example.index("nodes =") :]
    daemon = daemon_for(tmp_path, port, nodes)
    daemon.start()
    try:
        asyncio.run(play(plan, daemon))
        report = daemon.verify(ledger)
        counts = {name: report[name] for name in ("doubled", "altered", "invented", "unaccounted")}
        assert counts == {"doubled": 0, "altered": 0, "invented": 0, "unaccounted": 0}, report
        assert {row["quantity"]: row["unit"] for row in rows_of(daemon)} == {"temperature": "Cel", "door": None}
    finally:
        daemon.stop()


async def play(plan: Plan, daemon: Daemon) -> None:
    """Run the instrument until values of it have come, some time into its life."""
    instrument = Instrument(plan)
    running = asyncio.create_task(instrument.run())
    assert await asyncio.to_thread(eventually, lambda: len(rows_of(daemon, quantity="temperature")) > 5)
    instrument.stop()
    await running


# ---- what a server may say


AT = datetime(2026, 1, 15, 9, 30, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        (ua.Variant(37.5, ua.VariantType.Float), 37.5),
        (ua.Variant(2**63, ua.VariantType.UInt64), 2**63),
        (ua.Variant(True), True),
        (ua.Variant(ua.LocalizedText("Ouvert", "fr")), "Ouvert"),
        (ua.Variant(ua.QualifiedName("Name", 2)), "Name"),
        (ua.Variant(AT), "2026-01-15T09:30:00.250000Z"),
        (ua.Variant([1.5, 2.5]), [1.5, 2.5]),
        (ua.Variant(b"\x00\xff"), {"base64": "AP8="}),
        (ua.Variant(ua.NodeId("a;b", 2)), "ns=2;s=a;b"),
        (ua.Variant(CELSIUS), {"structure": "EUInformation"}),
        (ua.Variant(ua.ServerState.Failed), 1),
        (ua.Variant(None), None),
        (None, None),
    ],
)
def test_whatever_a_variable_holds_is_json(said: Any, value: Any) -> None:
    item = opcua_client.Item("n", ua.NodeId(1), None)
    told = opcua_client.told_of(item, ua.DataValue(said, ua.StatusCode(0), AT), 0)
    assert json.loads(json.dumps(told))["value"] == value
    assert (told["source_time"], told.get("server_time")) == ("2026-01-15T09:30:00.250000Z", None)
