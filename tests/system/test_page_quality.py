"""Quality control and the care of alarms on the technicians' page: the real daemon, an analyser, a real browser."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import deliver, frames
from tests.system.test_page import PHONE, SHOTS, browser

__all__ = ["browser"]

# Who has said their name, and what the page's own program breaks by.
BEFORE = """
localStorage.setItem("assaygate.person", "Ayesha Khan");
addEventListener("error", (event) => event.error && (window.hurt = String(event.error)));
addEventListener("unhandledrejection", (event) => (window.hurt = String(event.reason)));
"""
MARKUP = "<img src=x onerror=window.hurt=1>"
BENCH = {"width": 1366, "height": 768}
expect.set_options(timeout=20_000)

CONFIG = """
[[devices]]
id = "a"
driver = "astm"
label = "<img src=x onerror=window.hurt=1> Cobas"
room = "Chemistry"
link = {{ type = "tcp-listen", port = {port} }}
timezone = "UTC"

[[controls]]
id = "crp-low"
quantity = "crp"
specimen = "QC-L"
level = "low"
lot = "7731"
target = 5.0
sd = 0.2
unit = "mg/L"
hold = true
tea = 20.0

[[critical_values]]
id = "crp-critical"
quantity = "crp"
high = 200.0

[[alarms]]
id = "crp-high"
title = "CRP very high"
action = "Phone the ward."
when = {{ device = "a", quantity = "crp", above = 150.0 }}

[[notifiers]]
id = "book"
type = "log"

[[notifiers]]
id = "chief"
type = "webhook"
url = {{ file = "{url}" }}

[[notifiers]]
id = "bell"
type = "sounder"
command = ["true"]

[alarm_test]
at = "Mon 09:00"
timezone = "Asia/Karachi"
notify = ["book"]
"""


class Lab:
    """The daemon and an analyser that measures one thing a minute."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        url = folder / "url"
        url.write_text("http://127.0.0.1:1/secret-path")
        self.daemon = Daemon(folder, CONFIG.format(port=self.port, url=url))
        self.minute = 0

    def send(self, *results: tuple[str, float]) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            for specimen, value in results:
                self.minute += 1
                sent = frames(specimen, str(value), f"2026011509{self.minute:02}00")
                assert deliver(sock, b"\x05", *sent) == b"\x06" * 6

    def items(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.daemon.get(path)[1])["items"]
        return found


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    one = Lab(tmp_path)
    one.daemon.start()
    try:
        yield one
    finally:
        one.daemon.stop()


async def opened(browser: Browser, lab: Lab, size: dict[str, int] = BENCH, **more: Any) -> Page:
    """The page of somebody who has said who they are."""
    page = await browser.new_page(viewport=size, **more)  # type: ignore[arg-type]
    await page.add_init_script(BEFORE)
    await page.goto(f"http://127.0.0.1:{lab.daemon.http}/")
    await expect(page.locator("#live-word")).to_have_text("live")
    return page


async def answer(page: Page, word: str, **fields: str) -> None:
    """Fill in the form that is open, by keyboard where it is text."""
    form = page.locator("#ask-form")
    await expect(form).to_be_visible()
    for name, value in fields.items():
        await form.locator(f"input[name={name}]").fill(value)
    await form.get_by_role("button", name=word, exact=True).click()
    await expect(form).to_be_hidden()


async def unhurt(page: Page) -> None:
    """Whatever came as text is text, nothing broke, and nothing is wider than the screen."""
    assert await page.evaluate("window.hurt") is None
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_failed_control_is_seen_judged_and_what_it_holds_is_released(browser: Browser, lab: Lab) -> None:
    lab.send(("QC-L", 5.1))
    page = await opened(browser, lab)
    row = page.locator("#control-rows tr")
    await expect(row).to_contain_text("● accepted")
    lab.send(("QC-L", 5.8), (MARKUP, 8.5), ("S-2", 9.0), ("S-3", 9.5))
    await expect(row).to_contain_text("✕ rejected 1-2s, 1-3s")
    await expect(row.locator("[data-name=z] bdi")).to_have_text("+4.00")
    for token in ("[data-name=z] bdi", "[data-name=Verdict] bdi", "time"):
        await expect(row.locator(token)).to_have_attribute("dir", "ltr")
    await expect(page.locator("#held-count")).to_have_text("◌ 3 held")
    held = page.locator("#held-list li")
    await expect(held.first).to_contain_text(MARKUP)
    await expect(held.first).to_contain_text("8.5 mg/L")

    await row.get_by_role("button").focus()
    await page.keyboard.press("Enter")
    chart = page.locator("#chart")
    assert await chart.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 960
    points = chart.locator("tbody tr")
    await expect(points.first).to_contain_text("1-3s")
    await points.first.get_by_role("button").click()
    await answer(page, "Record", why="the vial was old")
    await chart.get_by_role("button", name="Corrective action").click()
    await answer(page, "Record", why="new vial")
    await expect(points.first).to_contain_text("Ayesha Khan: the vial was old")
    await expect(points.first).to_contain_text("● accepted")
    await page.keyboard.press("Escape")
    await expect(row).to_contain_text("✓ in order")

    await held.nth(1).get_by_role("checkbox").check()
    await page.get_by_role("button", name="Release 1 result…").click()
    await answer(page, "Release", why="repeated on a new vial")
    await expect(held).to_have_count(2)
    await page.get_by_label("All shown").check()
    await page.get_by_role("button", name="Release 2 results…").click()
    await answer(page, "Release", why="repeated on a new vial")
    await expect(page.locator("#held")).to_be_hidden()
    await expect(page.locator("#waiting")).to_be_hidden()
    released = [one for one in lab.daemon.export() if one["kind"] == "result" and one["status"] == "final"]
    assert sorted(one["value"] for one in released) == [8.5, 9.0, 9.5]
    await unhurt(page)


