"""Observations as line protocol that means the same in InfluxDB and in a store that keeps only numbers.

One observation is one line:

    reading,device=freezer-3,kind=reading,quantity=temperature,site=lab,unit=Cel value=-79.5,seq=8i 1700000000000000000

measurement   the kind (`result`, `qc`, `reading`, `event`, `status`), so that quality control never stands among
              patient results; or one name for all, where the sink sets `measurement`
tags          `code`, `comparator`, `device`, `interpretation`, `kind`, `quantity`, `site`, `unit`;
              `quality` only where it is not good, `status` only where it is not final;
              `word` the value where it is a short text without a call ("A Rh positive", "1:320", "running");
              `twin` 1, 2, ... on the second, third, ... observation of a quantity in one millisecond
fields        `value` a float, true and false as 1 and 0; `call` the interpretation as a number (CALLS);
              `text` the value where it is text; `seq` the journal position
timestamp     the observation's time, in nanoseconds

Never in a store: specimen, patient, operator, lot, attributes. `seq` leads back to them in the journal.

A store that keeps only numbers (VictoriaMetrics) has `result_value`, `result_call`, `result_seq` with the tags as
labels, and 0 in `result_text`: what was said is in the labels `interpretation` and `word`.
"""

from __future__ import annotations

import re
from typing import Any, Final
from zlib import crc32

import orjson

from gateway.sinks.place import MANY, Row

# Field `call`; the exact word is the tag `interpretation`. Words not listed: OTHER.
CALLS: Final = {
    "negative": 0,
    "not-detected": 0,
    "non-reactive": 0,
    "susceptible": 0,
    "normal": 0,
    "positive": 1,
    "detected": 1,
    "reactive": 1,
    "resistant": 1,
    "abnormal": 1,
    "indeterminate": 2,
    "intermediate": 2,
    "invalid": -1,
}
OTHER: Final = -2

LONGEST_TAG: Final = 200  # characters; VictoriaMetrics cuts or drops longer labels without a word
LONGEST_TEXT: Final = 16_000  # characters: InfluxDB keeps 64 kB
KNOWN_TAGS: Final = 10_000  # tag sets remembered

# A text that may be a label: short, and without a run of digits that could be a number of a person or a specimen.
_WORD: Final = re.compile(r"(?!.*\d{6})[^\x00-\x1f\x7f]{1,32}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_SPECIAL: Final = re.compile(r"([,= ])")
_ESCAPED: Final = r"\\\1"

_Tags = tuple[Any, ...]


class UnfitError(Exception):
    """No store would keep this observation as a point; the message says why."""


class Lines:
    """Makes the lines of one sink."""

    def __init__(self, site: str, measurement: str | None = None, *, words: bool = True) -> None:
        self._site = site
        self._measurement = measurement
        self._words = words
        self._known: dict[_Tags, str] = {}

    def line(self, row: Row, latest: int) -> bytes:
        """One line without its end. `latest` (unix microseconds): VictoriaMetrics drops later points silently.

        Errors: UnfitError.
        """
        if not 0 <= row.time <= latest:
            raise UnfitError("its time is before 1970" if row.time < 0 else "its time is too far in the future")
        if row.twin >= MANY:
            raise UnfitError(f"{MANY} earlier observations say the same millisecond: the device's clock stands still")
        try:
            said = orjson.loads(row.body)  # a number here is finite: there is no other in JSON
        except orjson.JSONDecodeError as error:
            raise UnfitError(f"it cannot be read: {error}") from error
        value, call = said.get("value"), said.get("interpretation")
        fields = f"seq={row.seq}i "
        word = None
        if isinstance(value, str):
            fields = f'text="{_text(value)}",{fields}'
            if call is None and self._words and _WORD.fullmatch(value):
                word = value
        elif value is not None:
            fields = f"value={float(value)!r},{fields}"
        if call is not None:
            fields = f"call={CALLS.get(call, OTHER)},{fields}"
        tags = (
            said.get("code"),
            said.get("comparator"),
            said["device"],
            call,
            said["kind"],
            said["quantity"],
            said.get("quality"),
            said.get("status"),
            row.twin,
            said.get("unit"),
            word,
        )
        head = self._known.get(tags) or self._head(tags)
        return f"{head}{fields}{row.time}000".encode("utf-8", "replace")

    def _head(self, tags: _Tags) -> str:
        """Measurement and tags, sorted by key; what repeats is escaped once."""
        code, comparator, device, call, kind, quantity, quality, status, twin, unit, word = tags
        named = (
            ("code", code),
            ("comparator", comparator),
            ("device", device),
            ("interpretation", call),
            ("kind", kind),
            ("quality", None if quality == "good" else quality),
            ("quantity", quantity),
            ("site", self._site),
            ("status", None if status == "final" else status),
            ("twin", str(twin) if twin else None),
            ("unit", unit),
            ("word", word),
        )
        head = _SPECIAL.sub(_ESCAPED, _plain(self._measurement or kind))
        for key, value in named:
            if value and (plain := _plain(str(value))):
                head += f",{key}={_SPECIAL.sub(_ESCAPED, plain)}"
        if len(self._known) >= KNOWN_TAGS:
            self._known.clear()
        self._known[tags] = head = f"{head} "
        return head


def _plain(value: str) -> str:
    """A tag value every store reads alike: one line, no backslash (at the end, or before a comma, it would swallow
    the next delimiter in InfluxDB and the whole point in VictoriaMetrics), not too long, still telling."""
    plain = _CONTROL.sub(" ", value).strip().replace("\\", "\uff3c")
    if len(plain) > LONGEST_TAG:
        plain = f"{plain[:LONGEST_TAG]}~{crc32(plain.encode('utf-8', 'replace')):08x}"
    return plain


def _text(value: str) -> str:
    """The inside of a quoted field. A line break would end the point, even in quotes."""
    return _CONTROL.sub(" ", value[:LONGEST_TEXT]).replace("\\", "\\\\").replace('"', '\\"')
