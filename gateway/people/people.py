"""The people of one gateway: who has signed in, who may try to, and what the audit chain is told of it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import structlog

from gateway.journal.store import Journal
from gateway.people import passwords
from gateway.people.addresses import address_of, is_loopback
from gateway.people.files import put
from gateway.people.lockout import Lockout
from gateway.people.options import PeopleOptions, Person, read_people
from gateway.people.roles import RANK, Role, Who
from gateway.people.sessions import Session, Sessions, key_of

log = structlog.get_logger()

FILE: Final = "sessions.json"  # in the data directory
LOOK: Final = 1.0  # seconds between looks at the file of people
SAVE: Final = 60.0  # seconds between notes of when sessions were used
AT_ONCE: Final = 2  # passwords tried at the same time: each takes a processor and 64 MiB
MOST_WAITING: Final = 16
MOST_NAME: Final = 200  # characters of a name that are looked at
MOST_ADDRESS: Final = 64
MOST_TOLD: Final = 500  # refusals in the audit chain in an hour
FORWARDED: Final = (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via")  # somebody stands between
COOKIE: Final = "assaygate"
SECURE_COOKIE: Final = "__Host-assaygate"  # browsers take it over TLS alone, and from no other name (RFC 6265bis 4.1.3)
Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Refused:
    """No session. `wait`: seconds until a further try is heard."""

    wait: float = 0.0


class BusyError(Exception):
    """Too many passwords are being tried at once."""


class People:
    """Sessions, lock-out and the file of people, on one event loop.

    `clock` gives unix seconds, which outlive a restart; `ticks` seconds that no setting of the clock moves.
    """

    def __init__(
        self,
        options: PeopleOptions,
        journal: Journal,
        token: str | None,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = options
        self._journal = journal
        self._token = token.encode() if token else None
        self._clock, self._ticks = clock, ticks
        self._people: Mapping[str, Person] = {}
        self._seen: object = None  # of the file: when it was looked at
        self._decoy = ""
        self._sessions = Sessions(options.idle, options.longest, self._stamp)
        self._lockout = Lockout()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._trying = 0
        self._hour, self._told = -1, 0  # refusals in the present hour
        self._saving = asyncio.Lock()
        self._path = journal.path.parent / FILE

    # ---- parts

    async def open(self) -> None:
        """Read the file of people, and the sessions there were. Errors: ValueError."""
        if self.options.file is None:
            return
        self._seen = await asyncio.to_thread(_state, self.options.file)
        self._people = await asyncio.to_thread(read_people, self.options.file)
        like = next((one.password for one in self._people.values()), None)
        self._decoy = await asyncio.to_thread(passwords.decoy, like)
        try:
            self._sessions.load(orjson.loads(await asyncio.to_thread(self._path.read_bytes)), self._clock())
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("sessions cannot be read: everybody signs in anew", path=str(self._path), problem=repr(error))

    async def run(self) -> None:
        """Follow the file of people, and note when sessions were used, until cancelled."""
        if self.options.file is None:
            await asyncio.Event().wait()
            return
        noted = time.monotonic()
        while True:
            await asyncio.sleep(LOOK)
            await self._look(self.options.file)
            if time.monotonic() - noted > SAVE:
                noted = time.monotonic()
                await self._save()

    async def _look(self, path: Path) -> None:
        state = await asyncio.to_thread(_state, path)
        if state == self._seen:
            return
        self._seen = state
        try:
            self._people = await asyncio.to_thread(read_people, path)
        except ValueError as error:
            log.warning("the file of people is not taken up: the former is in force", problem=str(error))
            return
        log.info("the file of people is taken up", people=len(self._people))
        await self._save()

    async def _save(self) -> None:
        async with self._saving:
            self._sessions.expire(self._clock())
            text = orjson.dumps(self._sessions.dump())
            try:
                await asyncio.to_thread(put, self._path, text)
            except OSError as error:
                log.warning("sessions are not kept: a restart signs people out", problem=str(error))

    # ---- who asks

    def who(self, peer: str, headers: Headers, *, local_name: bool) -> Who | None:
        """Who asks from the address `peer`; None: nobody we know. `local_name`: the browser was told a name of this
        machine, so no page elsewhere sent it here."""
        given: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            given.setdefault(name, []).append(value)
        # Proxies pass on what was meant for them: another kind, or a token of their own.
        bearer = [value for value in given.get(b"authorization", ()) if value[:7].lower() == b"bearer "]
        if bearer and ((who := self._program(bearer)) or not self._is_proxy(peer)):
            return who
        if self.options.proxy_header:
            named = given.get(self.options.proxy_header.lower().encode())
            if named or self._is_proxy(peer):
                return self._named(named or []) if self._is_proxy(peer) else None
        elif found := self._session(given.get(b"cookie", [])):
            key, session = found
            return self._who(session.name, self._people[session.name].role, "password", key)
        alone = local_name and is_loopback(peer) and not self._is_proxy(peer)
        return self._who("loopback", Role.VIEWER, "loopback") if alone and not given.keys() & {*FORWARDED} else None

    def stands(self, who: Who | None) -> bool:
        """Whether a connection that was opened as somebody may go on."""
        return who is None or not who.session or self._sessions.find(who.session, self._clock()) is not None

    def used(self, who: Who) -> None:
        """Somebody did something, as opposed to a page that lies open."""
        self._sessions.use(who.session, self._clock())

    def address(self, peer: str, headers: Headers) -> str:
        """Where a visitor is: behind a proxy of ours, what that one says last. Behind one that is not named as ours
        they are all in one place, and that is not this machine."""
        if self._is_proxy(peer):
            said = [value for name, value in headers if name == b"x-forwarded-for"]
            return said[-1].decode("latin-1").rpartition(",")[2].strip()[:MOST_ADDRESS] if said else peer
        return f"behind {peer}" if any(name in FORWARDED for name, _ in headers) else peer

    def _who(self, name: str, role: Role, how: str, session: str = "") -> Who:
        return Who(name, role, how, RANK[role] >= RANK[self.options.patients], session)

    def _program(self, bearer: list[bytes]) -> Who | None:
        if len(bearer) != 1 or self._token is None or not hmac.compare_digest(bearer[0][7:].strip(), self._token):
            return None
        return self._who("token", self.options.token_role, "token")

    def _named(self, named: list[bytes]) -> Who | None:
        """The one name a proxy gives: two would be one of the visitor's own making."""
        if len(named) != 1:
            return None
        name = named[0].decode("utf-8", "replace").strip()
        role = self.options.roles.get(name)
        return self._who(name, role, "proxy") if role else None

    def _session(self, cookies: list[bytes]) -> tuple[str, Session] | None:
        for pair in b";".join(cookies).split(b";"):
            name, _, value = pair.strip().partition(b"=")
            if name.decode("latin-1") in (COOKIE, SECURE_COOKIE):
                key = key_of(value.decode("latin-1"))
                if session := self._sessions.find(key, self._clock()):
                    return key, session
        return None

    def _is_proxy(self, peer: str) -> bool:
        found = address_of(peer)
        return found is not None and any(found in network for network in self.options.proxy)

    # ---- signing in and out

    async def sign_in(self, name: str, password: str, address: str) -> str | Refused:
        """What the browser is to hold. Errors: BusyError."""
        name, now = name[:MOST_NAME], self._ticks()
        known = is_loopback(address) or self._sessions.at(name, address, self._clock())
        if wait := self._lockout.wait(name, address, now, known=known):
            return Refused(wait)
        if self._trying >= MOST_WAITING:
            raise BusyError
        wait = self._lockout.begin(name, address, now, known=known)
        person = self._people.get(name)
        self._trying += 1
        try:
            async with self._turns:
                kept = person.password if person else self._decoy
                right = await asyncio.to_thread(passwords.fits, kept, password)
        finally:
            self._trying -= 1
        if not right or person is None or self._people.get(name) != person:
            shown = name if person else self._unknown(name)
            await self._tell("person.locked" if wait else "person.refused", shown, address, wait)
            return Refused(wait)
        self._lockout.right(name, address)
        role = str(person.role)
        await self._journal.write(
            lambda t: t.audit("person.signed_in", by=name, how="password", role=role, address=address)
        )
        token = self._sessions.begin(name, address, self._clock())
        await self._save()
        return token

    async def sign_out(self, who: Who) -> None:
        """End the session somebody asks in."""
        if not who.session:
            return
        self._sessions.end(who.session)
        await self._save()
        await self._journal.write(lambda t: t.audit("person.signed_out", by=who.name, how=who.how))

    async def _tell(self, action: str, name: str, address: str, wait: float) -> None:
        """Enter a refusal into the audit chain. A flood of them is told in part, and how many more there were."""
        hour, told = int(self._ticks() // 3600), self._told
        if hour != self._hour:
            self._hour, self._told = hour, 0
        self._told += 1
        if self._told > MOST_TOLD:
            return
        untold = max(0, told - MOST_TOLD) if self._told == 1 else 0
        body = {"name": name, "address": address, "wait": round(wait), **({"untold": untold} if untold else {})}
        await self._journal.write(lambda t: t.audit(action, **body))

    def _unknown(self, name: str) -> str:
        """People type passwords where names belong, and the audit chain cannot be erased: of an unknown name it says
        only whether it is the same again."""
        return (
            "unknown "
            + hmac.digest(self._journal.secret, b"name" + name.encode("utf-8", "replace"), "sha256").hex()[:8]
        )

    def _stamp(self, name: str) -> str | None:
        person = self._people.get(name)
        return hashlib.sha256(f"{person.role}\0{person.password}".encode()).hexdigest() if person else None


def _state(path: Path) -> object:
    """What differs once a file was changed."""
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode
