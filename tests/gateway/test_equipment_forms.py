"""A report as page, sheet and paper: the same numbers, and hostile words stay words."""

from __future__ import annotations

import csv
import io
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import main
from gateway.equipment.page import as_html
from gateway.equipment.plot import plot
from gateway.equipment.report import Report
from gateway.equipment.sections import number
from gateway.equipment.sheet import _cell, as_csv
from tests.gateway.equipment_bench import Bench

URDU = "-80 \u0641\u0631\u06cc\u0632\u0631 \u51b7\u51bb\u673a"
HOSTILE = (
    '<script>window.hurt=1</script>',
    '"><img src=http://x.invalid/a onerror=alert(1)>',
    "=HYPERLINK(\"http://x.invalid\",\"open\")",
    "+cmd|' /C calc'!A0",
    "-2+3", "@SUM(A1)", "\t=1+1", " =1+1", "\r=1", "a,b\n\"c\"", "\u202e08-\u202c", "\u0000\u0007x", "</svg></style>",
    URDU,
)  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    calibration = 'calibration = { due = 2025-02-01, certificate = "=1+1", by = "<b>PCSIR</b>", note = "U = 0.3 K" }'
    bench = Bench(tmp_path_factory.mktemp("hostile"), label=URDU, more=calibration)
    bench.observe(0, *([-80.0] * 10), *([-60.5] * 5), *([-80.25] * 5))
    bench.observe(30, *([-80.0] * 31))
    for n, words in enumerate(HOSTILE):
        bench.alarm("acknowledged", 10 + n, "freezer-warm.freezer-1.temperature", by=words, why=words)
    bench.alarm("raised", 11, "freezer-warm.freezer-1.temperature")
    bench.seal()
    return bench


def tables(sheet: bytes) -> dict[str, list[list[str]]]:
    """Each table of the sheet by its name, its columns first."""
    found: dict[str, list[list[str]]] = {}
    for name, *row in csv.reader(io.StringIO(sheet.decode("utf-8-sig"), newline="")):
        found.setdefault(name, []).append(row)
    return found


def test_the_sheet_read_back_has_the_reports_numbers(bench: Bench) -> None:
    report, sheet = bench.report(), tables(bench.written("csv"))
    figures = {row[0]: row[1] for row in sheet["figures"]}
    assert float(figures["minimum"]) == -80.25
    assert float(figures["maximum"]) == -60.5
    assert float(figures["mean kinetic temperature"]) == pytest.approx(report.whole.kinetic, abs=1e-6)
    assert (figures["minutes above"], figures["minutes unknown"], figures["samples"]) == ("5.0", "11.0", "50")
    (excursion,) = (dict(zip(sheet["excursions"][0], row, strict=True)) for row in sheet["excursions"][1:])
    assert excursion["start"] == "2025-03-01T00:10:00+00:00"
    assert (excursion["minutes"], excursion["extreme"], excursion["unit-minutes outside"]) == ("5.0", "-60.5", "47.5")
    assert sheet["gaps"][1] == ["2025-03-01T00:19:00+00:00", "2025-03-01T00:30:00+00:00", "11.0"]
    assert len(sheet["trace"]) == 1 + len(report.parts)
    assert sheet["proof"][-1][1] == report.proof.head


def test_no_cell_of_the_sheet_is_a_formula_and_numbers_are_numbers(bench: Bench) -> None:
    sheet = tables(bench.written("csv"))
    cells = [cell for rows in sheet.values() for row in rows for cell in row]
    for cell in cells:
        if cell.lstrip()[:1] in ("=", "+", "-", "@") and cell != "-":
            float(cell)  # a number: nothing else may begin so
    said = [row[4] for row in sheet["alarms"][1:]]
    assert {one.removeprefix("'").replace("\n", "") for one in said} >= {"=1+1".rjust(5), "-2+3", "@SUM(A1)", URDU}
    assert sheet["calibration"][4] == ["certificate", "'=1+1"]


