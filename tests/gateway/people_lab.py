"""A gateway with people, and browsers in front of it: what the tests of people share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from argon2 import PasswordHasher

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
