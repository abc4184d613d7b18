"""Behind a proxy, what of patients is seen, and the file people are in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.config import parse
from gateway.config_errors import ConfigError
from gateway.people import passwords
from gateway.people.options import read_people
from gateway.web.openapi import ENDPOINTS
from tests.gateway.people_lab import (
    CONTROL,
    QUICK,
    SECRET,
    WHOLE,
    browser,
    folder,
    lab,
    warm,
    web,
)
from tests.gateway.served import Served

__all__ = ["folder", "web"]


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
