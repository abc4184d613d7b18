"""People: who is who, what each may do, and who is kept out for how long."""

from __future__ import annotations

import asyncio
import re
import stat
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from gateway.config import parse
from gateway.journal.store import Journal
from gateway.people import lockout
from gateway.people.addresses import is_loopback
from gateway.people.options import PeopleOptions
from gateway.people.people import MOST_WAITING, BusyError, People, Refused
from gateway.people.roles import ACTS, RANK, Role, needed
from gateway.people.sessions import key_of
from gateway.secrets import SecretRef
from gateway.web.openapi import ENDPOINTS
from tests.gateway.people_lab import (
    NAMES,
    QUICK,
    TOKEN,
    browser,
    chain,
    folder,
    lab,
    password,
    tried,
    warm,
    web,
    write_people,
)
from tests.gateway.served import Served, until
from tests.system.daemon import free_port

__all__ = ["folder", "web"]


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
