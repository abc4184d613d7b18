"""An RFC 2217 server: a serial line at the end of a TCP connection, as terminal servers and ser2net offer it.

Telnet (RFC 854) with the option COM-PORT-OPTION: the client sets rate and format, and the server answers with what it
has set. The instrument behind it has one rate; a client that sets another hears bytes ruined.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Final

from simulators.damage import baud_mismatch
from simulators.endpoints import Received, TcpEndpoint

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
BINARY, SUPPRESS_GO_AHEAD, COM_PORT = 0, 3, 44
SPOKEN: Final = (BINARY, SUPPRESS_GO_AHEAD, COM_PORT)
SET_BAUDRATE, SET_DATASIZE, SET_PARITY, SET_STOPSIZE, SET_CONTROL = 1, 2, 3, 4, 5
SUSPEND, RESUME, LINE_MASK, MODEM_MASK, PURGE = 8, 9, 10, 11, 12
ANSWER: Final = 100  # what a server adds to a command to answer it
SIZES: Final = {SET_BAUDRATE: 4, SET_DATASIZE: 1, SET_PARITY: 1, SET_STOPSIZE: 1, SET_CONTROL: 1,
                LINE_MASK: 1, MODEM_MASK: 1, PURGE: 1}  # fmt: skip
MOST: Final = 256  # bytes of a subnegotiation
# What a question (value 0) about a setting is answered: 9600 8N1, no flow control, DTR and RTS on (RFC 2217, 3).
CONTROL_ASKED: Final = {0: 1, 4: 5, 7: 8, 10: 11, 13: 14}
_SUBNEGOTIATION = re.compile(rb"\xff\xfa((?:[^\xff]|\xff\xff)*)\xff\xf0", re.DOTALL)


class Telnet:
    """The server's end of the line as a pure machine: bytes in; serial bytes, and what is to be answered, out."""

    def __init__(self, baudrate: int = 9600) -> None:
        self.settings: dict[int, int] = {SET_BAUDRATE: baudrate, SET_DATASIZE: 8, SET_PARITY: 1, SET_STOPSIZE: 1}
        self._own = baudrate
        self._said: set[tuple[int, int]] = set()  # negotiated once is enough
        self._command = bytearray()  # from an IAC on, unfinished

    @property
    def matches(self) -> bool:
        """Whether the client has set the rate the instrument has."""
        return self.settings[SET_BAUDRATE] == self._own

    def receive(self, data: bytes) -> tuple[bytes, bytes]:
        """Bytes from the client: those for the serial line, and the answer to the client."""
        serial, answer = bytearray(), bytearray()
        for byte in data:
            if not self._command:
                if byte == IAC:
                    self._command.append(byte)
                else:
                    serial.append(byte)
                continue
            self._command.append(byte)
            command = self._command
            if len(command) == 2 and byte == IAC:
                serial.append(IAC)
                command.clear()
            elif command[1] == SB:
                if whole := _SUBNEGOTIATION.fullmatch(command):
                    answer += self._subnegotiated(whole[1].replace(b"\xff\xff", b"\xff"))
                    command.clear()
                elif len(command) > MOST:
                    command.clear()
            elif command[1] in (WILL, WONT, DO, DONT):
                if len(command) == 3:
                    answer += self._negotiated(command[1], command[2])
                    command.clear()
            elif len(command) >= 2:
                command.clear()
        return bytes(serial), bytes(answer)

    def _negotiated(self, verb: int, option: int) -> bytes:
        yes, no = {WILL: (DO, DONT), DO: (WILL, WONT)}.get(verb, (None, None))
        if yes is None or no is None or (verb, option) in self._said:
            return b""
        self._said.add((verb, option))
        return bytes([IAC, yes if option in SPOKEN else no, option])

    def _subnegotiated(self, body: bytes) -> bytes:
        if len(body) < 2 or body[0] != COM_PORT:
            return b""
        command, value = body[1], body[2:]
        if command not in SIZES or len(value) != SIZES[command]:
            return b""
        number = int.from_bytes(value, "big")
        if command in self.settings:
            if number:
                self.settings[command] = number
            number = self.settings[command]
        elif command == SET_CONTROL:
            number = CONTROL_ASKED.get(number, number)
        told = number.to_bytes(SIZES[command], "big").replace(b"\xff", b"\xff\xff")
        return bytes([IAC, SB, COM_PORT, command + ANSWER]) + told + bytes([IAC, SE])


class Rfc2217Endpoint(TcpEndpoint):
    """A simulated serial instrument behind such a server."""

    def __init__(self, host: str, port: int, baudrate: int = 9600) -> None:
        super().__init__(host, port, listen=True)
        self._baudrate = baudrate
        self._telnet = Telnet(baudrate)

    @property
    def address(self) -> str:
        return f"rfc2217://{super().address}"

    async def open(self, received: Received) -> None:
        self._telnet = Telnet(self._baudrate)
        await super().open(self._through(received))

    def _through(self, received: Received) -> Callable[[bytes], None]:
        def take(data: bytes) -> None:
            serial, answer = self._telnet.receive(data)
            if answer:
                self.send(answer)
            if serial:
                received(serial if self._telnet.matches else baud_mismatch(serial, random.Random(0)))

        return take

    async def write(self, data: bytes, channel: str = "") -> None:
        heard = data if self._telnet.matches else baud_mismatch(data, random.Random(0))
        await super().write(heard.replace(b"\xff", b"\xff\xff"))
