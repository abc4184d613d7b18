"""A wire with faults, between peers and the daemon: TCP, seeded, each fault with its own probability a read."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from typing import Final

RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST


class Relay:
    """Listens on `port`, carries to `target`. Stop it; what is open ends with it.

    `inward` (what the instrument sends) and `outward` (what it is told) each map a fault to its probability: "lose" a
    byte, "change" a byte, "twice" (the whole read again), "split" (byte by byte), "swallow" (the whole read), "reset"
    (the connection). `happened` counts faults. While `black` nothing is carried and nothing is closed: a cable cut.
    """

    def __init__(
        self, target: int, *, inward: Mapping[str, float] = {}, outward: Mapping[str, float] = {}, seed: int = 1
    ) -> None:
        self.happened = 0
        self.black = threading.Event()
        self._target = target
        self._faults: tuple[Mapping[str, float], Mapping[str, float]] = (inward, outward)
        self._chance = random.Random(seed)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._stopped = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lost: list[tuple[socket.socket, socket.socket]] = []
        self._thread = threading.Thread(target=self._carry, name="relay")
        self._thread.start()

    def faults(self, inward: Mapping[str, float], outward: Mapping[str, float]) -> None:
        """From now on these; none where both are empty."""
        self._faults = (inward, outward)

    def forget(self) -> None:
        """Leave what is open as it is, for ever: neither carried nor closed. Call while `black`."""
        self._lost += self._pairs
        self._pairs = []

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _carry(self) -> None:
        with self._server:
            while not self._stopped.is_set():
                ends = [end for pair in self._pairs for end in pair] if not self.black.is_set() else []
                for ready in select.select([self._server, *ends], [], [], 0.05)[0]:
                    if ready is self._server:
                        self._accept()
                    elif any(ready in pair for pair in self._pairs):
                        self._one(ready)
        for pair in (*self._pairs, *self._lost):
            for end in pair:
                end.close()

    def _accept(self) -> None:
        instrument, _ = self._server.accept()
        try:
            daemon = socket.create_connection(("127.0.0.1", self._target), timeout=3)
        except OSError:
            instrument.close()
            return
        for end in (instrument, daemon):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(3)  # one that takes nothing is hung up on, not waited for
        self._pairs.append((instrument, daemon))

    def _one(self, ready: socket.socket) -> None:
        pair = next(pair for pair in self._pairs if ready in pair)
        inward = ready is pair[0]
        try:
            data = ready.recv(65536)
            if not data:
                raise ConnectionError("closed")
            for piece in self._spoil(data, self._faults[0 if inward else 1]):
                pair[1 if inward else 0].sendall(piece)
        except OSError as error:
            if isinstance(error, ConnectionAbortedError):
                for end in pair:
                    with contextlib.suppress(OSError):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._pairs.remove(pair)
            for end in pair:
                end.close()

    def _spoil(self, data: bytes, faults: Mapping[str, float]) -> Iterator[bytes]:
        """The pieces to send in place of `data`. Errors: ConnectionAbortedError (a reset is due)."""
        due = [name for name, probability in faults.items() if self._chance.random() < probability]
        self.happened += len(due)
        if "reset" in due:
            raise ConnectionAbortedError("reset")
        if "swallow" in due:
            return
        spot = self._chance.randrange(len(data))
        if "lose" in due:
            data = data[:spot] + data[spot + 1 :]
        if "change" in due and data:
            spot %= len(data)
            data = data[:spot] + bytes([data[spot] ^ 1 << self._chance.randrange(7)]) + data[spot + 1 :]
        yield from (data[at : at + 1] for at in range(len(data))) if "split" in due else (data,)
        if "twice" in due:
            yield data
