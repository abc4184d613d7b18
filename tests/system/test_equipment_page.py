"""A report's page in a real browser: alone, still, legible in the light, in the dark, on a phone and on paper."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.gateway.equipment_bench import Bench
from tests.system.test_page import CHROMIUM, MARKUP, SHOTS, browser

__all__ = ["browser"]

if not CHROMIUM.exists() and os.environ.get("CI") != "true":
    pytest.skip("Debian package chromium is not installed", allow_module_level=True)

URDU = "-80 \u0641\u0631\u06cc\u0632\u0631"
LAPTOP = {"width": 1366, "height": 768}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A report with everything in it, as a file."""
    bench = Bench(tmp_path, label=URDU, more='calibration = { due = 2025-02-01, certificate = "PK-118" }')
    bench.observe(0, *(-80 + n % 7 / 10 for n in range(200)), *([-55.0] * 40), *([-79.5] * 100))
    bench.observe(400, *(-80 + n % 5 / 10 for n in range(1041)))
    bench.alarm("raised", 210, "freezer-warm.freezer-1.temperature", why="-55 °C is above -70")
    bench.alarm("acknowledged", 215, "freezer-warm.freezer-1.temperature", by=URDU, why=f"{MARKUP} {URDU} -80")
    bench.seal()
    path = tmp_path / "report.html"
    path.write_bytes(bench.written("html", "2025-03-03T00:00:00Z by assaygate", until=1440))
    return path


async def opened(browser: Browser, written: Path, **more: Any) -> tuple[Page, list[str]]:
    """The page, and what it asked for or complained of."""
    page = await browser.new_page(**more)
    heard: list[str] = []
    page.on("request", lambda request: heard.append(request.url))
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    await page.goto(written.as_uri())
    return page, heard


async def test_it_asks_for_nothing_and_runs_nothing(browser: Browser, written: Path) -> None:
    page, heard = await opened(browser, written, viewport=LAPTOP)
    assert heard == [written.as_uri()]
    assert await page.evaluate("document.scripts.length + document.images.length") == 0
    assert await page.evaluate("window.hurt === undefined")
    await expect(page.locator("#alarms")).to_contain_text(MARKUP)
    await expect(page.get_by_role("img", name="Trace of temperature in °C")).to_be_visible()
    await expect(page.get_by_role("img")).to_have_attribute("aria-labelledby", "trace-title trace-tells")
    assert await page.locator("svg polygon.trace").count() == 2  # the gap parts it
    assert await page.locator("svg rect.unknown").count() == 1
    assert await page.locator("svg rect.out").count() == 1
    assert await page.locator("svg polygon.alarm").count() == 1
    await page.get_by_role("link", name="The same in numbers").click()
    await expect(page.locator("#trace")).to_be_in_viewport()


PLACES = """
() => [...document.querySelectorAll('bdi.n')].filter(one => /^-\\d/.test(one.textContent)).map(one => {
  const text = one.firstChild, part = (from, to) => {
    const range = document.createRange(); range.setStart(text, from); range.setEnd(text, to);
    return range.getBoundingClientRect().left; };
  return [one.textContent, part(0, 1) < part(1, 2)]; })
"""


async def test_a_sign_stands_before_its_number_also_among_letters_from_right_to_left(
    browser: Browser, written: Path
) -> None:
    page, _ = await opened(browser, written, viewport=LAPTOP)
    found = await page.evaluate(PLACES)
    assert len([one for one in found if one[0] == "-80"]) >= 4  # twice in the label's words, twice in the comment's
    assert [one for one in found if not one[1]] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_legible_in_the_light_and_in_the_dark(browser: Browser, written: Path, scheme: Any) -> None:
    page, _ = await opened(browser, written, viewport=LAPTOP, color_scheme=scheme)
    SHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SHOTS / f"equipment-{scheme}.png")
    paper = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    for name in ("body", "h1", "p", "thead th", ".verdict", "svg text", "svg .limit-word", "a"):
        style = f"getComputedStyle(document.querySelector('{name}'))"
        ink = await page.evaluate(f"'{name}'.startsWith('svg') ? {style}.fill : {style}.color")
        assert contrast(ink, paper) >= 4.5, name  # WCAG 2.2, 1.4.3
    assert contrast(await page.evaluate("getComputedStyle(document.querySelector('.trace')).stroke"), paper) >= 3


def contrast(one: str, other: str) -> float:
    """Of two rgb(...) colours (WCAG 2.2)."""

    def light(colour: str) -> float:
        parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
        lines = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * lines[0] + 0.7152 * lines[1] + 0.0722 * lines[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("width", [1366, 390])
async def test_it_fits_its_window(browser: Browser, written: Path, width: int) -> None:
    page, _ = await opened(browser, written, viewport={"width": width, "height": 800})
    SHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SHOTS / f"equipment-{width}.png", full_page=True)
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


async def test_it_fits_a4(browser: Browser, written: Path) -> None:
    page, _ = await opened(browser, written, color_scheme="dark")
    await page.emulate_media(media="print")
    await page.set_viewport_size({"width": 703, "height": 1016})  # A4 less its margins, at 96 dots an inch
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert (await page.pdf(prefer_css_page_size=True)).startswith(b"%PDF-")
