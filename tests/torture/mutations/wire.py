"""What protects from a bad wire, taken away."""

from __future__ import annotations

import time
from typing import Any

from drivers.kit import astm_receive
from gateway import session
from gateway.journal import store
from gateway.links import listen, serial


class _Any(int):
    """Equal to every number."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


def no_checksum() -> None:
    """Every frame's checksum is taken for good."""
    setattr(astm_receive, "sum8", lambda _data: _Any(0))  # noqa: B010 - another shape on purpose


def one_read_one_frame() -> None:
    """What comes at once is what was sent at once: a read that ends elsewhere than a frame is line noise."""
    real = session.Session.received

    def received(self: Any, port: Any, chunk: Any, done: Any) -> None:
        if chunk.data[-1] in b"\r\n\x04\x05":
            real(self, port, chunk, done)

    setattr(session.Session, "received", received)  # noqa: B010 - another shape on purpose


def one_connection() -> None:
    """A device has one connection, until it is closed."""
    setattr(listen, "MOST_PER_DEVICE", 1)  # noqa: B010 - a constant
    setattr(listen, "SILENT", 1e9)  # noqa: B010 - a constant


def waits_for_the_rest() -> None:
    """A lone byte is waited upon, and everybody with it."""
    real = session.Session.received

    def received(self: Any, port: Any, chunk: Any, done: Any) -> None:
        if len(chunk.data) == 1 and chunk.data >= b"\x20":
            time.sleep(0.5)
        real(self, port, chunk, done)

    setattr(session.Session, "received", received)  # noqa: B010 - another shape on purpose


def no_replug() -> None:
    """A serial port that is lost is not opened again."""
    real = serial._configured
    opened: list[Any] = []

    def configured(options: Any) -> Any:
        if opened:
            raise OSError("opened once already")
        opened.append(real(options))
        return opened[0]

    setattr(serial, "_configured", configured)  # noqa: B010 - another shape on purpose


def no_pressure() -> None:
    """Instruments are never held back."""
    setattr(store, "PRESSED", 1 << 60)  # noqa: B010 - a constant
