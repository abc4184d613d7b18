"""Serial ports: pyserial opens and configures, the event loop watches the descriptor."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path

import serial

from gateway.backoff import Backoff
from gateway.links.link import Chunk, Ear, LinkState
from gateway.links.options import SerialOptions

READ = 65536
MOST_UNSENT = 1 << 16  # bytes that wait for a line that takes none (flow control held)
SETTLED = 10.0
_HELP = {
    errno.EACCES: "no permission: add this user to the group dialout",
    errno.ENOENT: "not there: is it plugged in?",
    errno.EBUSY: "in use by another program",
    errno.EAGAIN: "in use by another program",
}


def nothing() -> None:
    """A serial line has no acknowledgement of its own to give."""


class SerialPort:
    """One opened port; a `Port`."""

    def __init__(self, device: serial.Serial, path: str, ear: Ear, lost: Callable[[str], None]) -> None:
        self.peer = path
        self._device, self._ear, self._lost = device, ear, lost
        self._fd: int = device.fileno()
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._open = True
        os.set_blocking(self._fd, False)
        ear.opened(self)
        self._loop.add_reader(self._fd, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error.strerror or str(error))
            return
        if not data:
            self._end("unplugged")
            return
        self._ear.received(self, Chunk(data, self.peer), nothing)

    def write(self, data: bytes, channel: str = "") -> None:
        if not self._open:
            return
        if not self._unsent:
            try:
                data = data[os.write(self._fd, data) :]
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                self._loop.call_soon(self._end, error.strerror or str(error))
                return
        if data:
            self._unsent += data
            if len(self._unsent) > MOST_UNSENT:
                self._loop.call_soon(self._end, "the line takes no bytes")
                return
            self._loop.add_writer(self._fd, self._writable)

    def _writable(self) -> None:
        try:
            del self._unsent[: os.write(self._fd, self._unsent)]
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error.strerror or str(error))
            return
        if not self._unsent:
            self._loop.remove_writer(self._fd)

    def pause(self) -> None:
        if self._open:
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        if self._open:
            self._loop.add_reader(self._fd, self._readable)

    def close(self) -> None:
        self._loop.call_soon(self._end, "closed")

    def end(self, why: str) -> None:
        """Close now."""
        self._end(why)

    def _end(self, why: str) -> None:
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._device.close()
        self._ear.closed(self, why)
        self._lost(why)


def _configured(options: SerialOptions) -> serial.Serial:
    """Open and configure; blocks. Errors: OSError (serial.SerialException is one)."""
    device = serial.Serial()
    device.port = str(Path(options.port).resolve())
    device.baudrate = options.baudrate
    device.bytesize = options.bytesize
    device.parity = options.parity
    device.stopbits = options.stopbits
    device.xonxoff = options.xonxoff
    device.rtscts = options.rtscts
    device.exclusive = True
    if options.dtr is not None:
        device.dtr = options.dtr
    if options.rts is not None:
        device.rts = options.rts
    device.open()
    return device


def _once(lost: asyncio.Future[str]) -> Callable[[str], None]:
    """The link may have been stopped by the time its port ends."""

    def tell(why: str) -> None:
        if not lost.done():
            lost.set_result(why)

    return tell


class SerialLink:
    """Keeps one serial port open, through unplugging and replugging."""

    def __init__(self, options: SerialOptions) -> None:
        self._options = options

    async def run(self, ear: Ear) -> None:
        loop = asyncio.get_running_loop()
        options, backoff = self._options, Backoff(longest=5.0)
        ear.state(LinkState.STARTING, options.port)
        try:
            while True:
                lost: asyncio.Future[str] = loop.create_future()
                started = loop.time()
                try:
                    device = await asyncio.to_thread(_configured, options)
                    port = SerialPort(device, options.port, ear, _once(lost))
                except (OSError, ValueError) as error:
                    why = _HELP.get(getattr(error, "errno", 0) or 0, str(error))
                else:
                    ear.state(LinkState.CONNECTED, options.port)
                    try:
                        why = await lost
                    finally:
                        port.end("stopped")
                    if loop.time() - started > SETTLED:
                        backoff.succeeded()
                ear.state(LinkState.WAITING, f"{options.port}: {why}")
                await asyncio.sleep(backoff.next())
        finally:
            ear.state(LinkState.STOPPED, "")
