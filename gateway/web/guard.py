"""Who may ask, and what a browser may do with the answer."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.people.people import COOKIE, People
from gateway.web.options import HttpOptions

OPEN = ("/healthz", "/login", "/static/")
LOCAL = ("localhost", "127.0.0.1", "::1")
HEADERS = (
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
REFERRER = b"referrer-policy"


class Guard:
    """Checks host, origin and token of every request and WebSocket, and adds the headers to every answer."""

    def __init__(self, app: ASGIApp, options: HttpOptions, people: People | None = None) -> None:
        self._app = app
        self._people = people
        self._hosts = (*LOCAL, *(people.options.hosts if people else ()))
        self._loopback = options.loopback
        self._token = options.token.resolve() if options.token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is None:
            await self._app(scope, receive, _with_headers(send, scope))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refuse(send, *refusal)

    def _refusal(self, scope: Scope, headers: dict[bytes, str]) -> tuple[int, bytes] | None:
        host = headers.get(b"host", "")
        # A page elsewhere whose name was made to point here (DNS rebinding) still says its own name.
        if self._loopback and _name(host) not in self._hosts:
            return 421, b'{"error":"this name is not ours","remedy":"Open http://127.0.0.1."}'
        origin = headers.get(b"origin")
        acts = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        if origin and acts and origin.partition("://")[2] != host:
            return 403, b'{"error":"asked from another site","remedy":"Use the page itself."}'
        if self._people is not None:
            return self._stranger(self._people, scope, headers)
        if self._token is None or scope["path"].startswith(OPEN):
            return None
        if self._knows(headers):
            return None
        if scope["type"] == "http" and "text/html" in headers.get(b"accept", ""):
            return 303, b"/login"
        return 401, b'{"error":"a token is needed","remedy":"Send Authorization: Bearer TOKEN."}'

    def _stranger(self, people: People, scope: Scope, headers: dict[bytes, str]) -> tuple[int, bytes] | None:
        """Where people are configured: notes in the scope who asks, or says why they may not."""
        local = _name(headers.get(b"host", "")) in LOCAL
        scope["person"] = who = people.who(peer(scope), scope["headers"], local_name=local)
        acts = scope["type"] == "http" and scope["method"] not in ("GET", "HEAD")
        free = scope["path"].startswith(OPEN)
        if who is None and not free:
            if scope["type"] == "http" and "text/html" in headers.get(b"accept", ""):
                return 303, b"/login"
            return 401, b'{"error":"nobody is signed in","remedy":"Sign in at /login; programs send their token."}'
        # A browser adds cookies, and a proxy its name, to whatever any page makes it ask.
        if acts and (free or (who and who.how in ("password", "proxy"))) and not same_site(headers):
            return 403, b'{"error":"this does not come from the page","remedy":"Programs send the token of [http]."}'
        if who is not None and (acts or scope["path"] == "/"):
            people.used(who)
        return None

    def _knows(self, headers: dict[bytes, str]) -> bool:
        kind, _, given = headers.get(b"authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.right(given.strip().encode("latin-1"))
        return self.right(unquote(cookie_parser(headers.get(b"cookie", "")).get(COOKIE, "")).encode())

    def right(self, given: bytes) -> bool:
        """True for the token in UTF-8; takes as long for a wrong one."""
        return self._token is not None and hmac.compare_digest(given, self._token.encode())


def cookie_value(token: str) -> str:
    """A token as a cookie may hold it."""
    return quote(token, safe="")


def peer(scope: Scope) -> str:
    """The address at the other end of the connection."""
    return str((scope.get("client") or ("",))[0])


def same_site(headers: Mapping[bytes, str]) -> bool:
    """Whether a browser says that our own page asks. Every browser says it of what is not merely looked at (Fetch
    Standard, "append a request Origin header"; Fetch Metadata), and no page can make it say so of another's request."""
    origin = headers.get(b"origin")
    if origin is not None:
        return origin.partition("://")[2] == headers.get(b"host", "")
    return headers.get(b"sec-fetch-site") == "same-origin"


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _with_headers(send: Send, scope: Scope) -> Send:
    # Answers may name patients: no copy is to stay in a browser. The page itself may, if it is asked about each time.
    kept = b"no-store" if scope["path"].startswith("/api/") else b"no-cache"
    # A form on a page without referrers would be sent with the origin "null" (Fetch Standard, 3.2 "Origin" header).
    referrer = b"same-origin" if scope["path"] == "/login" else b"no-referrer"
    own = (*HEADERS, (b"cache-control", kept), (REFERRER, referrer))

    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = [pair for pair in message.get("headers", ()) if pair[0] != b"cache-control"]
            message["headers"] = [*given, *own]
        await send(message)

    return adding


async def _refuse(send: Send, status: int, body: bytes) -> None:
    extra = [(b"location", body)] if status == 303 else [(b"content-type", b"application/json")]
    await send(
        {"type": "http.response.start", "status": status, "headers": [*extra, *HEADERS, (REFERRER, b"no-referrer")]}
    )
    await send({"type": "http.response.body", "body": b"" if status == 303 else body})
