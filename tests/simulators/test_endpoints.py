"""Endpoints met by a foreign other end: the system's own serial layer, sockets, pyserial's RFC 2217 client, folders."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from simulators.endpoints import FolderEndpoint, GoneError, PtyEndpoint, TcpEndpoint, build
from simulators.faults import Faults
from simulators.plan import Plan
from simulators.rfc2217 import Rfc2217Endpoint, Telnet

NONE = Faults({}, 1)


class Heard:
    """Collects what an endpoint receives."""

    def __init__(self) -> None:
        self.data = b""
        self._more = asyncio.Event()

    def __call__(self, data: bytes, channel: str = "") -> None:
        self.data += data
        self._more.set()

    async def until(self, wanted: bytes) -> None:
        async with asyncio.timeout(10):
            while self.data != wanted:
                self._more.clear()
                await self._more.wait()


async def test_a_pty_is_unplugged_and_comes_back_under_another_name(tmp_path: Path) -> None:
    link = tmp_path / "reader.tty"
    port, heard = PtyEndpoint(link), Heard()
    await port.open(heard)
    before = link.resolve()
    with serial.Serial(str(link), 9600, timeout=5) as line:
        line.write(b"SI\r\n")
        await heard.until(b"SI\r\n")
        await port.write(b"S S 1.0 g\r\n")
        assert await asyncio.to_thread(line.read_until) == b"S S 1.0 g\r\n"
        await port.drop("unplug")
        assert not link.exists()
        with pytest.raises(serial.SerialException):
            await asyncio.to_thread(line.read, 1)
    await port.open(heard)
    assert link.resolve() != before
    with serial.Serial(str(link), 9600, timeout=5) as line:
        await port.write(b"again\r\n")
        assert await asyncio.to_thread(line.read_until) == b"again\r\n"
    await port.close()
    assert not link.is_symlink()


async def listening() -> tuple[TcpEndpoint, asyncio.StreamReader, asyncio.StreamWriter, Heard]:
    endpoint, heard = TcpEndpoint("127.0.0.1", 0, listen=True), Heard()
    host, _, port = endpoint.address.partition(":")
    opening = asyncio.create_task(endpoint.open(heard))
    reader, writer = await asyncio.open_connection(host, int(port))
    await opening
    return endpoint, reader, writer, heard


async def test_tcp_closes_resets_or_vanishes() -> None:
    endpoint, reader, writer, heard = await listening()
    writer.write(b"poll")
    await heard.until(b"poll")
    await endpoint.write(b"answer")
    assert await reader.readexactly(6) == b"answer"
    await endpoint.drop("disconnect")
    assert await reader.read() == b""
    with pytest.raises(GoneError):
        await endpoint.write(b"to nobody")
    writer.close()
    await endpoint.close()

    endpoint, reader, writer, _ = await listening()
    await endpoint.drop("reset")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    await endpoint.close()

    endpoint, reader, writer, _ = await listening()
    await endpoint.drop("half-open")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await reader.read()
    await endpoint.close()
    writer.close()


async def test_tcp_towards_nobody_is_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with pytest.raises(GoneError):
        await TcpEndpoint("127.0.0.1", port).open(Heard())


async def test_a_folder_gets_whole_files_or_halves_that_grow(tmp_path: Path) -> None:
    folder = FolderEndpoint(tmp_path / "out", "reader")
    await folder.open(Heard())
    await folder.write(b"first")
    await folder.write(b"second")
    assert [path.read_bytes() for path in sorted((tmp_path / "out").iterdir())] == [b"first", b"second"]
    slow = FolderEndpoint(tmp_path / "slow", "reader", Faults({"slow": 1.0}, 1))
    await slow.open(Heard())
    writing = asyncio.create_task(slow.write(b"12345678"))
    sizes = set()
    while not writing.done():
        sizes |= {path.stat().st_size for path in (tmp_path / "slow").iterdir()}
        await asyncio.sleep(0.01)
    assert 4 in sizes
    assert [path.read_bytes() for path in (tmp_path / "slow").iterdir()] == [b"12345678"]


# ---- RFC 2217


@pytest.mark.filterwarnings("ignore::DeprecationWarning:serial.rfc2217")
async def test_pyserial_finds_a_serial_line_behind_tcp() -> None:
    endpoint, heard = Rfc2217Endpoint("127.0.0.1", 0), Heard()
    opening = asyncio.create_task(endpoint.open(heard))

    def connect(rate: int) -> Any:
        return serial.serial_for_url(endpoint.address, baudrate=rate, timeout=5)

    line = await asyncio.to_thread(connect, 9600)
    await opening
    try:
        every = bytes(range(256))
        await asyncio.to_thread(line.write, every)
        await heard.until(every)
        await endpoint.write(every)
        assert await asyncio.to_thread(line.read, 256) == every
        await asyncio.to_thread(setattr, line, "baudrate", 19200)  # the instrument has 9600
        await endpoint.write(b"12.5 g\r\n")
        assert await asyncio.to_thread(line.read, 8) not in (b"", b"12.5 g\r\n")
        await asyncio.to_thread(setattr, line, "baudrate", 9600)
        await asyncio.to_thread(line.reset_input_buffer)
        await endpoint.write(b"12.5 g\r\n")
        assert await asyncio.to_thread(line.read, 8) == b"12.5 g\r\n"
    finally:
        await asyncio.to_thread(line.close)
        await endpoint.close()


@given(st.lists(st.binary(max_size=30), max_size=6), st.randoms())
def test_telnet_gives_the_same_at_any_cut(parts: list[bytes], chance) -> None:  # type: ignore[no-untyped-def]
    rate = b"\xff\xfa\x2c\x01" + struct.pack(">I", 0xFF00).replace(b"\xff", b"\xff\xff") + b"\xff\xf0"
    data = b"\xff\xfb\x2c".join(part.replace(b"\xff", b"\xff\xff") for part in parts) + rate
    whole = Telnet()
    serial_bytes, answer = whole.receive(data)
    cut, pieces = Telnet(), []
    at = 0
    while at < len(data):
        step = chance.randrange(1, 5)
        pieces.append(cut.receive(data[at : at + step]))
        at += step
    assert serial_bytes == b"".join(parts) == b"".join(one for one, _ in pieces)
    assert answer == b"".join(one for _, one in pieces)
    assert cut.settings[1] == 0xFF00


@given(st.binary(max_size=600))
def test_telnet_takes_anything(data: bytes) -> None:
    Telnet().receive(data)


# ---- links by name


def test_links_are_named(tmp_path: Path) -> None:
    assert isinstance(build(Plan("astm", f"folder:{tmp_path}"), lambda: None, NONE), FolderEndpoint)
    for wrong in ("usb", "tcp:host:port", "folder", "mqtt:host:x/topic"):
        with pytest.raises(LookupError, match="is no link"):
            build(Plan("astm", wrong), lambda: None, NONE)


async def test_a_file_begun_is_finished_though_the_instrument_is_stopped(tmp_path: Path) -> None:
    slow = FolderEndpoint(tmp_path, "reader", Faults({"slow": 1.0}, 1))
    writing = asyncio.create_task(slow.write(b"12345678"))
    while not list(tmp_path.iterdir()):
        await asyncio.sleep(0.001)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"12345678"]
