"""The gateway's HTTP API and its live connection, opened again for ever. Nothing else of the gateway is used."""

from __future__ import annotations

import asyncio
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

from gateway.backoff import Backoff
from gateway.terminal.said import Message, read
from gateway.terminal.words import plain

if TYPE_CHECKING:
    from gateway.web.options import HttpOptions

SILENT: Final = 30.0  # seconds; a connection that says nothing for so long is none
MOST_SNAPSHOT: Final = 64_000_000  # bytes
MOST_ANSWER: Final = 16_000_000
PATIENCE: Final = 10.0  # seconds for an answer
TOKEN_NEEDED: Final = "the gateway wants a token: --token-env NAME"  # noqa: S105 - not one


class RefusedError(Exception):
    """Something the gateway would not do, in its own words made plain."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the gateway is, without a path: http://127.0.0.1:8470."""

    url: str
    token: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def configured(options: HttpOptions, token: str) -> Address:
    """The daemon of a configuration on this machine. Errors: OSError (the certificate cannot be read)."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.host, options.host)  # noqa: S104 - where it listens
    scheme = "https" if options.tls_cert else "http"
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{options.port}"
    return Address(url, token, _trusting(options.tls_cert) if options.tls_cert else None)


def given(url: str, token: str) -> Address:
    """A gateway by its address; https by the certificates this machine trusts."""
    return Address(url.rstrip("/"), token, ssl.create_default_context() if url.startswith("https") else None)


def _trusting(certificate: Path) -> ssl.SSLContext:
    """The very certificate that the configuration names, whatever name is in it: it is asked for by its address."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context


async def follow(address: Address, take: Callable[[Message | None], None], lost: Callable[[str], None]) -> None:
    """Give what is said to `take` until cancelled; each time the connection is lost, why to `lost`."""
    backoff = Backoff()
    while True:
        try:
            async with connect(
                f"{address.url.replace('http', 'ws', 1)}/api/v1/live", ssl=address.tls, proxy=None,
                additional_headers=address.headers, max_size=MOST_SNAPSHOT, max_queue=4, open_timeout=PATIENCE,
            ) as socket:  # fmt: skip
                while True:
                    async with asyncio.timeout(SILENT):
                        sent = await socket.recv()
                    take(read(sent))
                    backoff.succeeded()
        except (OSError, WebSocketException, ValueError) as error:
            lost(_why(error))
        await asyncio.sleep(backoff.next())


def _why(error: Exception) -> str:
    match error:
        case InvalidStatus() if error.response.status_code in (401, 403):
            return TOKEN_NEEDED
        case TimeoutError():
            return "the gateway says nothing"
        case ConnectionRefusedError():
            return "the gateway is not running"
        case ValueError():
            return "what answers there does not speak as a gateway"
    return plain(str(error)) or type(error).__name__


async def ask(address: Address, *path: str, body: dict[str, Any] | None = None) -> Any:
    """What the API answers to a GET, or with a body to a POST; texts in it are as hostile as they were. Errors:
    RefusedError."""
    return await asyncio.to_thread(_ask, address, "/".join(quote(one, safe="") for one in path), body)


def _ask(address: Address, path: str, body: dict[str, Any] | None) -> Any:
    request = urllib.request.Request(  # noqa: S310 - the address is http or https
        f"{address.url}/api/v1/{path}",
        data=orjson.dumps(body) if body is not None else None,
        headers={"Content-Type": "application/json"}
        # This client writes latin-1: the token's UTF-8 has to come through it unchanged.
        | {name: value.encode().decode("latin-1") for name, value in address.headers.items()},
    )
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=address.tls)
    )
    try:
        with opener.open(request, timeout=PATIENCE) as answer:
            sent = answer.read(MOST_ANSWER + 1)
        if len(sent) > MOST_ANSWER:
            raise RefusedError("that is more than can be shown here")
        return orjson.loads(sent)
    except urllib.error.HTTPError as error:
        with error:
            raise RefusedError(_refusal(error)) from None
    except (OSError, HTTPException, ValueError) as error:
        raise RefusedError(f"the gateway does not answer: {plain(str(error))}") from None


def _refusal(error: urllib.error.HTTPError) -> str:
    if error.code == 401:
        return TOKEN_NEEDED
    try:
        said = orjson.loads(error.read(MOST_ANSWER))
    except (OSError, HTTPException, ValueError):
        said = {}
    told = [str(said[name]) for name in ("error", "remedy") if said.get(name)] if isinstance(said, dict) else []
    return plain(". ".join(told) or f"refused with status {error.code}")
