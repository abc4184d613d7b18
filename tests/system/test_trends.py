"""A device's course in a real browser: from ten minutes to a year, moved and zoomed by hand and by keys, with its
alarms, and no average that hides a peak."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, Page, Request, expect

from gateway.journal import rollups
from gateway.journal.schema import FILE, connect
from gateway.journal.transaction import Transaction
from tests.gateway.served import Served, row, served, until
from tests.system.daemon import Daemon, eventually
from tests.system.test_page import DESKTOP, PHONE, SHOTS, box_of, browser, opened, tile

__all__ = ["browser"]  # a fixture
DAY = 86400


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        yield one


async def fill(web: Served, days: float, every: float, gap: tuple[float, float] = (0, 0), peak: float = -1) -> None:
    """Readings of the past, a peak of -71 `peak` days ago, none between the days of `gap`; the last 100 wait to be
    rolled up."""
    now = datetime.now(UTC)

    def write(transaction: Transaction) -> None:
        rows = []
        for n in range(int(days * DAY / every), 0, -1):
            ago = n * every
            if not gap[1] * DAY < ago < gap[0] * DAY:
                value = -71.0 if abs(ago - peak * DAY) < every / 2 else -80.0 + n % 7 / 10
                rows.append(row(1, 10_000_000 + n, now - timedelta(seconds=ago), value=value))
        transaction.observe(rows)
        upto, buckets = rollups.gather(transaction.db, rollups.begin(transaction), len(rows) - 100)
        rollups.add(transaction, upto, buckets)

    await web.journal.write(write)


async def course(page: Page) -> Any:
    """The dialog of the freezer, its plot drawn."""
    await tile(page, "freezer-1").locator(".name").click()
    await expect(page.locator(".plot .line")).to_have_attribute("d", re.compile("M"))
    return page.locator(".plot")


def asked(pages: list[str]) -> tuple[float, float]:
    """Length in seconds and end of the time last asked for."""
    query = parse_qs(urlsplit(pages[-1]).query)
    since, end = (datetime.fromisoformat(query[name][0]).timestamp() for name in ("since", "until"))
    return end - since, end


def listening(page: Page) -> list[str]:
    urls: list[str] = []

    def heard(request: Request) -> None:
        if "/api/v1/series" in request.url:
            urls.append(request.url)

    page.on("request", heard)
    return urls


async def test_a_year_shows_its_peak_and_its_gap(browser: Browser, web: Served) -> None:
    await web.observe({"value": -80.0})
    await fill(web, 365, 1800, gap=(200, 150), peak=100)
    async with opened(browser, web) as page:
        urls = listening(page)
        await course(page)
        for word, seconds in (("10 min", 600), ("8 h", 28800), ("1 week", 7 * DAY), ("1 month", 30 * DAY)):
            await page.get_by_role("button", name=word, exact=True).click()
            await until(lambda seconds=seconds: _is(lambda: round(asked(urls)[0]) == seconds))
        await page.get_by_role("button", name="1 year", exact=True).click()
        await until(lambda: _pieces(page, 2))
        plot = page.locator(".plot")
        await expect(plot).to_have_attribute("aria-label", re.compile("to \u2066-71 °C\u2069"))
        # Drawn, not only told: the envelope's highest point stands well above the mean's.
        top = min(await _heights(page, ".range"))
        assert top < min(await _heights(page, ".line")) - 20
        SHOTS.mkdir(exist_ok=True)
        await page.screenshot(path=SHOTS / "year.png")


async def test_a_course_is_moved_and_zoomed_by_hand_and_by_keys(browser: Browser, web: Served) -> None:
    await fill(web, 3, 60)
    await web.observe({"value": -80.0})
    async with opened(browser, web) as page:
        urls = listening(page)
        plot = await course(page)
        await page.get_by_role("button", name="1 day", exact=True).click()
        await until(lambda: _is(lambda: round(asked(urls)[0]) == DAY))
        end = asked(urls)[1]
        box = await box_of(page, ".plot")
        await page.keyboard.down("Shift")
        await page.mouse.move(box["x"] + 300, box["y"] + 120)
        await page.mouse.down()
        await page.mouse.move(box["x"] + 300 + (box["width"] - 88) / 2, box["y"] + 130, steps=5)
        await page.mouse.up()
        await page.keyboard.up("Shift")
        await until(lambda: _is(lambda: abs(end - asked(urls)[1] - DAY / 2) < 600))
        assert round(asked(urls)[0]) == DAY
        for name, length in (("Zoom in", DAY / 2), ("Zoom out", DAY)):
            button = page.get_by_role("button", name=name)
            await button.focus()
            await page.keyboard.press("Enter")
            await until(lambda length=length: _is(lambda: abs(asked(urls)[0] - length) < 1))
        before = asked(urls)[1]
        await page.get_by_role("button", name="Later").click()
        await until(lambda: _is(lambda: abs(asked(urls)[1] - before - DAY / 2) < 1))
        await plot.focus()
        await page.keyboard.press("Shift+ArrowLeft")
        await until(lambda: _is(lambda: abs(asked(urls)[1] - before - DAY / 4) < 1))
        await page.keyboard.press("ArrowLeft")
        await page.keyboard.press("ArrowLeft")  # the last bucket may hold but one
        token = page.locator(".readout .token")
        await expect(token).to_have_text(re.compile(r"^-\d+(\.\d+)? °C \(-\d+(\.\d+)? … -\d+(\.\d+)?\)$"))
        await expect(token).to_have_attribute("dir", "ltr")
        await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 120)
        for _ in range(20):  # faster than answers come: the last one counts
            await page.mouse.wheel(0, -100)
        await until(lambda: _is(lambda: abs(asked(urls)[0] - DAY / 1.5**20) < 1))
        await page.get_by_role("button", name="Reset").click()
        await until(lambda: _is(lambda: asked(urls)[1] > time.time() - 60))
        await expect(page.get_by_role("button", name="1 day", exact=True)).to_have_attribute("aria-pressed", "true")


async def test_alarms_are_marked_where_they_were(browser: Browser, web: Served) -> None:
    await web.observe({"value": -80.0, "_ago": 500.0})
    await web.observe({"value": -60.0, "_ago": 400.0})
    await web.observe({"value": -80.0, "_ago": 300.0})
    await web.observe({"value": -55.0, "_ago": 30.0})
    async with opened(browser, web, PHONE) as page:
        await course(page)
        await page.get_by_role("button", name="1 h", exact=True).click()
        spells = page.locator(".spells")
        await expect(spells.locator("summary")).to_have_text("2 alarms in this time")
        await until(lambda: _count(page, ".plot path.raised", 2))
        await expect(page.locator(".plot text.raised").first).to_have_text(re.compile(r"▲ \d\d:\d\d"))
        await spells.locator("summary").click()
        await expect(spells.locator("li").first).to_contain_text("still on")
        await expect(spells.locator("li").last).to_contain_text("-60 °C is above -70")
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        SHOTS.mkdir(exist_ok=True)
        await page.screenshot(path=SHOTS / "trend-phone.png")
        await page.keyboard.press("Escape")
        await tile(page, "quiet-1").locator(".name").click()
        await expect(page.locator(".plot .nothing")).to_have_text("No values in this time")
        await expect(spells).to_be_hidden()
        assert await _count(page, ".plot path.raised", 0), "what another device did is not shown as this one's"


async def test_numbers_stand_left_to_right_where_text_does_not(browser: Browser, web: Served) -> None:
    await web.observe(*({"value": -80.0 - n % 3, "_ago": 500.0 - n} for n in range(400)))
    async with opened(browser, web, DESKTOP, color_scheme="dark") as page:
        await page.evaluate("document.documentElement.dir = 'rtl'")
        await course(page)
        script = "[...document.querySelectorAll('.plot text')].map(text => getComputedStyle(text).direction)"
        directions = await page.evaluate(script)
        assert len(directions) > 8
        assert set(directions) == {"ltr"}
        SHOTS.mkdir(exist_ok=True)
        await page.screenshot(path=SHOTS / "trend-rtl.png")


def test_a_daemon_killed_again_and_again_keeps_rollups_that_say_what_the_rows_say(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    daemon = Daemon(
        tmp_path,
        f'[[devices]]\nid = "bench"\ndriver = "table"\nspecimen = "Sample"\ntime = "Time"\n'
        f'results = [{{ value = "CRP", unit = "mg/L" }}]\n'
        f'link = {{ type = "file", path = "{folder}", settle = "100ms" }}\n',
    )
    counted = "SELECT (SELECT seq FROM rolled), (SELECT max(seq) FROM observation)"
    numbers = "SELECT count(*), min(number), max(number), max(time) FROM observation"
    sums = "SELECT sum(count), min(low), max(high), max(last) FROM rollup WHERE width = ?"

    def asked(query: str, *values: int) -> Any:
        with closing(connect(daemon.data_dir / FILE, read_only=True)) as db:
            return db.execute(query, values).fetchone()

    def rolled(least: int) -> bool:
        upto, newest = asked(counted)
        return bool(upto == newest and newest >= least)

    try:
        for turn, least in enumerate((1, 1800)):
            daemon.start()
            day = "".join(
                f"2026-01-{turn + 1:02d} {n // 60:02d}:{n % 60:02d}:00,S{n},{n % 90}.5\r\n" for n in range(900)
            )
            half = folder / f".{turn}"
            half.write_text(f"Time,Sample,CRP\r\n{day}", newline="")
            half.rename(folder / f"{turn}.csv")
            assert eventually(lambda least=least: (asked(counted)[1] or 0) >= least)  # type: ignore[misc]
            daemon.kill()
        daemon.start()
        assert eventually(lambda: rolled(1800), 60)
        for width in rollups.WIDTHS:
            assert asked(sums, width) == asked(numbers)
    finally:
        daemon.kill()


async def _is(true: Any) -> bool:
    return bool(true())


async def _count(page: Page, selector: str, count: int) -> bool:
    return (await page.locator(selector).first.get_attribute("d") or "").count("M") == count


async def _pieces(page: Page, count: int) -> bool:
    return await _count(page, ".plot .line", count)


async def _heights(page: Page, selector: str) -> list[float]:
    path = await page.locator(f".plot {selector}").get_attribute("d") or ""
    return [float(y) for y in re.findall(r",(-?[\d.]+)", path)]
