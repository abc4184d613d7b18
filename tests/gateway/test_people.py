"""People: who is who, what each may do and see, and who is kept out for how long."""

from __future__ import annotations

import asyncio
import re
import stat
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
import orjson
import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.cli import main
from gateway.config import parse
from gateway.config_errors import ConfigError
from gateway.journal.store import Journal
from gateway.people import lockout, passwords
from gateway.people.addresses import is_loopback
from gateway.people.lockout import Lockout
from gateway.people.options import PeopleOptions, read_people
from gateway.people.people import MOST_WAITING, BusyError, People, Refused
from gateway.people.roles import ACTS, RANK, Role, needed
from gateway.people.sessions import MOST_EACH, Sessions, key_of
from gateway.secrets import SecretRef
from gateway.web.openapi import ENDPOINTS
from gateway.web.options import HttpOptions
from tests.gateway.served import CONFIG, Served, served, until
from tests.system.daemon import free_port

TOKEN = "program's token"
NAMES = {"vera": "viewer", "tess": "technician", "sam": "supervisor", "ada": "administrator"}
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SECRET = "CANARY^JANE"
WHOLE = {"/api/v1/observations", "/api/v1/stream", "/api/v1/live", "/api/v1/raw/{id}", "/api/v1/quarantine"}
CONTROL = """
[[controls]]
id = "qc-1"
device = "reader-1"
quantity = "sars-cov-2-ag"
expect = "positive"
specimen = "QC-*"
"""


def password(name: str) -> str:
    return f"{name} has a long password"


def write_people(path: Path, people: dict[str, str], word: str = "") -> None:
    tables = [
        f'[people.{name}]\nrole = "{role}"\npassword = "{QUICK.hash(word or password(name))}"\n'
        for name, role in people.items()
    ]
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text("\n".join(tables))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_people(tmp_path / "people.toml", NAMES)
    return tmp_path


@asynccontextmanager
async def lab(folder: Path, people: str = "", port: int = 0, **http: Any) -> AsyncIterator[Served]:
    options = HttpOptions(listen=f"127.0.0.1:{port or free_port()}", **http)
    table = people or f'file = "{folder / "people.toml"}"'
    async with served(folder / "data", options, f"{CONFIG}\n[people]\n{table}\n") as one:
        yield one


@pytest.fixture
async def web(folder: Path) -> AsyncIterator[Served]:
    async with lab(folder) as one:
        yield one


