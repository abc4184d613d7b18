"""What is fuzzed, and what must hold of any bytes: a target takes bytes and raises `BrokenError` or what escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache, partial
from itertools import islice
from typing import Any, Final

import drivers
from drivers.kit import recording, spreadsheets, tables, xmltree
from drivers.kit.declare import Driver, Message
from drivers.kit.exchange import DecodeError, Event, Received, Rejected, WireError, receiver

MOST_DRAFTS: Final = 10_000
MOST_EVENTS: Final = 8  # a byte: an exchange that says more than so many a byte says it without an end
Target = Callable[[bytes], None]


class BrokenError(Exception):
    """An invariant does not hold."""


def driver_takes(name: str, data: bytes) -> None:
    """The first byte chooses the variant, the second where the rest is cut in two. Errors: BrokenError, any other."""
    driver, ways = _ways(name)
    if len(data) < 2:
        return
    options, rest = ways[data[0] % len(ways)], data[2:]
    cut = len(rest) * data[1] // 256
    messages = [Message(rest)]
    for pieces in ([rest], [rest[:cut], rest[cut:]]):
        messages += _heard(driver, options, pieces)
    for message in messages:
        with suppress(DecodeError):
            for _ in islice(driver.decode(message, options), MOST_DRAFTS):
                pass


def _heard(driver: Driver, options: Any, pieces: list[bytes]) -> list[Message]:
    """The whole messages in a stream, with every byte accounted for."""
    exchange = driver.host(options)
    receive = receiver(exchange)
    events: list[Event] = []
    most = 100 + MOST_EVENTS * sum(map(len, pieces))
    given, wire_error = b"", False
    for piece in pieces:
        given += piece
        try:
            events += islice(receive("", piece, 1.0), most)
        except WireError:
            wire_error = True
            break
    events += islice(exchange.tick(1e6), most)
    events += islice(exchange.close(), most)
    if len(events) >= most:
        raise BrokenError("events without an end")
    used = b"".join(event.raw for event in events)
    if used != given and not (wire_error and given.startswith(used)):
        raise BrokenError(f"{len(given)} bytes in, {len(used)} out, or others")
    messages, parts = list[Message](), b""
    for event in events:
        if isinstance(event, Received):
            parts += event.raw
            if event.complete:
                messages.append(Message(parts, event.channel, event.sound))
                parts = b""
        elif isinstance(event, Rejected):
            parts = b""
    return messages


def reader_takes(read: Callable[[bytes], Iterable[Any]], data: bytes) -> None:
    """A file reader says DecodeError or reads. Errors: whatever else escapes."""
    with suppress(DecodeError):
        for _ in islice(read(data), MOST_DRAFTS):
            pass


@cache
def _ways(name: str) -> tuple[Driver, tuple[Any, ...]]:
    """A driver, and the options of its example and of each of its variants."""
    driver = drivers.load(name)
    return driver, tuple(driver.trial(variant) for variant in ("", *(one.name for one in driver.variants)))


def _table(data: bytes) -> Iterable[Any]:
    rows = tables.cells_of(tables.text_of(data, ("utf-8", "latin-1")), ",")
    return tables.grid(rows, tables.Shape(meta="equals"), whole=False).lines


def _archive(data: bytes) -> Iterable[Any]:
    spreadsheets.compact(data)
    return ()


def _pieces(data: bytes) -> Iterable[Any]:
    try:
        return list(recording.read(data.decode("utf-8", "replace")))
    except recording.RecordingError:
        return ()


READERS: Final[dict[str, Callable[[bytes], Iterable[Any]]]] = {
    "file-workbook": spreadsheets.rows,
    "file-archive": _archive,
    "file-xml": lambda data: xmltree.parse(data).iter(),
    "file-table": _table,
    "file-recording": _pieces,
}


def targets() -> dict[str, Target]:
    """Every registered driver, and the readers of files."""
    found: dict[str, Target] = {name: partial(driver_takes, name) for name in drivers.built_in()}
    return found | {name: partial(reader_takes, read) for name, read in READERS.items()}


def seeds(name: str) -> list[bytes]:
    """Where a search may begin: what is recorded of that driver, and of the file readers what they write."""
    if name not in READERS:
        texts = (case.wire.read_text() for case in recording.cases(drivers.folder(name)))
        heard = (b"".join(piece.data for piece in recording.read(text) if piece.incoming) for text in texts)
        return [b"\0\x80" + one[:20_000] for one in heard]
    if name in ("file-workbook", "file-archive"):
        return [spreadsheets.write({"a": [["S", "V"], ["S1", 1.5]]})]
    return [{"file-xml": b"<a><R b='c'>1</R></a>"}.get(name, b'sep=;\r\n"S";V\r\nS1;1,5\r\n')]
