"""Requests to an InfluxDB-compatible store, through influxdb-client's asynchronous API.

The client's own `write` compresses at the highest level on the event loop, reads answers of any size and knows
`/api/v2/write` alone; the call it makes (`api_client.call_api`) takes ready bytes and gives the answer unread.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
import zlib
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp
import orjson
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync

from gateway.sinks.answer import Answer, Run, UnreachableError
from gateway.sinks.options import InfluxOptions

REASON: Final = 4096  # bytes of an error's body we read
METRICS: Final = 4 << 20  # bytes of a store's own metrics we read
LONGEST_PAUSE: Final = 300.0  # seconds we let a store send us away
CONNECT: Final = 5.0  # seconds
INLINE: Final = 32 << 10  # bytes compressed on the loop: less than half a millisecond

# Names a process and its start: InfluxDB 2 and 3, VictoriaMetrics; then InfluxDB 1.x.
_STARTED: Final = re.compile(rb'^process_start_time_seconds (\S+)|"started":\s*"([^"]+)"', re.MULTILINE)


class HttpStore:
    """A store behind an address (`gateway.sinks.answer.Store`). Open with `await HttpStore.open(options, secret)`."""

    def __init__(self, options: InfluxOptions, secret: str, tls: ssl.SSLContext | bool) -> None:
        self.connections = 0
        self._options = options
        more: dict[str, Any] = {"token": secret or None}
        if options.version == "1" and options.username:
            more = {"token": f"{options.username}:{secret}", "auth_basic": True}
        # Any: the client's own calls have no types.
        self._client: Any = InfluxDBClientAsync(
            url=options.url.rstrip("/"),
            org=options.org,
            timeout=aiohttp.ClientTimeout(total=options.timeout, sock_connect=min(CONNECT, options.timeout)),
            ssl_context=tls,
            allow_redirects=False,
            client_session_type=self._session,
            **more,
        )

    @classmethod
    async def open(cls, options: InfluxOptions, secret: str) -> HttpStore:
        """Errors: OSError (the certificates cannot be read)."""
        # False: no TLS to set up, and the client does not read the system's certificates.
        tls: ssl.SSLContext | bool = False
        if options.url.startswith("https:"):
            tls = await asyncio.to_thread(ssl.create_default_context, cafile=options.ca_file)
        return cls(options, secret, tls)

    async def aclose(self) -> None:
        await self._client.close()

    async def write(self, body: bytes) -> Answer:
        """Send lines. Errors: UnreachableError."""
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self._options.gzip:
            body = _gzip(body) if len(body) < INLINE else await asyncio.to_thread(_gzip, body)
            headers["Content-Encoding"] = "gzip"
        path, query = self._target
        response, said = await self._call(path, "POST", REASON, query_params=query, header_params=headers, body=body)
        if response.status == 204:
            return Answer(204)
        return Answer(response.status, _reason(response, said), _pause(response.headers.get("Retry-After")))

    async def run(self) -> Run | None:
        """Which run of the store this is. Errors: UnreachableError."""
        path = "/debug/vars" if self._options.version == "1" else "/metrics"
        response, said = await self._call(path, "GET", METRICS)
        found = _STARTED.search(said) if response.status == 200 else None
        return _run(found[1] or found[2], response.headers.get("Date")) if found else None

    @property
    def _target(self) -> tuple[str, list[tuple[str, str]]]:
        """Path and query of a write."""
        options = self._options
        if options.version == "2":
            return "/api/v2/write", [("org", options.org), ("bucket", options.bucket), ("precision", "ns")]
        policy = [("rp", options.retention_policy)] if options.retention_policy else []
        return "/write", [("db", options.database), *policy, ("precision", "ns")]

    async def _call(self, path: str, method: str, most: int, **more: Any) -> tuple[aiohttp.ClientResponse, bytes]:
        """The answer and at most so many bytes of its body. Errors: UnreachableError."""
        try:
            response: aiohttp.ClientResponse = await self._client.api_client.call_api(
                path, method, async_req=False, _preload_content=False, **more
            )
            async with response:
                return response, await _read(response, most)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(str(error) or type(error).__name__) from error

    def _session(self, **options: Any) -> aiohttp.ClientSession:
        """The client's session, with an ear for connections: aiohttp makes new ones without a word."""
        watch = aiohttp.TraceConfig()
        watch.on_connection_create_end.append(self._connected)
        options["trace_configs"] = [*(options.get("trace_configs") or ()), watch]
        return aiohttp.ClientSession(**options)

    async def _connected(self, *_: object) -> None:
        self.connections += 1


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, 1, 31)


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, or as much of it as we want to hold."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) >= most:
            response.close()
            break
    return bytes(body[:most])


def _run(started: bytes, date: str | None) -> Run | None:
    name = started.decode("ascii", "replace")
    try:
        began = datetime.fromisoformat(name).timestamp() if "T" in name else float(name)
        now = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return Run(name, 0.0)
    return Run(name, now - began)


def _reason(response: aiohttp.ClientResponse, body: bytes) -> str:
    """The store's own words, on one line: InfluxDB 2 says {"code", "message"}, 1.x {"error"}, others plain text."""
    text = body.decode("utf-8", "replace")
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    if isinstance(said, dict):
        text = str(said.get("message") or said.get("error") or text)
    return f"{response.status} {' '.join(text.split())[:300] or response.reason or ''}".strip()


def _pause(header: str | None) -> float:
    """Seconds in a Retry-After header, which may also be a date."""
    if not header:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except ValueError:
            return 0.0
    return max(0.0, min(seconds, LONGEST_PAUSE)) if seconds == seconds else 0.0