@given(st.text(max_size=30))
def test_any_words_come_back_from_the_sheet(words: str) -> None:
    cell = _cell(words)
    assert isinstance(cell, str)
    written = io.StringIO()
    csv.writer(written).writerow(("x", cell))
    back = next(csv.reader(io.StringIO(written.getvalue(), newline="")))[1]
    assert back.removeprefix("'") == words.replace("\0", "").removeprefix("'") or back == words.replace("\0", "")
    assert words == "-" or not back.lstrip().startswith(("=", "+", "-", "@"))


class Page(HTMLParser):
    """What a page is made of, and its text with the direction it is read in."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.loose: list[str] = []  # text outside tokens, styles and drawings
        self.tokens: list[str] = []
        self.stack: list[tuple[str, str]] = []
        self.rows: list[list[str]] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}
        if tag not in ("meta", "line", "rect", "polygon"):
            self.stack.append((tag, dict(attrs).get("dir") or ""))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if self.stack and self.stack[-1][0] == tag:
            self.stack.pop()

    def handle_data(self, data: str) -> None:
        open_tags = {tag for tag, _ in self.stack}
        if self.rows and open_tags & {"td", "th"}:
            self.rows[-1][-1] += data
        if open_tags & {"style", "svg", "title"}:
            return
        (self.tokens if ("bdi", "ltr") in self.stack else self.loose).append(data)


def test_the_page_has_no_script_and_fetches_nothing(bench: Bench) -> None:
    page = Page(bench.written("html", "<now>"))
    assert not page.tags & {"script", "img", "iframe", "object", "link", "form", "input", "b"}
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "style", "xlink:href")]
    assert {value for name, value in page.attributes if name == "href"} == {"#trace"}
    assert "url(http" not in bench.written("html").decode()
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08]", bench.written("html").decode())


def test_every_hostile_word_is_there_as_a_word(bench: Bench) -> None:
    said = [row[4] for row in Page(bench.written("html")).rows if len(row) == 6 and row[2] == "acknowledged"]
    assert len(said) == len(HOSTILE)
    for words in HOSTILE:
        assert re.sub("[\u202a-\u202e\u0000\u0007\r]", "\ufffd", words) in said


def test_a_number_on_the_page_is_one_token_from_left_to_right(bench: Bench) -> None:
    page = Page(bench.written("html"))
    assert not [one for one in page.loose if re.search(r"\d", one)]
    assert {"-80.25 \u00b0C", "-60.5 \u00b0C", "-80"} <= set(page.tokens)


def test_the_page_says_what_the_trace_shows(bench: Bench) -> None:
    text = bench.written("html").decode()
    assert 'role="img" aria-labelledby="trace-title trace-tells"' in text
    assert "Trace of temperature in \u00b0C</title>" in text
    assert "Overdue: calibration was due on" in text
    rows = Page(text.encode()).rows
    assert ["from", "minutes", "samples", "minimum", "maximum", "mean", "in range", "above", "below", "unknown"] in rows
    assert ["minutes unknown", "11"] in rows


def words_of(paper: bytes) -> str:
    """The text of a PDF, out of its page streams."""
    found = []
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", paper, re.DOTALL):
        try:
            page = zlib.decompress(stream)
        except zlib.error:
            continue
        found += [
            re.sub(rb"\\([()\\])", rb"\1", words).decode("latin-1")
            for words in re.findall(rb"\(((?:\\.|[^\\()])*)\) ?Tj", page, re.DOTALL)
        ]
    return "\n".join(found).replace("\xa0", " ")


def test_the_paper_says_what_the_page_says(bench: Bench) -> None:
    paper = bench.written("pdf")
    text = words_of(paper)
    for section in Page(bench.written("html")).rows:
        if len(section) == 2 and section[0] not in ("label", "time zone"):
            assert section[0] in text, section
            assert section[1].split("\n")[0] in text, section
    assert "-80.25 \u00b0C" in text
    assert "Equipment report: -80 ????? ???" in text
    assert 'Letters this font does not have stand as "?"' in text
    assert re.search(rb"/MediaBox \[0 0 595\.\d+ 841\.\d+\]", paper)
    assert b"/CreationDate (D:20250301010000Z" in paper  # the end of the period: the same bytes whenever it is made
    assert b"/JavaScript" not in paper
    assert b"/URI" not in paper
    assert b"/FontFile" not in paper


def test_a_paper_without_foreign_letters_does_not_speak_of_them(tmp_path: Path) -> None:
    bench = Bench(tmp_path, label="K\u00fchlschrank \u2212 80")
    bench.observe(0, *([-80.0] * 61))
    text = words_of(bench.written("pdf"))
    assert "K\u00fchlschrank - 80" in text
    assert "Letters this font" not in text


def test_the_json_is_the_report(bench: Bench) -> None:
    told = json.loads(bench.written("json"))
    assert told["report"]["whole"]["above"] == 300.0
    assert told["report"]["excursions"][0]["start"] == "2025-03-01T00:10:00Z"
    assert len(told["report"]["trace"]["low"]) == 600
    assert "made" not in told


def test_hostile_names_of_quantities_and_units_are_words_everywhere(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for words in HOSTILE:
        name = words.replace("\0", "")
        bench.observe(0, *([5.0] * 61), quantity=name, unit=name)
        page = Page(bench.written("html", quantity=name, high=4.0))
        assert not page.tags & {"script", "img", "b"}
        for row in tables(bench.written("csv", quantity=name))["equipment"]:
            assert not row[1].lstrip().startswith(("=", "+", "@"))
        assert bench.written("pdf", quantity=name).startswith(b"%PDF-")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_written_to_its_third_digit(value: float) -> None:
    text = number(value).text
    assert float(text) == pytest.approx(value, abs=0.0005, rel=1e-5)
    assert text != "-0"


VALUES = st.lists(st.floats(-1e15, 1e15, allow_nan=False) | st.just(1e308), min_size=1, max_size=30)


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return Bench(tmp_path_factory.mktemp("blank")).report()


@given(VALUES, st.floats(-1e9, 1e9) | st.none())
def test_whatever_the_values_the_trace_is_drawn_inside_its_frame(
    blank: Report, values: list[float], high: float | None
) -> None:
    low: list[float | None] = [*values, *[None] * (600 - len(values))]
    report = replace(
        blank, high=high, trace=replace(blank.trace, low=low, high=low),
        whole=replace(blank.whole, low=min(values), high=max(values)),
    )  # fmt: skip
    drawn = plot(report)
    points = [point for outline in drawn.outlines for point in outline]
    assert points
    assert all(-0.001 <= x <= 1.001 and -0.001 <= y <= 1.001 for x, y in points)
    assert all(-0.001 <= mark.at <= 1.001 for mark in (*drawn.values, *drawn.limits, *drawn.times))
    assert 1 <= len(drawn.values) <= 12
    assert as_html(report, "")
    assert as_csv(report, "")


DOCUMENT = (Path(__file__).parent.parent.parent / "docs" / "reports.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", re.findall(r"^    assaygate (report .*)$", DOCUMENT, re.MULTILINE))
def test_a_command_of_the_document_is_taken(bench: Bench, tmp_path: Path, line: str) -> None:
    config = tmp_path / "lab.toml"
    config.write_text(bench.text)
    words = [{"FILE": str(config)}.get(word, word) for word in line.split()]
    device = words[3]
    words[3] = "freezer-1"
    if "-o" in words:
        words[-1] = str(tmp_path / "out")
    if "--quantity" in words:
        words[words.index("--quantity") + 1] = "temperature"
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, (device, done.output)
    assert "-o" not in words or (tmp_path / "out").stat().st_size > 1000


def test_the_document_tells_of_every_option() -> None:
    for option in main.commands["report"].params:
        if option.name not in ("config_path", "output", "device"):
            assert any(flag in DOCUMENT for flag in option.opts), option.opts