async def test_a_critical_value_stays_until_somebody_reads_it_back(browser: Browser, lab: Lab) -> None:
    page = await opened(browser, lab, PHONE, has_touch=True)
    lab.send(("S-9", 250.0))
    await expect(page.locator("#critical-count")).to_have_text("▲ 1 critical value")
    row = page.locator("#critical-list li")
    await expect(row).to_contain_text("above 200 mg/L")
    await row.get_by_role("button", name="Read-back").tap()
    await answer(page, "Record", to="Dr Malik, ward 3")
    await expect(page.locator("#said")).to_contain_text("stays listed")
    await row.get_by_role("button", name="Read-back").tap()
    await page.get_by_label("They read the value back").check()
    await answer(page, "Record", to="Dr Malik, ward 3", why="called twice")
    await expect(page.locator("#critical")).to_be_hidden()
    assert lab.items("/api/v1/critical") == []
    await unhurt(page)


async def test_an_alarm_is_explained_and_maintenance_begun_and_ended(browser: Browser, lab: Lab) -> None:
    page = await opened(browser, lab)
    lab.send(("S-1", 160.0))
    assert eventually(lambda: bool(lab.items("/api/v1/alarms/history?alarm=crp-high.*")))
    alarm = page.locator("#alarm-list .alarm").filter(has_text="CRP very high")
    await alarm.get_by_role("button", name="More").click()
    story = page.locator("#story")
    await expect(story).to_contain_text("Phone the ward.")
    await expect(story.get_by_role("region", name="Readings around it")).to_contain_text("160 mg/L")
    await expect(story.get_by_role("region", name="What became of it")).to_contain_text("raised")
    await story.get_by_role("button", name="Acknowledge with comment").click()
    await answer(page, "Acknowledge", comment="ward was phoned")
    await expect(story).to_be_hidden()
    await expect(alarm).to_contain_text("Acknowledged by Ayesha Khan")
    await expect(alarm).to_contain_text("ward was phoned")

    await page.get_by_role("button", name="Begin maintenance…").click()
    await answer(page, "Begin", reason=MARKUP)
    work = page.locator("#work-list li")
    await expect(work).to_contain_text(f"Ayesha Khan: {MARKUP}")
    await page.reload()
    await expect(work).to_contain_text("until")
    await work.get_by_role("button", name="End maintenance").click()
    await expect(page.locator("#no-work")).to_be_visible()

    await alarm.get_by_role("button", name="More").click()
    await story.get_by_role("button", name="Out of service").click()
    await answer(page, "Take out of service", reason="the assay is changed")
    await expect(page.locator("#shelved-title")).to_have_text("1 alarm out of service")
    await page.get_by_text("Alarms of the last 7 days").click()
    past = page.get_by_role("region", name="Changes, newest first")
    await expect(past).to_contain_text("the assay is changed")
    await expect(past).to_contain_text("maintenance ended")
    await unhurt(page)


async def test_a_notifier_is_tried_and_its_address_is_never_shown(browser: Browser, lab: Lab) -> None:
    page = await opened(browser, lab)
    rows = page.locator("#notifier-list li")
    await expect(rows).to_have_count(3)
    await expect(page.locator("#alarm-test")).to_contain_text("Weekly test (Mon 09:00, Asia/Karachi)")
    await rows.first.get_by_role("button", name="Test").click()
    await expect(rows.first).to_contain_text("sent")
    await expect(rows.first).to_contain_text("✓ Test of")
    await rows.nth(1).get_by_role("button", name="Test").click()
    await expect(rows.nth(1)).to_contain_text("not sent: unreachable")
    await rows.nth(2).get_by_role("button", name="Mute").click()
    await answer(page, "Mute")
    await expect(rows.nth(2)).to_contain_text("◌ muted until")
    assert any("TEST: a test message" in line for line in lab.daemon.log)
    assert b"secret-path" not in lab.daemon.get("/api/v1/notifiers")[1]
    assert "secret-path" not in await page.content()
    await unhurt(page)


async def test_pictures(browser: Browser, lab: Lab) -> None:
    lab.send(*(("QC-L", 5.0 + n % 5 / 10 - 0.2) for n in range(20)), ("QC-L", 5.8), (MARKUP, 8.5), ("S-2", 250.0))
    SHOTS.mkdir(exist_ok=True)
    for name, size, scheme in (("bench", BENCH, "light"), ("pocket", PHONE, "dark")):
        page = await opened(browser, lab, size, color_scheme=scheme)
        await expect(page.locator("#held-count")).to_have_text("◌ 2 held")
        await page.get_by_text("Alarms of the last 7 days").click()
        await expect(page.locator("#history-text .facts")).to_be_visible()
        await page.screenshot(path=SHOTS / f"quality-{name}.png", full_page=True)
        await page.get_by_role("button", name="Begin maintenance…").click()
        await page.screenshot(path=SHOTS / f"quality-{name}-form.png")
        await page.keyboard.press("Escape")
        await page.locator("#control-rows button").click()
        await expect(page.locator("#chart tbody tr")).to_have_count(21)
        await page.locator("#chart img").evaluate("image => image.decode()")
        await page.screenshot(path=SHOTS / f"quality-{name}-chart.png")
        await page.keyboard.press("Escape")
        await page.locator("#alarm-list").get_by_role("button", name="More").first.click()
        await expect(page.locator("#story .facts")).to_be_visible()
        await page.screenshot(path=SHOTS / f"quality-{name}-alarm.png")
        await unhurt(page)
