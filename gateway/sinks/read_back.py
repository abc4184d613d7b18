"""Reading points back out of a store: what `assaygate sinks reconcile` compares with the journal.

VictoriaMetrics through `/api/v1/export`, InfluxDB through InfluxQL (`/query`, which 1.x, 2 and 3 have).
"""

from __future__ import annotations

import base64
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from gateway.sinks.options import InfluxOptions

TIMEOUT: Final = 60.0  # seconds for one answer


class CannotReadError(OSError):
    """The store does not let us; the message says why."""


@dataclass(frozen=True, slots=True)
class Point:
    """One point: its journal position, time (unix milliseconds) and number, where it has one."""

    seq: int
    time: int
    value: float | None


class ReadBack:
    """One sink's store. Errors, of all methods: CannotReadError."""

    def __init__(self, options: InfluxOptions, site: str) -> None:
        self._options, self._site = options, site
        self._tls = ssl.create_default_context(cafile=options.ca_file) if options.url.startswith("https:") else None
        ref = options.token or options.password
        self._secret = ref.resolve() if ref else ""
        self._victoria = options.version == "2" and self._is_victoria()

    def points(self, device: str, first: int, last: int) -> Iterator[Point]:
        """A device's points from `first` to `last` (unix milliseconds, both included)."""
        return (self._from_victoria if self._victoria else self._from_influx)(device, first, last)

    def _is_victoria(self) -> bool:
        """Also has it show at once what it took in last."""
        try:
            self._ask("/internal/force_flush", {})
            self._ask("/api/v1/export", {"match[]": '{__name__="assaygate_none"}', "start": "0", "end": "1"})
        except CannotReadError:
            return False
        return True

    def _from_victoria(self, device: str, first: int, last: int) -> Iterator[Point]:
        match = f'{{site="{self._site}",device="{device}",__name__=~".+_(seq|value)"}}'
        form = {"match[]": match, "start": f"{first / 1000:.3f}", "end": f"{last / 1000:.3f}", "reduce_mem_usage": "1"}
        seqs, values = dict[Any, float](), dict[Any, float]()
        for line in self._ask("/api/v1/export", form).splitlines():
            series = orjson.loads(line)
            name, _, field = series["metric"].pop("__name__").rpartition("_")
            into, key = (seqs if field == "seq" else values), (name, *sorted(series["metric"].items()))
            into.update(((key, at), value) for at, value in zip(series["timestamps"], series["values"], strict=True))
        for place, seq in seqs.items():
            yield Point(int(seq), place[1], values.get(place))

    def _from_influx(self, device: str, first: int, last: int) -> Iterator[Point]:
        options = self._options
        query = (
            f"SELECT seq, value FROM /.*/ WHERE site = '{self._site}' AND device = '{device}'"  # noqa: S608 - ids
            f" AND time >= {first}ms AND time < {last + 1}ms GROUP BY *"
        )
        form = {"db": options.database or options.bucket, "epoch": "ns", "q": query}
        if options.retention_policy:
            form["rp"] = options.retention_policy
        said = orjson.loads(self._ask("/query", form))
        for result in said.get("results", []):
            if "error" in result:
                raise CannotReadError(f"{options.url}: {result['error']}")
            for series in result.get("series", []):
                at, seq, value = (series["columns"].index(name) for name in ("time", "seq", "value"))
                for row in series["values"]:
                    if row[seq] is not None:
                        yield Point(int(row[seq]), row[at] // 1_000_000, row[value])

    def _ask(self, path: str, form: Mapping[str, str]) -> bytes:
        url = self._options.url.rstrip("/") + path
        request = urllib.request.Request(url, urlencode(form).encode(), self._headers())  # noqa: S310 - http(s), checked
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT, context=self._tls) as answer:  # noqa: S310
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(400).decode("utf-8", "replace").strip()
            raise CannotReadError(f"{url} cannot be read: {error.code} {said}") from None
        except (OSError, ValueError) as error:
            raise CannotReadError(f"{url} cannot be read: {error}") from None

    def _headers(self) -> dict[str, str]:
        if not self._secret:
            return {}
        if self._options.version == "1":
            pair = f"{self._options.username}:{self._secret}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return {"Authorization": f"Token {self._secret}"}
