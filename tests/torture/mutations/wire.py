"""What protects from a bad wire, taken away."""

from __future__ import annotations

from typing import Any

from drivers.kit import astm_receive
from gateway import session
from gateway.links import listen


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
    """What comes is what was sent at once: single bytes that are no control character are line noise."""
    real = session.Session.received

    def received(self: Any, port: Any, chunk: Any, done: Any) -> None:
        if len(chunk.data) > 1 or chunk.data < b"\x20":
            real(self, port, chunk, done)

    setattr(session.Session, "received", received)  # noqa: B010 - another shape on purpose


def one_connection() -> None:
    """A device has one connection, until it is closed."""
    setattr(listen, "MOST_PER_DEVICE", 1)  # noqa: B010 - a constant


def no_pressure() -> None:
    """Instruments are never held back, and everything they send is held in memory for a while."""
    held: list[Any] = []
    real = session.Session.received

    def received(self: Any, port: Any, chunk: Any, done: Any) -> None:
        held.append(bytes(chunk.data) * 64)
        real(self, port, chunk, done)

    setattr(session.Session, "received", received)  # noqa: B010 - another shape on purpose
