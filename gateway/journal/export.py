"""The journal's observations, oldest first, for files and other programs. Works beside a running daemon."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import orjson

from gateway.journal.moments import first_since

CHUNK: Final = 2000

COLUMNS: Final = (
    "seq",
    "uid",
    "device",
    "kind",
    "quantity",
    "code",
    "value",
    "unit",
    "comparator",
    "interpretation",
    "flags",
    "status",
    "specimen",
    "patient",
    "operator",
    "lot",
    "lot_expiry",
    "run",
    "time",
    "device_time",
    "received",
    "quality",
    "raw",
    "attributes",
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which observations; times are unix microseconds, device and quantity are globs."""

    since: int | None = None
    until: int | None = None
    device: str | None = None
    quantity: str | None = None


def lines(db: sqlite3.Connection, wanted: Selection, after: int = 0) -> Iterator[tuple[int, bytes]]:
    """(seq, JSON with seq) of each observation. Reads in chunks, so that no long read holds the journal's log."""
    where, values = "seq > ?", []
    for clause, value in (
        ("time >= ?", wanted.since),
        ("time < ?", wanted.until),
        ("device GLOB ?", wanted.device),
        ("quantity GLOB ?", wanted.quantity),
    ):
        if value is not None:
            where += f" AND {clause}"
            values.append(value)
    if wanted.since is not None:
        if (first := first_since(db, wanted.since)) is None:
            return
        after = max(after, first - 1)
    query = f"SELECT seq, body FROM observation WHERE {where} ORDER BY seq LIMIT {CHUNK}"  # noqa: S608 - constants
    while True:
        rows = db.execute(query, (after, *values)).fetchall()
        for seq, body in rows:
            yield seq, with_seq(seq, body)
        if len(rows) < CHUNK:
            return
        after = rows[-1][0]


def with_seq(seq: int, body: bytes) -> bytes:
    """The stored JSON object with its position in front."""
    return b'{"seq":%d,%b' % (seq, body[1:])


def write_ndjson(rows: Iterator[tuple[int, bytes]], out: BinaryIO) -> int:
    count = 0
    for _, line in rows:
        out.write(line + b"\n")
        count += 1
    return count


def write_csv(rows: Iterator[tuple[int, bytes]], out: BinaryIO) -> int:
    """Comma-separated, UTF-8; flags and attributes as JSON. A text a spreadsheet would run as a formula gets a
    leading apostrophe."""
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    count = 0
    for _, line in rows:
        row = orjson.loads(line)
        writer.writerow([cell(row.get(column)) for column in COLUMNS])
        count += 1
    text.detach()
    return count


def cell(value: Any) -> Any:
    if isinstance(value, list | dict):
        return orjson.dumps(value).decode()
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value


def write_parquet(rows: Iterator[tuple[int, bytes]], out: BinaryIO) -> int:
    """Apache Parquet; needs the `parquet` extra. The value stands in `value` as text and in `number`."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ValueError("parquet needs another package: pip install 'assaygate[parquet]'") from None

    kinds = {"seq": pa.int64(), "raw": pa.int64()}
    schema = pa.schema([(column, kinds.get(column, pa.string())) for column in COLUMNS] + [("number", pa.float64())])
    count = 0
    with parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        batch: list[dict[str, Any]] = []
        for _, line in rows:
            row = orjson.loads(line)
            value = row["value"]
            number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
            batch.append({**{c: row.get(c) if c in kinds else _text(row.get(c)) for c in COLUMNS}, "number": number})
            count += 1
            if len(batch) == CHUNK:
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                batch = []
        writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    return count


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


WRITERS = {"ndjson": write_ndjson, "csv": write_csv, "parquet": write_parquet}
