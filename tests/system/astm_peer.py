"""A foreign ASTM instrument and host, each a process of its own: the astm package's client and server (E1381/E1394).

`python -m tests.system.astm_peer client PORT COUNT CHUNK` sends messages of one result each, frames cut at CHUNK bytes
(0: a record a frame). `... server PORT` acknowledges, and prints each record received as a line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import astm.asynclib
import astm.codec
from astm.client import Client
from astm.server import BaseRecordsDispatcher, Server

# The package still asks for Python 2's built-in of that name, and takes a text for a list of its letters.
vars(astm.asynclib)["buffer"] = lambda data, start, size: data[start : start + size]
vars(astm.codec)["Iterable"] = list | tuple


def messages(count: int) -> Iterator[Any]:
    """Records of `count` messages, one after the other; the peer's answer to each comes back."""
    for number in range(count):
        specimen, done = f"FOREIGN-{number:04d}", f"202601150930{number % 60:02d}"
        for record in (
            ["H", [[None], [None, "&"]], None, None, ["Foreign", "1.0"], *[None] * 6, "P", "LIS2-A2", done],
            ["P", "1", None, f"PAT-{number}"],
            ["O", "1", specimen, None, [None, None, None, "CRP"], "R"],
            ["R", "1", [None, None, None, "CRP"], f"{number}.5", "mg/L", "0 to 5", "N", None, "F", *[None] * 3, done],
            ["L", "1", "N"],
        ):
            if not (yield record):
                raise SystemExit(f"{record} was not acknowledged")


class Printing(BaseRecordsDispatcher):  # type: ignore[misc]
    """Prints what it is given."""

    def __init__(self, encoding: str | None = None) -> None:
        super().__init__(encoding)
        self.dispatch: dict[str, Any] = dict.fromkeys("HPORCSML", self.told)

    def told(self, record: Any) -> None:
        print(json.dumps(record), flush=True)


def main(role: str, port: str, count: str = "0", chunk: str = "0") -> None:
    if role == "server":
        Server("127.0.0.1", int(port), dispatcher=Printing, encoding="utf-8").serve_forever()
        return
    size = int(chunk) or None
    Client(
        lambda: messages(int(count)),
        "127.0.0.1",
        int(port),
        encoding="utf-8",
        chunk_size=size,
        bulk_mode=size is not None,
    ).run(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
