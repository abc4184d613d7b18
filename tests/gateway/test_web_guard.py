"""Who may ask: tokens, other sites' pages, names that are not ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from gateway.secrets import SecretRef
from gateway.web.options import HttpOptions
from tests.gateway.served import Served, served
from tests.system.daemon import free_port

TOKEN = "s3cret & +=% ü"


@pytest.fixture
async def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    monkeypatch.setenv("PAGE_TOKEN", TOKEN)
    options = HttpOptions(listen=f"127.0.0.1:{free_port()}", token=SecretRef(env="PAGE_TOKEN"))
    async with served(tmp_path, options) as one:
        yield one


@pytest.fixture
async def open_web(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        yield one


async def test_without_the_token_only_health_and_the_login_page_answer(web: Served) -> None:
    async with aiohttp.ClientSession() as client:
        for path, status in (("/healthz", 200), ("/login", 200), ("/api/v1/devices", 401), ("/metrics", 401)):
            async with client.get(web.url + path) as answer:
                assert answer.status == status, path
        async with client.get(web.url + "/", headers={"Accept": "text/html"}, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["location"]) == (303, "/login")
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.ws_connect(web.url + "/api/v1/live")


async def test_a_bearer_token_opens_and_a_wrong_one_does_not(web: Served) -> None:
    async with aiohttp.ClientSession() as client:
        for token, status in ((TOKEN, 200), (TOKEN[:-1], 401), ("", 401), ("Ω", 401)):
            async with client.get(web.url + "/api/v1/devices", headers={"Authorization": f"Bearer {token}"}) as answer:
                assert answer.status == status, token


async def test_the_login_page_gives_a_cookie_that_scripts_and_other_sites_cannot_use(web: Served) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        async with client.post(web.url + "/login", data={"token": "wrong"}, allow_redirects=False) as answer:
            assert answer.headers["location"] == "/login"
            assert "set-cookie" not in answer.headers
        async with client.post(web.url + "/login", data={"token": TOKEN}, allow_redirects=False) as answer:
            cookie = answer.headers["set-cookie"].lower()
            assert answer.headers["location"] == "/"
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        async with client.get(web.url + "/api/v1/devices") as answer:
            assert answer.status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8470", "127.0.0.1.evil.example", "[::1", ""])
async def test_a_name_made_to_point_at_us_is_refused(open_web: Served, host: str) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.get(open_web.url + "/api/v1/devices", headers={"Host": host}) as answer,
    ):
        assert answer.status in (400, 421)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://["])
async def test_another_sites_page_can_neither_post_nor_listen(open_web: Served, origin: str) -> None:
    headers = {"Origin": origin}
    async with aiohttp.ClientSession() as client:
        url = open_web.url + "/api/v1/alarms/a/acknowledge"
        async with client.post(url, headers=headers, json={"by": "x"}) as answer:
            assert answer.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.ws_connect(open_web.url + "/api/v1/live", headers=headers)
        same = {"Origin": open_web.url}
        async with client.ws_connect(open_web.url + "/api/v1/live", headers=same) as live:
            assert (await live.receive_json())["type"] == "snapshot"


async def test_every_answer_tells_the_browser_what_it_may_do(open_web: Served) -> None:
    async with aiohttp.ClientSession() as client:
        for path in ("/", "/static/page.js", "/api/v1/devices", "/absent"):
            async with client.get(open_web.url + path) as answer:
                policy = answer.headers["content-security-policy"]
                assert "default-src 'self'" in policy
                assert "unsafe" not in policy
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.headers["referrer-policy"] == "no-referrer"
                assert answer.headers["x-frame-options"] == "DENY"
                assert answer.headers.getall("cache-control") == ["no-store" if "api" in path else "no-cache"]


async def test_a_body_too_large_is_refused(open_web: Served) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.post(open_web.url + "/api/v1/alarms/a/acknowledge", data=b"x" * 100_000) as answer,
    ):
        assert answer.status == 413
