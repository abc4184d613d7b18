"""Who may ask, and what a browser may do with the answer."""

from __future__ import annotations

import hmac
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.web.options import HttpOptions

COOKIE = "assaygate"
OPEN = ("/healthz", "/login", "/static/")
HEADERS = (
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class Guard:
    """Checks host, origin and token of every request and WebSocket, and adds the headers to every answer."""

    def __init__(self, app: ASGIApp, options: HttpOptions) -> None:
        self._app = app
        self._loopback = options.loopback
        self._token = options.token.resolve() if options.token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refuse(send, *refusal)

    def _refusal(self, scope: Scope, headers: dict[bytes, str]) -> tuple[int, bytes] | None:
        host = headers.get(b"host", "")
        # A page elsewhere whose name was made to point here (DNS rebinding) still says its own name.
        if self._loopback and _name(host) not in ("localhost", "127.0.0.1", "::1"):
            return 421, b'{"error":"this name is not ours","remedy":"Open http://127.0.0.1."}'
        origin = headers.get(b"origin")
        if origin and (scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")):
            if urlsplit(origin).netloc != host:
                return 403, b'{"error":"asked from another site","remedy":"Use the page itself."}'
        if self._token is None or scope["path"].startswith(OPEN):
            return None
        if self._knows(headers):
            return None
        if scope["type"] == "http" and "text/html" in headers.get(b"accept", ""):
            return 303, b"/login"
        return 401, b'{"error":"a token is needed","remedy":"Send Authorization: Bearer TOKEN."}'

    def _knows(self, headers: dict[bytes, str]) -> bool:
        kind, _, given = headers.get(b"authorization", "").partition(" ")
        if kind.lower() != "bearer":
            cookie = SimpleCookie(headers.get(b"cookie", "")).get(COOKIE)
            given = cookie.value if cookie else ""
        return self.right(given)

    def right(self, given: str) -> bool:
        """True for the token; takes as long for a wrong one."""
        return self._token is not None and hmac.compare_digest(given.encode(), self._token.encode())


def _name(host: str) -> str:
    return urlsplit(f"//{host}").hostname or ""


def _with_headers(send: Send) -> Send:
    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *HEADERS]
        await send(message)

    return adding


async def _refuse(send: Send, status: int, body: bytes) -> None:
    extra = [(b"location", body)] if status == 303 else [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": [*extra, *HEADERS]})
    await send({"type": "http.response.body", "body": b"" if status == 303 else body})
