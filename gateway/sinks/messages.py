"""Observations as JSON for others: INTERFACE's fields, `seq` first."""

from __future__ import annotations

from typing import Final

import orjson

from gateway.sinks.place import Row

# What may say who somebody is. `attributes` is everything else an instrument said: names have been seen there.
PERSONAL: Final = ("specimen", "patient", "operator", "attributes")


def message(row: Row, *, identified: bool) -> bytes:
    """One line of JSON. Without `identified` the personal fields are left out; the reason for a doubtful quality,
    which is ours, stays."""
    if identified:
        return b'{"seq":%d,%b' % (row.seq, row.body[1:])
    said = orjson.loads(row.body)
    reason = (said.get("attributes") or {}).get("quality_reason")
    for field in PERSONAL:
        said.pop(field, None)
    if reason is not None:
        said["attributes"] = {"quality_reason": reason}
    return orjson.dumps({"seq": row.seq, **said})
