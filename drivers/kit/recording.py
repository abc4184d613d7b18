"""Recordings of wire traffic: direction, time, bytes. Text, a line a piece, lossless, made to be read and searched.

    # assaygate recording 1 driver=astm
    0.000 < \\x05
    0.002 > \\x06
    0.004 < \\x021H|\\\\^&|||Reader\\r\\x034C\\r\\n
    0.100 < @lab/freezer-3/sensor {"temp":-80.1}

`<` is from the instrument, `>` to it; a word behind `@` is the channel (MQTT topic, file name), its blanks as \\x20.
Bytes outside printable ASCII, and the backslash, are escaped as in Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drivers.kit.declare import Message
from drivers.kit.exchange import Exchange, Received, Rejected, receiver

HEAD: Final = "# assaygate recording 1"
_LINE = re.compile(r"(\d+(?:\.\d+)?) ([<>]) (?:@(\S*) )?(.*)")
_ESCAPED = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_SHORT = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\"}


class RecordingError(ValueError):
    """A line that is not of the format; the message names it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that came or went together, `at` seconds after the start."""

    at: float
    incoming: bool  # from the instrument
    data: bytes
    channel: str = ""


def escape(data: bytes) -> str:
    """Bytes as printable ASCII."""
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")


def unescape(text: str) -> bytes:
    """The bytes `escape` was given. Errors: RecordingError."""

    def one(match: re.Match[bytes]) -> bytes:
        if match[1]:
            return bytes([int(match[1], 16)])
        if match[2] not in _SHORT:
            raise RecordingError(f"unknown escape \\{match[2].decode('latin-1')}")
        return _SHORT[match[2]]

    return _ESCAPED.sub(one, text.encode("utf-8"))


def line(piece: Piece) -> str:
    """One piece as its line."""
    channel = f"@{piece.channel.replace(' ', chr(92) + 'x20')} " if piece.channel else ""
    return f"{piece.at:.3f} {'<' if piece.incoming else '>'} {channel}{escape(piece.data)}\n"


def write(pieces: Iterable[Piece], driver: str = "", note: str = "") -> str:
    """A whole recording."""
    head = HEAD + (f" driver={driver}" if driver else "") + (f"\n# {note}" if note else "") + "\n"
    return head + "".join(line(piece) for piece in pieces)


def read(text: str) -> Iterator[Piece]:
    """The pieces of a recording; comments and empty lines are skipped. Errors: RecordingError."""
    if not text.startswith(HEAD):
        raise RecordingError(f"line 1 is not {HEAD!r}")
    for number, each in enumerate(text.splitlines(), 1):
        if not each.strip() or each.startswith("#"):
            continue
        match = _LINE.fullmatch(each)
        if match is None:
            raise RecordingError(f"line {number} is not `SECONDS < BYTES`")
        channel = unescape(match[3] or "").decode("utf-8", "replace")
        yield Piece(float(match[1]), match[2] == "<", unescape(match[4]), channel)


def play(exchange: Exchange, pieces: Iterable[Piece]) -> Iterator[Message | Rejected]:
    """The instrument's side of a recording through our side of the conversation: whole messages, and what is refused.

    Our own clock-driven questions are asked when they were asked in the recording.
    """
    frames, channel, receive = b"", "", receiver(exchange)
    for piece in (*pieces, None):
        if piece is None:
            events = exchange.close()
        elif piece.incoming:
            events, channel = receive(piece.channel, piece.data, piece.at), piece.channel
        elif exchange.deadline is not None and exchange.deadline <= piece.at:
            events = exchange.tick(piece.at)
        else:
            continue
        for event in events:
            if isinstance(event, Rejected):
                yield event
            elif isinstance(event, Received):
                frames += event.raw
                if event.complete:
                    yield Message(frames, event.channel or channel, event.sound)
                    frames = b""


@dataclass(frozen=True, slots=True)
class Case:
    """A recording and what it must decode to: `<name>.wire`, `<name>.ndjson`, and options in `<name>.toml`."""

    name: str
    wire: Path
    expected: Path
    options: Path | None


def cases(folder: Path) -> list[Case]:
    """The cases in a driver's folder."""
    found = []
    for wire in sorted(folder.glob("cases/*.wire")):
        options = wire.with_suffix(".toml")
        found.append(Case(wire.stem, wire, wire.with_suffix(".ndjson"), options if options.exists() else None))
    return found
