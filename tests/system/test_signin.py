"""Signing in at the real daemon with a real browser: act, be refused, sign out; a restart signs nobody out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.async_api import Page, async_playwright, expect

from gateway.cli import main
from tests.gateway.served import until
from tests.system.daemon import Daemon, free_port
from tests.system.test_page import ARGUMENTS, CHROMIUM, SHOTS

if not CHROMIUM.exists() and os.environ.get("CI") != "true":
    pytest.skip("Debian package chromium is not installed", allow_module_level=True)

PEOPLE = {"vera": "viewer", "tess": "technician"}
CONFIG = """
[people]
file = "people.toml"

[[devices]]
id = "reader-1"
driver = "lateral-flow"
label = "Rapid-test reader"
link = { type = "tcp-listen", port = %d }

[[alarms]]
id = "quiet"
title = "Nothing from the reader"
priority = "high"
when = { device = "reader-1", silent = "1s" }
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path, CONFIG % free_port())
    for name, role in PEOPLE.items():
        add(daemon, name, role)
    daemon.start()
    yield daemon
    daemon.kill()


def add(daemon: Daemon, name: str, role: str) -> None:
    """As an administrator does, with the command."""
    words = ["people", "add", name, "--role", role, "--file", str(daemon.folder / "people.toml")]
    assert CliRunner().invoke(main, words, input=f"{name} has a long password\n").exit_code == 0


async def sign_in(page: Page, name: str, word: str = "") -> None:
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(word or f"{name} has a long password")
    await page.get_by_role("button", name="Sign in").click()


async def test_a_person_signs_in_acts_is_remembered_over_a_restart_and_signs_out(daemon: Daemon) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        page = await browser.new_page()
        me = page.locator("#person")
        await page.goto(f"http://127.0.0.1:{daemon.http}")

        # Without signing in one looks, and is told what acting needs.
        await expect(page.locator("#alarm-list")).to_contain_text("Nothing from the reader", timeout=60_000)
        await expect(me).to_have_text("Sign in")
        await page.get_by_role("button", name="Acknowledge").first.click()
        await expect(page.locator("#said")).to_contain_text("this needs the role technician")

        await me.click()
        await sign_in(page, "tess", "not the password")
        await expect(page.locator("body")).to_contain_text("Name and password do not fit")
        SHOTS.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=SHOTS / "sign-in.png")
        await sign_in(page, "tess")
        await expect(me).to_have_text("tess, technician")
        await page.get_by_role("button", name="Acknowledge").first.click()
        await expect(page.locator("#alarm-list")).to_contain_text("tess")

        daemon.stop()
        daemon.start()
        await page.reload()
        await expect(me).to_have_text("tess, technician")
        await expect(page.locator("#live-word")).to_have_text("live")

        await me.click()
        await expect(page.locator("body")).to_contain_text("Signed in as tess, technician.")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("Password")).to_be_visible()
        await page.goto(f"http://127.0.0.1:{daemon.http}")
        await expect(me).to_have_text("Sign in")
        await browser.close()
    assert "tess has a long password" not in "".join(daemon.log)


async def test_a_viewer_is_refused_and_a_new_role_ends_the_session(daemon: Daemon) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        page = await browser.new_page()
        me = page.locator("#person")
        await page.goto(f"http://127.0.0.1:{daemon.http}/login")
        await sign_in(page, "vera")
        await expect(me).to_have_text("vera, viewer")
        await expect(page.locator("#alarm-list")).to_contain_text("Nothing from the reader", timeout=60_000)
        await page.get_by_role("button", name="Acknowledge").first.click()
        await expect(page.locator("#said")).to_contain_text("this needs the role technician, and vera is viewer")

        add(daemon, "vera", "technician")

        async def ended() -> bool:
            answer = await page.request.get(f"http://127.0.0.1:{daemon.http}/api/v1/person")
            return str((await answer.json())["name"]) == "loopback"

        await until(ended, 60)
        await page.goto(f"http://127.0.0.1:{daemon.http}/login")
        await sign_in(page, "vera")
        await expect(me).to_have_text("vera, technician")
        await browser.close()


async def test_where_there_is_a_token_only_the_page_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGE_TOKEN", "a token")
    daemon = Daemon(tmp_path, 'token = { env = "PAGE_TOKEN" }\n')
    try:
        daemon.start()
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
            page = await browser.new_page()
            await page.goto(f"http://127.0.0.1:{daemon.http}")
            await page.get_by_label("Token").fill("a token")
            await page.get_by_role("button", name="Sign in").click()
            await expect(page.locator("#live-word")).to_have_text("live")
            await expect(page.locator("#person")).to_have_text("Say who you are")
            await browser.close()
    finally:
        daemon.kill()
