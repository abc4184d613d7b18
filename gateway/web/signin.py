"""Signing in and out, and what each role may do."""

from __future__ import annotations

import html
import math
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.journal.store import Journal
from gateway.people.people import COOKIE, SECURE_COOKIE, BusyError, People, Refused
from gateway.people.roles import Role, needed
from gateway.web.asked import ApiError, Handler, answer, sent, signed_in
from gateway.web.guard import Guard, cookie_value, peer
from gateway.web.options import HttpOptions

PAGE: Final = (Path(__file__).parent / "pages" / "login.html").read_text(encoding="utf-8")
MOST_ID: Final = 100


class SignIn:
    """The handlers. `people` None: there is the token of [http] alone, or nothing to sign in with."""

    def __init__(self, options: HttpOptions, people: People | None) -> None:
        self._options, self._people = options, people
        self.guard: Guard | None = None  # around the application these handlers are of

    def handlers(self) -> dict[tuple[str, str], Handler]:
        return {("/api/v1/person", "GET"): self.person, ("/api/v1/sign-out", "POST"): self.sign_out}

    async def person(self, request: Request) -> Response:
        who = signed_in(request)
        told = {name: getattr(who, name, None) for name in ("name", "role", "how")}
        return answer({"people": self._people is not None, **told, "patients": who is None or who.patients})

    async def sign_out(self, request: Request) -> Response:
        who = signed_in(request)
        if who and self._people:
            await self._people.sign_out(who)
        page = "text/html" in request.headers.get("accept", "")
        response = RedirectResponse("/login", 303) if page else answer({"signed_out": True})
        for name in (COOKIE, SECURE_COOKIE):
            response.delete_cookie(name, httponly=True, samesite="strict", secure=name == SECURE_COOKIE)
        return response

    async def login(self, request: Request) -> Response:
        if request.method == "GET":
            return self._page(request)
        given = parse_qs((await sent(request)).decode(errors="replace"))
        if self._people is None:
            return self._by_token(given.get("token", [""])[0].strip())
        name, password = (given.get(key, [""])[0] for key in ("name", "password"))
        if self._people.options.file is None or not name or not password:
            return self._page(request, "Give a name and a password.", 400)
        address = self._people.address(peer(request.scope), request.scope["headers"])
        try:
            got = await self._people.sign_in(name.strip(), password, address)
        except BusyError:
            return self._page(request, "Many are signing in. Try again in some seconds.", 503)
        if isinstance(got, Refused):
            return self._refused(request, got)
        if who := signed_in(request):
            await self._people.sign_out(who)  # one browser, one person
        response = RedirectResponse("/", 303)
        # A proxy of ours may speak TLS where we do not.
        secure = self._options.tls_cert is not None or request.headers.get("origin", "").startswith("https://")
        response.set_cookie(
            SECURE_COOKIE if secure else COOKIE, got, httponly=True, samesite="strict", secure=secure, path="/"
        )
        return response

    def _by_token(self, token: str) -> Response:
        if self.guard is None or not self.guard.right(token.encode()):
            return RedirectResponse("/login", 303)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE, cookie_value(token), httponly=True, samesite="strict", secure=self._options.tls_cert is not None
        )
        return response

    def _refused(self, request: Request, refused: Refused) -> Response:
        """In the same words whether the name is known or not."""
        if not refused.wait:
            return self._page(request, "Name and password do not fit.", 403)
        seconds = math.ceil(refused.wait)
        page = self._page(request, f"Name and password do not fit, or were wrong too often. Wait {seconds} s.", 429)
        page.headers["retry-after"] = str(seconds)
        return page

    def _page(self, request: Request, said: str = "", status: int = 200) -> Response:
        who = signed_in(request)
        parts = {"token"} if self._people is None else {"password"} if self._people.options.file else {"proxy"}
        if who and who.session:
            parts.add("out")
        if who and who.how != "loopback":
            said = said or f"Signed in as {who.name}, {who.role}."
        page = PAGE
        for part in ("token", "password", "proxy", "out"):
            before, _, rest = page.partition(f"<!-- {part} -->")
            inside, _, after = rest.partition(f"<!-- end {part} -->")
            page = before + (inside if part in parts else "") + after
        return HTMLResponse(page.replace("<!-- said -->", html.escape(said)), status)


def allowed(path: str, method: str, handler: Handler, journal: Journal) -> Handler:
    """An endpoint for those whose role may ask for it; every act is in the audit chain, with its person, before it is
    done. Where no people are configured, the handler as it is."""
    least = needed(path, method)

    async def asked(request: Request) -> Response:
        who = signed_in(request)
        if who is not None:
            require(request, least)
            if method != "GET" and path != "/api/v1/sign-out":
                one = request.path_params.get("id", "")[:MOST_ID]
                told = {"by": who.name, "how": who.how, "role": str(who.role), "what": path, "id": one}
                await journal.write(lambda t: t.audit("person.acts", **told))
        return await handler(request)

    return asked


def require(request: Request, least: Role) -> None:
    """Errors: ApiError 403 (whoever asks has a lesser role)."""
    who = signed_in(request)
    if who is not None and not who.may(least):
        raise ApiError(403, f"this needs the role {least}, and {who.name} is {who.role}", "Sign in at /login.")
