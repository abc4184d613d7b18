"""The technicians' page in a real browser: live, honest when it is not, and deaf to markup."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, FloatRect, Page, async_playwright, expect

from gateway.sinks.state import SinkState
from gateway.web.live import Hub
from tests.gateway.served import Served, served, until

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--headless=new", "--disable-gpu", "--disable-background-networking"]
SHOTS = Path(os.environ.get("ASSAYGATE_SHOTS", "/tmp/assaygate-shots"))
MARKUP = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>'
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
expect.set_options(timeout=10_000)

if not CHROMIUM.exists() and os.environ.get("CI") != "true":
    pytest.skip("Debian package chromium is not installed", allow_module_level=True)


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        yield one


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(browser: Browser, web: Served, size: dict[str, int] = DESKTOP, **more: Any) -> AsyncIterator[Page]:
    """The page, live. Whatever it complains of in its console fails the test."""
    page = await browser.new_page(viewport=size, **more)  # type: ignore[arg-type]
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(web.url)
    await expect(page.locator("#live-word")).to_have_text("live")
    yield page
    unexpected = [one for one in complaints if "ERR_CONNECTION_REFUSED" not in one and "WebSocket" not in one]
    assert not unexpected
    await page.close()


def tile(page: Page, device: str) -> Any:
    return page.locator(f'[data-device="{device}"]')


async def result(web: Served, **fields: Any) -> int:
    plain = {"device": "reader-1", "kind": "result", "quantity": "sars-cov-2-ag", "unit": None, "value": None}
    return await web.observe({**plain, **fields}, data=b"2026-11-23;S-17;SARS-CoV-2 Ag;POS;1043;221\r\n")


async def test_tiles_follow_the_instruments(browser: Browser, web: Served) -> None:
    await web.observe({"value": -80.5})
    async with opened(browser, web) as page:
        freezer = tile(page, "freezer-1")
        await expect(freezer.locator(".large .token")).to_have_text("-80.5 °C")
        await expect(freezer.locator(".large bdi")).to_have_attribute("dir", "ltr")
        for value in (-79.5, -79.0, -78.5):
            await web.observe({"value": value})
        await expect(freezer.locator(".large .token")).to_have_text("-78.5 °C")
        assert "L" in (await freezer.locator(".spark path").get_attribute("d") or "")
        await expect(tile(page, "reader-1")).to_contain_text("no data yet")
        await expect(tile(page, "quiet-1")).to_contain_text("no connection")
        await expect(page.locator("#counts")).to_have_text("3 devices · 0 in alarm · 2 without data")
        await expect(freezer.locator(".age")).to_contain_text(" s ago")


async def test_an_alarm_appears_and_is_acknowledged_by_a_click(browser: Browser, web: Served) -> None:
    async with opened(browser, web) as page:
        await expect(page.locator("#no-alarms")).to_be_visible()
        await web.observe({"value": -52.7})
        alarm = page.locator("#alarm-list .alarm")
        await expect(alarm).to_contain_text("1 critical", ignore_case=True)
        await expect(alarm).to_contain_text("-80 freezer 1")
        await expect(alarm).to_contain_text("-52.7 °C is above -70")
        await expect(page.locator("#alarm-news")).to_contain_text("Freezer warm")
        await expect(tile(page, "freezer-1").locator(".badge")).to_be_visible()
        await alarm.get_by_role("button", name="Acknowledge").click()
        await page.locator("#person-name").fill("Ayesha Khan")
        await page.get_by_role("button", name="Remember").click()
        await expect(alarm).to_contain_text("Acknowledged by Ayesha Khan")
        await expect(alarm.get_by_role("button", name="Acknowledge")).to_have_count(0)
        assert web.app.alarms.open_alarms()[0].acknowledged_by == "Ayesha Khan"
        await alarm.get_by_role("button", name="Shelve").click()
        await page.locator("#shelve-reason").fill("Defrosting")
        await page.locator("#ask-shelve").get_by_role("button", name="Shelve").click()
        await expect(page.locator("#shelved-title")).to_have_text("1 alarm shelved")
        await expect(page.locator("#no-alarms")).to_be_visible()
        await page.locator("#shelved-title").click()
        await page.locator("#shelved-list").get_by_role("button", name="Unshelve").click()
        await expect(alarm.get_by_role("button", name="Acknowledge")).to_be_visible()


async def test_a_bar_says_since_when_values_are_old_and_goes_when_they_are_not(
    browser: Browser, web: Served, tmp_path: Path
) -> None:
    await web.observe({"value": -80.0})
    async with opened(browser, web) as page:
        await web.stop()
        await expect(page.locator("#old")).to_contain_text("Values are old since", timeout=5000)
        assert (await box_of(page, "#old"))["width"] == DESKTOP["width"]
        await expect(page.locator("#live-word")).to_have_text("not connected")
        SHOTS.mkdir(exist_ok=True)
        await page.screenshot(path=SHOTS / "old.png")
        async with served(tmp_path / "again", web.options) as again:
            again.uid = 100
            await again.observe({"value": -60.5})
            await expect(page.locator("#old")).to_be_hidden(timeout=20_000)
            await expect(tile(page, "freezer-1").locator(".large .token")).to_have_text("-60.5 °C")


async def test_silence_on_an_open_connection_is_noticed_too(
    browser: Browser, web: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(browser, web) as page:
        monkeypatch.setattr(Hub, "_offer", lambda _hub, _message: None)  # everything stays unsaid from here on
        await expect(page.locator("#old")).to_be_visible(timeout=7000)
        monkeypatch.undo()
        await expect(page.locator("#old")).to_be_hidden()


async def test_markup_from_instruments_is_text(browser: Browser, web: Served) -> None:
    async with opened(browser, web) as page:
        text = dict.fromkeys(("specimen", "patient", "operator", "lot", "run", "interpretation", "device_time"), MARKUP)
        await result(web, value=MARKUP, flags=[MARKUP], quality="uncertain", quantity=MARKUP, unit=MARKUP, code=MARKUP,
                     attributes={MARKUP: MARKUP, "rule": MARKUP, "value_as_sent": MARKUP}, **text)  # fmt: skip
        await web.observe({"device": "freezer-1", "quantity": MARKUP, "value": 5.0, "unit": MARKUP})
        await web.quarantine("reader-1", MARKUP.encode(), MARKUP)
        web.app.sessions["quiet-1"].link_detail = MARKUP
        await expect(page.locator("#result-rows")).to_contain_text(MARKUP)
        await page.locator("#result-rows tr").click()
        await expect(page.locator("#story-text .facts")).to_contain_text(MARKUP)
        await expect(page.locator("#story-text pre").first).to_be_visible()
        await page.keyboard.press("Escape")
        await tile(page, "freezer-1").locator(".name").click()
        await expect(page.locator("#device-values")).to_contain_text(MARKUP)
        await page.keyboard.press("Escape")
        await page.reload()
        await expect(page.locator("#quarantine-list")).to_contain_text(MARKUP)
        await page.get_by_role("button", name="Look at reader-1").click()
        await expect(page.locator("#story-text")).to_contain_text(MARKUP)
        assert await page.evaluate("window.hurt") is None
        assert await page.locator("main img, dialog img, main script").count() == 0


async def test_a_results_story_shows_what_was_sent_the_rule_and_the_bytes(browser: Browser, web: Served) -> None:
    await result(web, value="POS", interpretation="positive", specimen="S-17",
                 attributes={"value_as_sent": "POS", "rule": "word POS -> positive"})  # fmt: skip
    await result(web, interpretation="invalid", quality="bad", attributes={"quality_reason": "no control line"})
    async with opened(browser, web) as page:
        rows = page.locator("#result-rows tr")
        await expect(rows).to_have_count(2)
        await expect(rows.first).to_contain_text("✕ invalid")
        await rows.nth(1).get_by_role("button").focus()
        await page.keyboard.press("Enter")
        story = page.locator("#story")
        await expect(story).to_contain_text("word POS -> positive")
        await expect(story).to_contain_text("S-17;SARS-CoV-2 Ag;POS")
        await story.get_by_text("Bytes in hex").click()
        await expect(story).to_contain_text("32 30 32 36")


async def test_a_trend_is_drawn_with_limits_and_gaps_and_can_be_zoomed(browser: Browser, web: Served) -> None:
    await web.observe(*({"value": -80.0 + n % 7 / 10, "_ago": 3000.0 - 5 * n} for n in range(250)))
    await web.observe(*({"value": -79.0 + n / 20, "_ago": 1000.0 - 5 * n} for n in range(195)))
    async with opened(browser, web) as page:
        await tile(page, "freezer-1").locator(".name").click()
        await page.get_by_role("button", name="1 h", exact=True).click()
        line = page.locator(".plot .line")
        await until(lambda: _pieces(line, 2))
        await expect(page.locator(".plot text.limit")).to_contain_text("above -70 °C")
        SHOTS.mkdir(exist_ok=True)
        await page.screenshot(path=SHOTS / "trend.png")
        before = await line.get_attribute("d")
        box = await box_of(page, ".plot")
        await page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 100)
        await page.mouse.down()
        await page.mouse.move(box["x"] + box["width"] * 0.95, box["y"] + 120, steps=4)
        await page.mouse.up()
        await until(lambda: _pieces(line, 1))
        zoomed = await line.get_attribute("d")
        assert zoomed != before
        await page.locator(".plot").focus()
        await page.keyboard.press("ArrowLeft")
        await expect(page.locator(".readout .token")).to_contain_text("°C")
        await page.keyboard.press("0")
        await until(lambda: _pieces(line, 2))


async def _pieces(line: Any, count: int) -> bool:
    return (await line.get_attribute("d") or "").count("M") == count


async def furnish(web: Served) -> None:
    """A laboratory with something of everything, for the pictures."""
    await web.observe(*({"value": -80.0 + (n * 7 % 11) / 10, "_ago": 600.0 - 5 * n} for n in range(100)))
    await web.observe(*({"value": -79.0 + n * 1.5, "_ago": 90.0 - 5 * n} for n in range(18)))
    await web.observe(
        {"quantity": "humidity", "value": 41.0, "unit": "%"}, {"quantity": "battery", "value": 97, "unit": "%"}
    )
    for n in range(12):
        call = ("negative", "positive", "invalid")[n % 5 % 3]
        bad = call == "invalid"
        await result(web, interpretation=call, specimen=f"S-{1700 + n}", lot="24A17", quality="bad" if bad else "good",
                     flags=["A"] if call == "positive" else [], attributes={"ratio": 1.2})  # fmt: skip
    await web.quarantine("reader-1", b"\x02garbled\x03", "record 3 has 2 fields, 12 were declared")
    web.app.sinks["influx"] = _Sink(SinkState("influx", True, 40, 0, 0.0, 40, 0, 0, ""))
    web.app.sinks["archive"] = _Sink(SinkState("archive", False, 10, 30, 95.0, 10, 0, 0, "connection refused"))


class _Sink:
    def __init__(self, state: SinkState) -> None:
        self.state, self.id = state, state.id


async def box_of(page: Page, selector: str) -> FloatRect:
    """Where the first match stands on the screen."""
    box = await page.locator(selector).first.bounding_box()
    assert box
    return box


@pytest.mark.parametrize(
    ("name", "size", "scheme"),
    [
        ("desktop", DESKTOP, "light"),
        ("desktop-dark", DESKTOP, "dark"),
        ("phone", PHONE, "light"),
        ("phone-dark", PHONE, "dark"),
    ],
)
async def test_pictures(browser: Browser, web: Served, name: str, size: dict[str, int], scheme: str) -> None:
    await furnish(web)
    async with opened(browser, web, size, color_scheme=scheme) as page:
        await expect(page.locator("#alarm-list .alarm")).to_be_visible()
        await expect(page.locator("#quarantine-list li")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        alarms = await box_of(page, "#alarms")
        devices = await box_of(page, "#devices")
        assert alarms["y"] < devices["y"]
        if size is PHONE:
            columns = await page.locator(".tiles").first.evaluate("e => getComputedStyle(e).gridTemplateColumns")
            assert len(columns.split()) == 2
        SHOTS.mkdir(exist_ok=True)
        await page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
