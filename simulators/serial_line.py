"""A real serial port as an endpoint: where a relay finds a real instrument."""

from __future__ import annotations

import asyncio
import os

import serial

from simulators.endpoints import GoneError, Received


class SerialEndpoint:
    """Opens `path` at `baudrate`, 8N1. Gone when it is unplugged."""

    acknowledges = False

    def __init__(self, path: str, baudrate: int = 9600) -> None:
        self._path, self._baudrate = path, baudrate
        self._port: serial.Serial | None = None
        self.gone = asyncio.Event()

    @property
    def address(self) -> str:
        return self._path

    async def open(self, received: Received) -> None:
        try:
            self._port = await asyncio.to_thread(serial.Serial, self._path, self._baudrate, exclusive=True)
        except (OSError, ValueError) as error:
            raise GoneError(str(error)) from None
        descriptor = self._port.fileno()
        os.set_blocking(descriptor, False)
        self.gone.clear()

        def readable() -> None:
            try:
                data = os.read(descriptor, 65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if data:
                received(data)
            else:
                asyncio.get_running_loop().remove_reader(descriptor)
                self.gone.set()

        asyncio.get_running_loop().add_reader(descriptor, readable)

    async def write(self, data: bytes, channel: str = "") -> None:
        if self._port is None or self.gone.is_set():
            raise GoneError("the port is gone")
        loop = asyncio.get_running_loop()
        descriptor = self._port.fileno()
        while data:
            try:
                data = data[os.write(descriptor, data) :]
            except BlockingIOError:
                free: asyncio.Future[None] = loop.create_future()
                loop.add_writer(descriptor, free.set_result, None)
                try:
                    await free
                finally:
                    loop.remove_writer(descriptor)
            except OSError as error:
                raise GoneError(str(error)) from None

    async def drop(self, how: str = "disconnect") -> None:
        """Close the port."""
        port, self._port = self._port, None
        if port:
            asyncio.get_running_loop().remove_reader(port.fileno())
            port.close()

    async def close(self) -> None:
        await self.drop()