@asynccontextmanager
async def browser(web: Served, name: str = "") -> AsyncIterator[aiohttp.ClientSession]:
    """As a browser: it keeps cookies and says where it comes from. Signed in as `name`."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(web.url, cookie_jar=jar, headers={"Origin": web.url}) as client:
        if name:
            assert await tried(client, name, password(name)) == 303
        yield client


async def tried(client: aiohttp.ClientSession, name: str, word: str) -> int:
    data = {"name": name, "password": word}
    async with client.post("/login", data=data, allow_redirects=False) as answer:
        return answer.status


async def chain(web: Served) -> list[dict[str, Any]]:
    rows = await web.journal.read(lambda db: db.execute("SELECT body FROM audit ORDER BY n").fetchall())
    return [orjson.loads(body) for (body,) in rows]


async def warm(web: Served, client: aiohttp.ClientSession) -> str:
    """An alarm that is on; its id."""
    await web.observe({"value": -20.0})

    async def on() -> Any:
        async with client.get("/api/v1/alarms") as answer:
            return [one["id"] for one in (await answer.json())["items"] if one["id"].startswith("freezer-warm")]

    return str((await until(on))[0])


# ---- what roles may


def test_every_role_may_what_the_lesser_may_and_a_forgotten_act_is_an_administrators() -> None:
    posts = {one.path for one in ENDPOINTS if one.method == "POST"}
    assert set(ACTS) <= posts
    assert needed("/api/v1/forgotten", "POST") is Role.ADMINISTRATOR
    assert [RANK[role] for role in Role] == sorted(RANK.values())


async def test_the_signed_in_name_acts_whatever_the_body_says(web: Served) -> None:
    async with browser(web, "tess") as client:
        alarm = await warm(web, client)
        async with client.post(f"/api/v1/alarms/{alarm}/acknowledge", json={"by": "somebody else"}) as answer:
            assert answer.status == 200
            assert (await answer.json())["items"][0]["acknowledged_by"] == "tess"
        async with client.post(f"/api/v1/alarms/{alarm}/shelve", json={"minutes": 5, "reason": "door"}) as answer:
            assert answer.status == 200, "`by` need not be sent"

    async def recorded() -> Any:
        return [one for one in await chain(web) if one["action"] == "alarm.shelved"]

    assert (await until(recorded))[0]["by"] == "tess"
    acts = [one for one in await chain(web) if one["action"] == "person.acts"]
    assert [(one["by"], one["how"], one["role"], one["what"].rpartition("/")[2]) for one in acts] == [
        ("tess", "password", "technician", "acknowledge"),
        ("tess", "password", "technician", "shelve"),
    ]


async def test_no_body_makes_one_somebody_else(web: Served) -> None:
    bodies = (
        b'{"by":"sam","comment":NaN}',
        b'["by"]',
        b"{",
        b'{"by":"\\ud800"}',
        b"[" * 9999,
        b'{"by":"sam","by":"ada"}',
    )
    async with browser(web, "tess") as client:
        url = f"/api/v1/alarms/{await warm(web, client)}/acknowledge"
        for body in bodies[:-1]:
            async with client.post(url, data=body) as answer:
                assert answer.status == 422, body
        async with client.post(url, data=bodies[-1]) as answer:
            assert (await answer.json())["items"][0]["acknowledged_by"] == "tess"


async def test_a_role_is_refused_what_it_may_not_and_told_which_may(web: Served) -> None:
    for name in (*NAMES, ""):
        role = Role(NAMES.get(name, "viewer"))
        async with browser(web, name) as client:
            for one in ENDPOINTS:
                if one.method != "POST" or one.path == "/api/v1/sign-out":
                    continue
                least = needed(one.path, "POST")
                async with client.post(one.path.replace("{id}", "7"), json={}) as answer:
                    assert (answer.status == 403) == (RANK[role] < RANK[least]), (name, one.path)
                    if answer.status == 403:
                        assert f"the role {least}" in (await answer.json())["error"]


async def test_loopback_without_sign_in_looks_and_a_stranger_does_not(web: Served) -> None:
    async with browser(web) as client:
        async with client.get("/api/v1/person") as answer:
            assert await answer.json() == {
                "people": True, "name": "loopback", "role": "viewer", "how": "loopback", "patients": False,
            }  # fmt: skip
        for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
            async with client.get("/api/v1/devices", headers={header: "203.0.113.9"}) as answer:
                assert answer.status == 401, header
        async with client.get("/", headers={"Via": "x", "Accept": "text/html"}, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["location"]) == (303, "/login")


async def test_the_token_acts_as_its_role_and_a_wrong_one_is_nobody(folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PAGE_TOKEN", TOKEN)
    table = f'file = "{folder / "people.toml"}"\ntoken_role = "technician"'
    async with lab(folder, table, token=SecretRef(env="PAGE_TOKEN")) as web, aiohttp.ClientSession(web.url) as client:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        for headers, status in ((bearer, 404), ({"Authorization": "Bearer wrong"}, 401), ({}, 403)):
            async with client.post("/api/v1/alarms/x/acknowledge", json={"by": "x"}, headers=headers) as answer:
                assert answer.status == status, headers
        async with client.post("/api/v1/held/release", json={}, headers=bearer) as answer:
            assert answer.status == 403


# ---- signing in and out


async def test_a_session_is_a_cookie_no_script_and_no_other_site_can_use(web: Served) -> None:
    async with browser(web) as client:
        data = {"name": "tess", "password": password("tess")}
        async with client.post("/login", data=data, allow_redirects=False) as answer:
            cookie = answer.headers["set-cookie"].lower()
            token = answer.cookies["assaygate"].value
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        kept = (web.journal.path.parent / "sessions.json").read_text()
        assert token not in kept
        assert key_of(token) in kept
        assert stat.S_IMODE((web.journal.path.parent / "sessions.json").stat().st_mode) == 0o600
        async with client.post("/api/v1/sign-out") as answer:
            assert answer.status == 200
        headers = {"Cookie": f"assaygate={token}"}
        async with aiohttp.ClientSession() as other, other.get(f"{web.url}/api/v1/person", headers=headers) as answer:
            assert (await answer.json())["name"] == "loopback"


async def test_over_tls_the_cookie_never_goes_out_in_the_open(folder: Path) -> None:
    key, cert = folder / "key.pem", folder / "cert.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
             "1", "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(cert)]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True)
    data = {"name": "tess", "password": password("tess")}
    async with lab(folder, tls_cert=cert, tls_key=key) as web, aiohttp.ClientSession() as client:
        url = web.url.replace("http:", "https:")
        where: dict[str, Any] = {"ssl": False, "allow_redirects": False, "headers": {"Origin": url}}
        async with client.post(f"{url}/login", data=data, **where) as answer:
            assert answer.headers["set-cookie"].startswith("__Host-assaygate=")
            assert "; secure" in answer.headers["set-cookie"].lower()
            cookie = answer.headers["set-cookie"].partition(";")[0]
        async with client.get(f"{url}/api/v1/person", ssl=False, headers={"Cookie": cookie}) as answer:
            assert (await answer.json())["name"] == "tess"
    async with lab(folder) as web, aiohttp.ClientSession() as client:
        headers = {"Origin": web.url.replace("http:", "https:")}  # a proxy speaks TLS for us
        async with client.post(f"{web.url}/login", data=data, headers=headers, allow_redirects=False) as answer:
            assert "; secure" in answer.headers["set-cookie"].lower()


async def test_a_browser_sent_by_another_site_can_do_nothing(web: Served) -> None:
    async with browser(web, "tess") as client:
        cookies = "; ".join(f"{one.key}={one.value}" for one in client.cookie_jar)
        url = f"{web.url}/api/v1/alarms/x/acknowledge"
        async with aiohttp.ClientSession(headers={"Cookie": cookies}) as forged:
            for headers in (
                {},
                {"Origin": "https://evil.example"},
                {"Sec-Fetch-Site": "same-site"},
                {"Origin": "null"},
            ):
                async with forged.post(url, json={}, headers=headers) as answer:
                    assert answer.status == 403, headers
                async with forged.post(f"{web.url}/login", data={"name": "tess"}, headers=headers) as answer:
                    assert answer.status == 403, headers
            for headers in ({"Origin": web.url}, {"Sec-Fetch-Site": "same-origin"}):
                async with forged.post(url, json={}, headers=headers) as answer:
                    assert answer.status == 404, headers


async def test_a_restart_signs_nobody_out_and_a_changed_role_or_password_does(folder: Path) -> None:
    port = free_port()
    async with lab(folder, port=port) as web, browser(web, "tess") as tess:
        cookies = {one.key: one.value for one in tess.cookie_jar}
    headers = {"Cookie": "; ".join(f"{key}={value}" for key, value in cookies.items())}
    async with lab(folder, port=port) as web, aiohttp.ClientSession(web.url, headers=headers) as client:
        async with client.get("/api/v1/person") as answer:
            assert (await answer.json())["role"] == "technician"
        async with client.ws_connect("/api/v1/live") as live:
            await live.receive_json()
            write_people(folder / "people.toml", {**NAMES, "tess": "supervisor"})
            async with asyncio.timeout(20):
                while (await live.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
            assert live.closed
        async with client.get("/api/v1/person") as answer:
            assert (await answer.json())["name"] == "loopback"


async def test_a_broken_file_of_people_leaves_the_former_in_force(web: Served, folder: Path) -> None:
    (folder / "people.toml").write_text("[people")
    async with browser(web, "tess") as client, client.get("/api/v1/person") as answer:
        assert (await answer.json())["role"] == "technician"


async def test_wrong_passwords_wait_longer_and_tell_nothing(web: Served) -> None:
    said = {}
    async with browser(web) as client:
        for name in ("tess", "nobody"):
            statuses = []
            for _ in range(lockout.FREE + 1):
                data = {"name": name, "password": "hunter2 hunter2"}
                async with client.post("/login", data=data, allow_redirects=False) as answer:
                    statuses.append(answer.status)
                    said[name] = await answer.text()
                    assert "set-cookie" not in answer.headers
            assert statuses == [403] * (lockout.FREE - 1) + [429, 429]
            assert await tried(client, name, password(name)) == 429, "the right one is not heard either"
        assert said["tess"] == said["nobody"]
        assert await tried(client, "sam", password("sam")) == 303, "others are not kept out"
    entries = [one for one in await chain(web) if one["action"] in ("person.refused", "person.locked")]
    assert [one["action"] for one in entries] == (["person.refused"] * (lockout.FREE - 1) + ["person.locked"]) * 2
    assert {one["name"] for one in entries[: lockout.FREE]} == {"tess"}
    assert all(one["name"].startswith("unknown ") for one in entries[lockout.FREE :])
    assert "hunter2" not in orjson.dumps(await chain(web)).decode()


async def test_any_name_is_only_a_wrong_one(web: Served) -> None:
    names = ("<script>alert(1)</script>", "a\x00b", "ada\n", "\u202eada", "%00", "é", "x" * 60_000, "x" * 70_000)
    async with browser(web) as client:
        for name in names:
            data = {"name": name, "password": "some password"}
            async with client.post("/login", data=data) as answer:
                assert answer.status == (413 if len(name) > 65_000 else 403), name
                assert "<script>alert" not in await answer.text()
    kept = orjson.dumps(await chain(web)).decode()
    assert kept.count("person.refused") == len(names) - 1
    assert not [name for name in names if name in kept]


class Held:
    """The people of a journal, on a clock that stands still until it is moved."""

    def __init__(self, folder: Path, journal: Journal, **options: Any) -> None:
        self.now = 1e9
        table = PeopleOptions(file=folder / "people.toml", **options)
        self.people = People(table, journal, None, lambda: self.now, lambda: self.now)

    def role(self, token: str, peer: str = "10.0.0.1") -> str | None:
        who = self.people.who(peer, [(b"cookie", b"assaygate=" + token.encode())], local_name=False)
        return str(who.role) if who else None


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = await Journal.open(tmp_path / "data")
    yield journal
    await journal.close()


async def test_a_session_that_nobody_uses_ends_and_each_ends_in_the_end(folder: Path, journal: Journal) -> None:
    held = Held(folder, journal, idle="1h", longest="23h")
    await held.people.open()
    token = await held.people.sign_in("tess", password("tess"), "10.0.0.1")
    assert isinstance(token, str)
    for _ in range(23):
        held.now += 3590
        who = held.people.who("10.0.0.1", [(b"cookie", b"x=y; assaygate=" + token.encode())], local_name=False)
        assert who
        held.people.used(who)
    held.now += 3599  # not idle for an hour
    assert held.role(token) is None, "23 hours are over"
    token = await held.people.sign_in("tess", password("tess"), "10.0.0.1")
    assert isinstance(token, str)
    held.now += 3599
    assert held.role(token) == "technician"  # looking does not count as use
    held.now += 2
    assert held.role(token) is None
    assert held.role("") is None


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"technician"', '"viewer"'),
        lambda text: re.sub(r'("technician"\npassword = ").*"', rf'\1{QUICK.hash("another password")}"', text),
        lambda text: text.replace("people.tess", "people.theo"),
    ],
    ids=["role", "password", "gone"],
)
async def test_a_new_password_another_role_and_no_more_such_person_end_sessions(
    folder: Path, journal: Journal, change: Callable[[str], str]
) -> None:
    held, path = Held(folder, journal), folder / "people.toml"
    await held.people.open()
    token = await held.people.sign_in("tess", password("tess"), "10.0.0.1")
    assert isinstance(token, str)
    following = asyncio.create_task(held.people.run())
    path.write_text(change(path.read_text()))

    async def ended() -> bool:
        return held.role(token) is None

    await until(ended)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    again = Held(folder, journal)
    await again.people.open()
    assert again.role(token) is None


async def test_a_right_password_begins_the_count_anew(folder: Path, journal: Journal) -> None:
    held = Held(folder, journal)
    await held.people.open()
    for _ in range(3):
        for _ in range(lockout.FREE - 1):
            assert await held.people.sign_in("tess", "mistyped", "10.0.0.1") == Refused()
        assert isinstance(await held.people.sign_in("tess", password("tess"), "10.0.0.1"), str)


async def test_a_flood_of_wrong_names_does_not_fill_the_disk(folder: Path, journal: Journal, monkeypatch: Any) -> None:
    monkeypatch.setattr("gateway.people.people.MOST_TOLD", 3)
    held = Held(folder, journal)
    await held.people.open()
    for number in range(8):
        if number == 7:
            held.now += 3600
        await held.people.sign_in(f"n{number}", "guess", f"10.0.1.{number}")
    rows = await journal.read(lambda db: db.execute("SELECT body FROM audit ORDER BY n").fetchall())
    assert [orjson.loads(body).get("untold", 0) for (body,) in rows] == [0, 0, 0, 4]


async def test_strangers_cannot_keep_an_administrator_out(folder: Path, journal: Journal) -> None:
    held = Held(folder, journal)
    await held.people.open()
    assert isinstance(await held.people.sign_in("ada", password("ada"), "10.0.0.1"), str)
    for number in range(lockout.FREE_NAME):
        assert isinstance(await held.people.sign_in("ada", "a guess", f"198.51.100.{number}"), Refused)
    refused = await held.people.sign_in("ada", password("ada"), "198.51.100.99")
    assert isinstance(refused, Refused)
    assert 0 < refused.wait <= lockout.LONGEST
    for address in ("10.0.0.1", "127.0.0.1"):
        assert isinstance(await held.people.sign_in("ada", password("ada"), address), str), address


async def test_many_tries_at_once_are_many_tries_and_never_too_many_at_work(folder: Path, journal: Journal) -> None:
    held = Held(folder, journal)
    await held.people.open()
    tries = [held.people.sign_in("tess", f"guess {number}", "10.0.0.1") for number in range(40)]
    answers = await asyncio.gather(*tries)
    assert sum(isinstance(one, Refused) for one in answers) == 40
    entries = await journal.read(lambda db: db.execute("SELECT count(*) FROM audit").fetchone()[0])
    assert entries == lockout.FREE, "the rest were not looked at"
    many = [held.people.sign_in(f"n{number}", "guess", f"10.0.1.{number}") for number in range(40)]
    outcomes = await asyncio.gather(*many, return_exceptions=True)
    assert sum(isinstance(one, BusyError) for one in outcomes) == 40 - MOST_WAITING


async def test_behind_a_proxy_that_is_not_named_nobody_is_on_this_machine(folder: Path, journal: Journal) -> None:
    said: list[tuple[bytes, bytes]] = [(b"x-forwarded-for", b"203.0.113.1, 198.51.100.7")]
    assert not is_loopback(Held(folder, journal).people.address("127.0.0.1", said))
    named = Held(folder, journal, proxy=["127.0.0.1"]).people
    assert named.address("127.0.0.1", said) == "198.51.100.7", "what the proxy added, not what the visitor sent"
    assert named.who("127.0.0.1", [], local_name=True) is None
    assert Held(folder, journal).people.who("127.0.0.1", [], local_name=False) is None


def test_the_documents_examples_load(folder: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "people.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 2
    assert all(parse(one, str(folder / "assaygate.toml")).people for one in examples)


# ---- a reverse proxy


PROXY = 'proxy_header = "X-Forwarded-User"\nproxy = ["{}"]\nroles = {{ ada = "supervisor" }}\nhosts = ["lab.example"]'


async def test_a_proxys_word_is_taken_from_its_address_alone(folder: Path) -> None:
    async def asked(web: Served, *names: str, host: str = "", more: Mapping[str, str] = MappingProxyType({})) -> Any:
        headers = [*(("X-Forwarded-User", name) for name in names), *((("Host", host),) if host else ()), *more.items()]
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"{web.url}/api/v1/person", headers=headers) as answer,
        ):
            return (await answer.json())["role"] if answer.status == 200 else answer.status

    async with lab(folder, PROXY.format("127.0.0.1/32")) as web:
        assert await asked(web, "ada") == "supervisor"
        assert await asked(web, "ada", host="lab.example") == "supervisor"
        assert await asked(web, "ada", host="evil.example") == 421
        assert await asked(web, "ada", more={"Authorization": "Basic eDp5"}) == "supervisor"
        assert await asked(web, "ada", more={"Authorization": "Bearer of the proxy"}) == "supervisor"
        assert await asked(web, "ada", "ada") == 401
        assert await asked(web, "mallory") == 401
        assert await asked(web) == 401, "what the proxy lets through without a name is nobody"
        headers = {"X-Forwarded-User": "ada"}
        async with aiohttp.ClientSession() as client:
            url = f"{web.url}/api/v1/alarms/x/acknowledge"
            async with client.post(url, json={}, headers=headers) as answer:
                assert answer.status == 403, "another site may have sent the browser"
            async with client.post(url, json={}, headers={**headers, "Origin": web.url}) as answer:
                assert answer.status == 404
    async with lab(folder, PROXY.format("192.0.2.1")) as web:
        assert await asked(web, "ada") == 401
        assert await asked(web) == "viewer"


# ---- patients


async def seen(client: aiohttp.ClientSession, path: str) -> str:
    """What an endpoint tells, of a stream its beginning."""
    if path == "/api/v1/live":
        async with client.ws_connect(path) as live:
            return str(await live.receive_str())
    async with client.get(path) as answer:
        if path.startswith("/api/v1/stream"):
            told = ""
            async for line in answer.content:
                told += line.decode()
                if line.startswith(b"data:"):
                    return told
        return (await answer.read()).decode("utf-8", "replace")


async def test_no_endpoint_shows_a_patient_to_whoever_may_not_see_one(folder: Path) -> None:
    async with lab(folder, f'file = "{folder / "people.toml"}"\n{CONTROL}') as web:
        one = {"device": "reader-1", "kind": "result", "quantity": "sars-cov-2-ag", "value": "pos", "specimen": "S-17",
               "patient": SECRET, "attributes": {"patient_name": SECRET, "rule": "as it is"}}  # fmt: skip
        qc = {"control": "qc-1", "lot": "", "verdict": "accepted", "rules": []}
        control = {**one, "kind": "qc", "specimen": "QC-1", "attributes": {"qc": qc, "patient_name": SECRET}}
        raw = await web.observe(one, control, data=f"P|1||{SECRET}".encode())
        await web.quarantine("reader-1", f"P|1||{SECRET}".encode(), f"not understood: {SECRET}")
        async with browser(web) as client:
            ids = ("reader-1", "qc-1", str(raw), await warm(web, client))
        for name in ("tess", "vera", ""):
            async with browser(web, name) as client:
                assert await shown(client, ids) == (WHOLE if name == "tess" else set()), name


async def shown(client: aiohttp.ClientSession, ids: Iterable[str]) -> set[str]:
    """The endpoints that tell who the patient is."""
    found = set()
    for endpoint in ENDPOINTS:
        if endpoint.method != "GET":
            continue
        for each in ids if "{id}" in endpoint.path else ("",):
            path = endpoint.path.replace("{id}", each)
            query = "?after=0" if path == "/api/v1/stream" else "?quantity=sars-cov-2-ag&device=reader-1"
            told = await seen(client, path if path == "/api/v1/live" else path + query)
            if SECRET in told or SECRET.encode().hex() in told:
                found.add(endpoint.path)
            if endpoint.path == "/api/v1/observations":
                assert "S-17" in told
                assert "as it is" in told
    return found


async def test_what_comes_while_a_page_is_open_is_masked_for_whoever_may_not_see_it(web: Served) -> None:
    async with (
        browser(web, "vera") as vera,
        browser(web, "tess") as tess,
        vera.ws_connect("/api/v1/live") as masked,
        tess.ws_connect("/api/v1/live") as whole,
    ):
        for live in (masked, whole):
            assert (await live.receive_json())["type"] == "snapshot"
        await web.observe({"patient": "CANARY", "specimen": "S-1"})
        for live, patient in ((masked, "***"), (whole, "CANARY")):
            async with asyncio.timeout(20):
                while (told := await live.receive_json())["type"] != "delta":
                    pass
            assert told["items"][0]["patient"] == patient


# ---- the file of people, and the command that writes it


def test_a_file_others_can_read_or_with_a_plain_password_is_refused(folder: Path) -> None:
    path = folder / "people.toml"
    path.chmod(0o640)
    with pytest.raises(ValueError, match="can be read by others"):
        read_people(path)
    path.chmod(0o600)
    path.write_text('[people.ada]\nrole = "viewer"\npassword = "hunter2 hunter2"\n')
    with pytest.raises(ValueError, match="argon2id") as refused:
        read_people(path)
    assert "hunter2" not in str(refused.value)
    costly = QUICK.hash("x" * 12).replace("m=8", "m=99999999")
    path.write_text(f'[people.ada]\nrole = "viewer"\npassword = "{costly}"\n')
    with pytest.raises(ValueError, match="bearable"):
        read_people(path)


def test_passwords_do_not_go_over_a_network_in_the_open(folder: Path) -> None:
    people = f'[people]\nfile = "{folder / "people.toml"}"\n'
    with pytest.raises(ConfigError, match="readable"):
        parse(f'[http]\nlisten = "0.0.0.0:8470"\n{people}')
    tls = 'tls_cert = "a.pem"\ntls_key = "b.pem"'
    assert parse(f'[http]\nlisten = "0.0.0.0:8470"\n{tls}\n{people}').people
    assert parse(people).people


def test_the_command_adds_people_to_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "people.toml"
    for name, role, word in (("ada", "viewer", "a long password"), ("tess", "technician", "another password"),
                             ("ada", "supervisor", "yet another one")):  # fmt: skip
        done = CliRunner().invoke(main, ["people", "add", name, "--role", role, "--file", str(path)], input=word + "\n")
        assert done.exit_code == 0, done.output
        assert word not in done.output
    people = read_people(path)
    assert {name: str(one.role) for name, one in people.items()} == {"ada": "supervisor", "tess": "technician"}
    assert passwords.fits(people["ada"].password, "yet another one")
    assert not passwords.fits(people["ada"].password, "a long password")
    for name, word in (
        ("ada", "short"),
        ("a b", "a long password"),
        ('x"]', "a long password"),
        ("Token", "a long password"),
    ):
        done = CliRunner().invoke(main, ["people", "add", name, "--role", "viewer", "--file", str(path)], input=word)
        assert done.exit_code == 2
    assert read_people(path) == people


def test_a_password_is_the_same_on_every_keyboard() -> None:
    kept = passwords.hashed("café au lait, 12")
    assert passwords.fits(kept, "cafe\u0301 au lait, 12")
    assert not passwords.fits(kept, "cafe au lait, 12")


# ---- on a virtual clock


@given(
    st.lists(
        st.tuples(st.sampled_from(["ada", "tess"]), st.sampled_from(["10.0.0.1", "10.0.0.2", "2001:db8::1"]),
                  st.floats(0, 2000)),
        max_size=80,
    )
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_waits_grow_have_an_end_and_cannot_keep_a_known_person_out(tries: list[tuple[str, str, float]]) -> None:
    counts, now = Lockout(), 0.0
    for name, address, later in tries:
        now += later
        before = counts.wait(name, address, now, known=False)
        assert 0 <= before <= lockout.LONGEST
        if before:
            assert counts.wait(name, address, now + before, known=False) == 0, (
                "it ends, and trying does not lengthen it"
            )
        else:
            counts.begin(name, address, now, known=False)
    # Whatever strangers did, somebody at an address of their own is heard at once.
    assert counts.wait("ada", "192.0.2.7", now, known=True) == 0


def test_each_wait_is_longer_until_the_longest_and_a_right_password_ends_them() -> None:
    counts, now, waits = Lockout(), 0.0, []
    for _ in range(20):
        waits.append(counts.begin("ada", "10.0.0.1", now, known=True))
        now += waits[-1]
    assert waits[: lockout.FREE - 1] == [0.0] * (lockout.FREE - 1)
    assert (waits[lockout.FREE - 1], waits[-1]) == (lockout.FIRST, lockout.LONGEST)
    assert all(one < other or one == other == waits[-1] for one, other in pairwise(waits[lockout.FREE - 1 :]))
    counts.right("ada", "10.0.0.1")
    assert counts.wait("ada", "10.0.0.1", now, known=False) == 0


def test_one_address_cannot_try_many_names_and_many_addresses_cannot_try_one() -> None:
    counts = Lockout()
    for number in range(lockout.FREE_ADDRESS):
        assert counts.wait(f"n{number}", "2001:db8::1", 0, known=False) == 0
        counts.begin(f"n{number}", f"2001:db8::{number}", 0, known=False)
    assert counts.wait("other", "2001:db8::ffff", 0, known=False) > 0, "a network is one address"
    for number in range(lockout.FREE_NAME):
        counts.begin("ada", f"10.0.0.{number}", 0, known=False)
    assert counts.wait("ada", "10.0.1.1", 0, known=False) > 0
    assert counts.wait("ada", "10.0.1.1", 0, known=True) == 0


def test_the_counts_are_bounded() -> None:
    counts = Lockout()
    for number in range(lockout.MOST):
        counts.begin(f"name {number}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0, known=False)
    assert len(counts) <= lockout.MOST


class SessionsOverTime(RuleBasedStateMachine):
    """Sessions against a plain account of who should be signed in."""

    IDLE, LONGEST = 100.0, 500.0

    def __init__(self) -> None:
        super().__init__()
        self.now = 1e9
        self.stamps: dict[str, str] = {"ada": "1", "tess": "1"}
        self.sessions = self.anew()
        self.account: dict[str, tuple[str, str, float, float]] = {}  # token -> name, stamp, began, used

    def anew(self) -> Sessions:
        return Sessions(self.IDLE, self.LONGEST, self.stamps.get)

    def tokens(self) -> Iterator[str]:
        for token, (name, stamp, began, used) in self.account.items():
            in_time = self.now - used < self.IDLE and self.now - began < self.LONGEST
            if in_time and self.stamps.get(name) == stamp:
                yield token

    @rule(name=st.sampled_from(["ada", "tess"]))
    def sign_in(self, name: str) -> None:
        if name not in self.stamps:
            with pytest.raises(KeyError):
                self.sessions.begin(name, "10.0.0.1", self.now)
            return
        standing = [token for token in self.tokens() if self.account[token][0] == name]
        if len(standing) == MOST_EACH:
            return
        token = self.sessions.begin(name, "10.0.0.1", self.now)
        assert len(token) >= 43
        self.account[token] = (name, self.stamps[name], self.now, self.now)

    @precondition(lambda self: self.account)
    @rule(data=st.data())
    def use(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(sorted(self.account)))
        standing = token in set(self.tokens())
        self.sessions.use(key_of(token), self.now)
        if standing:
            name, stamp, began, _ = self.account[token]
            self.account[token] = (name, stamp, began, self.now)

    @precondition(lambda self: self.account)
    @rule(data=st.data())
    def sign_out(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(sorted(self.account)))
        self.sessions.end(key_of(token))
        del self.account[token]

    @rule(seconds=st.floats(0, 200))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for token in set(self.account) - set(self.tokens()):
            self.account.pop(token)
        self.sessions.expire(self.now)

    @rule(name=st.sampled_from(["ada", "tess"]), stamp=st.sampled_from(["1", "2", None]))
    def changed(self, name: str, stamp: str | None) -> None:
        if stamp is None:
            self.stamps.pop(name, None)
        else:
            self.stamps[name] = stamp
        for token in set(self.account) - set(self.tokens()):
            self.account.pop(token)
        self.sessions.expire(self.now)

    @rule()
    def restart(self) -> None:
        kept = orjson.loads(orjson.dumps(self.sessions.dump()))
        assert not any(token in str(kept) for token in self.account)
        self.sessions = self.anew()
        self.sessions.load(kept, self.now)

    @invariant()
    def signed_in_are_those_who_should_be(self) -> None:
        standing = set(self.tokens())
        for token in self.account:
            assert (self.sessions.find(key_of(token), self.now) is not None) == (token in standing)


TestSessionsOverTime = SessionsOverTime.TestCase
TestSessionsOverTime.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_one_person_has_so_many_sessions_and_the_longest_unused_goes() -> None:
    sessions = Sessions(1e6, 1e6, {"ada": "1"}.get)
    tokens = [sessions.begin("ada", "10.0.0.1", float(number)) for number in range(MOST_EACH + 3)]
    assert [sessions.find(key_of(token), 100.0) is not None for token in tokens] == [False] * 3 + [True] * MOST_EACH
