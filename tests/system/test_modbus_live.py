"""Modbus with a foreign peer: pymodbus as the instrument of the running daemon, and as client of our simulated one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.kit.exchange import Send
from drivers.kit.modbus import Framing
from drivers.modbus.driver import DRIVER
from drivers.modbus.options import ModbusOptions
from tests.system.daemon import Daemon, eventually, free_port
from tests.system.serial_pair import serial_pair

pymodbus = pytest.importorskip("pymodbus", reason="pymodbus is not installed")

from pymodbus import FramerType  # noqa: E402
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient  # noqa: E402
from pymodbus.server import ModbusSerialServer, ModbusTcpServer  # noqa: E402
from pymodbus.simulator import DataType, SimData, SimDevice  # noqa: E402

FRAMERS = {"rtu": FramerType.RTU, "ascii": FramerType.ASCII, "tcp": FramerType.SOCKET}


def words(layout: str, value: Any) -> list[int]:
    packed = struct.pack(layout, value)
    return [int.from_bytes(packed[at : at + 2], "big") for at in range(0, len(packed), 2)]


HOLDING = {
    0: [0xFCE0, 0x7FFF, 5],  # -80.0 in tenths, an open sensor, what is in no register of ours
    10: [*words(">f", 37.0), *words(">f", -80.0)[::-1], *words("<f", 5.03)],
    20: [*words(">i", -123456), *words(">q", -(2**40) - 1), *words(">d", 0.1)],
    40: [0x4142, 0x432D, 0x3700],
    50: [0x1234, 0x5678, 0b1000],
}
INPUT = {0: [0, 0, 0, 417]}
COILS = [True, False, True]
DISCRETE = [False, True]

REGISTERS = """
registers = [
  { quantity = "temperature", at = 0, scale = 0.1, unit = "Cel" },
  { quantity = "probe", at = 1, scale = 0.1, unit = "Cel", invalid = [32767] },
  { quantity = "incubator", at = 10, type = "float32", unit = "Cel" },
  { quantity = "freezer", at = 12, type = "float32", words = "CDAB", unit = "Cel" },
  { quantity = "co2-percent", at = 14, type = "float32", words = "DCBA", unit = "%" },
  { quantity = "count", at = 20, type = "int32" },
  { quantity = "total", at = 22, type = "int64" },
  { quantity = "double", at = 26, type = "float64" },
  { quantity = "name", at = 40, type = "string", length = 3, kind = "status" },
  { quantity = "meter", at = 50, type = "bcd", length = 2 },
  { quantity = "alarm", at = 52, type = "bit", bit = 3 },
  { quantity = "co2", at = 3, table = "input", unit = "[ppm]" },
  { quantity = "compressor", at = 0, table = "coil" },
  { quantity = "defrost", at = 1, table = "coil" },
  { quantity = "door", at = 1, table = "discrete", map = { 0 = "closed", 1 = "open" } },
  { quantity = "absent", at = 900, unit = "Cel" },
]
"""
SAID = {
    "temperature": (-80, "good"),
    "probe": (None, "bad"),
    "incubator": (37, "good"),
    "freezer": (-80, "good"),
    "co2-percent": (5.03, "good"),
    "count": (-123456, "good"),
    "total": (-(2**40) - 1, "good"),
    "double": (0.1, "good"),
    "name": ("ABC-7", "good"),
    "meter": (12345678, "good"),
    "alarm": (True, "good"),
    "co2": (417, "good"),
    "compressor": (True, "good"),
    "defrost": (False, "good"),
    "door": ("open", "good"),
    "absent": (None, "bad"),
}


def device(unit: int) -> Any:
    def blocks(held: dict[int, list[int]]) -> list[Any]:
        return [SimData(at, values=values, datatype=DataType.REGISTERS) for at, values in held.items()]

    bits = [[SimData(0, values=values, datatype=DataType.BITS)] for values in (COILS, DISCRETE)]
    return SimDevice(unit, simdata=(bits[0], bits[1], blocks(HOLDING), blocks(INPUT)))


@contextlib.contextmanager
def foreign(framing: Framing, where: str | int) -> Iterator[None]:
    """A pymodbus server in a loop of its own, on a TCP port or a serial port."""
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    ready, loop = threading.Event(), asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        server: Any
        if isinstance(where, int):
            server = ModbusTcpServer(device(1), framer=FRAMERS[framing], address=("127.0.0.1", where))
        else:
            server = ModbusSerialServer(device(1), framer=FRAMERS[framing], port=where, baudrate=9600)
        await server.serve_forever(background=True)
        ready.set()
        await ended.wait()
        await server.shutdown()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()


def devices(plans: dict[str, tuple[str, str]]) -> str:
    return "".join(
        f'[[devices]]\nid = "{name}"\ndriver = "modbus"\nlink = {link}\npoll = "1s"\n{more}{REGISTERS}'
        for name, (link, more) in plans.items()
    )


def test_the_daemon_reads_what_a_foreign_server_holds_in_every_framing(tmp_path: Path) -> None:
    port, plain = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        (rtu, rtu_far), (text, text_far) = (stack.enter_context(serial_pair()) for _ in range(2))
        stack.enter_context(foreign("tcp", port))
        stack.enter_context(foreign("rtu", plain))
        stack.enter_context(foreign("rtu", rtu_far))
        stack.enter_context(foreign("ascii", text_far))
        daemon = Daemon(
            tmp_path,
            devices(
                {
                    "tcp": (f'{{ type = "tcp", host = "127.0.0.1", port = {port} }}', ""),
                    "rtu": (f'{{ type = "serial", port = "{rtu}" }}', ""),
                    "ascii": (f'{{ type = "serial", port = "{text}" }}', 'framing = "ascii"\n'),
                    "converter": (f'{{ type = "tcp", host = "127.0.0.1", port = {plain} }}', 'framing = "rtu"\n'),
                }
            ),
        )
        daemon.start()
        stack.callback(daemon.stop)
        for name in ("tcp", "rtu", "ascii", "converter"):
            rows = daemon.until(2 * len(SAID), "--device", name)
            told = {row["quantity"]: (row["value"], row["quality"]) for row in rows}
            assert told == SAID, name
            units = {row["quantity"]: row["unit"] for row in rows}
            assert (units["temperature"], units["co2"], units["double"]) == ("Cel", "[ppm]", None)
            absent = next(row for row in rows if row["quantity"] == "absent")
            assert "illegal-data-address" in absent["attributes"]["quality_reason"]
            assert {row["kind"] for row in rows if row["quantity"] == "name"} == {"status"}
        report = daemon.verify()
        assert (report["unaccounted"], report["journal"]) == (0, "sound")


def test_a_server_that_goes_away_is_read_again_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    link = f'{{ type = "tcp", host = "127.0.0.1", port = {port} }}'
    daemon = Daemon(tmp_path, devices({"tcp": (link, "")}))
    daemon.start()
    try:
        with foreign("tcp", port):
            before = len(daemon.until(len(SAID)))
        assert before >= len(SAID)
        with foreign("tcp", port):
            assert eventually(lambda: len(daemon.export()) >= before + 2 * len(SAID), 40)
    finally:
        daemon.stop()


# ---- the other way round: our simulated instrument, a foreign client

OURS = ModbusOptions.model_validate(
    {
        "unit": 7,
        "registers": [
            {"quantity": "temperature", "at": 100, "scale": 0.1, "unit": "Cel"},
            {"quantity": "co2", "at": 101, "type": "float32", "words": "CDAB", "unit": "%"},
            {"quantity": "humidity", "at": 3, "table": "input", "type": "uint16", "scale": 0.01, "unit": "%"},
            {"quantity": "door", "at": 2, "table": "discrete", "map": {0: "closed", 1: "open"}},
            {"quantity": "compressor", "at": 0, "table": "coil"},
            {"quantity": "defrost", "at": 1, "table": "coil"},
        ],
    }
)
DRAWN = {
    "temperature": -80.0,
    "co2": 5.0,
    "humidity": 93.25,
    "door": "open",
    "compressor": True,
    "defrost": False,
}


class Ours(asyncio.Protocol):
    """The simulated instrument on a connection."""

    def __init__(self, framing: Framing) -> None:
        options = OURS.model_copy(update={"framing": framing})
        self.speaker = DRIVER.instrument(options)
        for _ in self.speaker.offer(DRIVER.encode({"readings": DRAWN}, options), 0.0):
            pass

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for event in self.speaker.receive(data, 0.0):
            if isinstance(event, Send) and event.data:
                self.transport.write(event.data)


@contextlib.asynccontextmanager
async def client(framing: Framing) -> AsyncIterator[Any]:
    """A pymodbus client of our simulated instrument: over TCP, or over a serial line for RTU and ASCII."""
    loop = asyncio.get_running_loop()
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    if framing == "tcp":
        server = await loop.create_server(lambda: Ours("tcp"), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader: Any = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=3)
        assert await reader.connect()
        yield reader
        reader.close()
        server.close()
        await server.wait_closed()
        return
    with serial_pair() as (near, far), Path(far).open("r+b", buffering=0) as line:
        ours = Ours(framing)
        reading, _ = await loop.connect_read_pipe(lambda: ours, line)
        ours.transport = line
        reader = AsyncModbusSerialClient(near, framer=FRAMERS[framing], baudrate=9600, timeout=3)
        assert await reader.connect()
        yield reader
        reader.close()
        reading.close()


@pytest.mark.parametrize("framing", ["tcp", "rtu", "ascii"])
async def test_a_foreign_client_reads_our_simulated_instrument(framing: Framing) -> None:
    async with client(framing) as reader:
        holding = await reader.read_holding_registers(100, count=3, device_id=7)
        assert holding.registers == [0xFCE0, *words(">f", 5.0)[::-1]]
        assert (await reader.read_input_registers(3, count=1, device_id=7)).registers == [9325]
        assert (await reader.read_discrete_inputs(2, count=1, device_id=7)).bits[:1] == [True]
        assert (await reader.read_coils(0, count=2, device_id=7)).bits[:2] == [True, False]


@pytest.mark.parametrize("framing", ["tcp", "rtu", "ascii"])
async def test_a_foreign_client_is_refused_what_there_is_not_and_every_write(framing: Framing) -> None:
    async with client(framing) as reader:
        assert (await reader.read_holding_registers(99, count=2, device_id=7)).exception_code == 2
        assert (await reader.write_register(100, 5, device_id=7)).exception_code == 1
        assert (await reader.write_registers(100, [5, 6], device_id=7)).exception_code == 1
        assert (await reader.write_coil(0, False, device_id=7)).exception_code == 1
        assert (await reader.read_device_information(device_id=7)).exception_code == 1
        assert (await reader.read_holding_registers(100, count=1, device_id=7)).registers == [0xFCE0]
