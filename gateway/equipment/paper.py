"""A report as PDF, A4, the trace drawn as vectors.

The letters are Helvetica, which every reader of PDF has, so none is brought along: it has Latin-1. Other letters
(Urdu, Chinese) become "?", and a line says so; the device's id, numbers and times are never among them. Without letters
from right to left no number can be turned round either.
"""

from __future__ import annotations

import re
from typing import Final
from zoneinfo import ZoneInfo

from fpdf import FPDF, FontFace
from fpdf.enums import TableBordersLayout, XPos, YPos

from gateway.equipment.plot import Plot, plot
from gateway.equipment.report import Report
from gateway.equipment.sections import Cell, Section, local, sections, unit_sign, verdict

MARGIN, FOOT = 14.0, 16.0  # mm
HEIGHT: Final = 62.0  # of the trace
LEFT: Final = 14.0  # of its scale

INK, SOFT, LINE = (26, 29, 33), (86, 94, 104), (200, 206, 213)
TRACE, OUT, OUT_FILL = (31, 95, 168), (183, 28, 28), (246, 201, 197)

_ALIKE: Final = str.maketrans(
    {
        "\u2212": "-",
        "\u2013": "-",
        "\u2014": "-",
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "Ω": "Ohm",
    }
)
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


def as_pdf(report: Report, made: str) -> bytes:
    """The same bytes for the same report: its date is the end of the period."""
    paper = _Paper(report)
    paper.heading(f"Equipment report: {report.label or report.device}", 15)
    paper.sentence(verdict(report), bold=True)
    paper.sentence(report.calibration.verdict, bold=not report.calibration.holds)
    paper.trace()
    for section in sections(report, made):
        paper.section(section)
    if paper.replaced:
        paper.sentence('Letters this font does not have stand as "?": the page (HTML) and the sheet (CSV) have them.')
    return bytes(paper.output())


class _Paper(FPDF):
    def __init__(self, report: Report) -> None:
        super().__init__(format="A4")
        self._report = report
        self.replaced = False
        self.set_margins(MARGIN, MARGIN)
        self.set_auto_page_break(True, FOOT)
        self.set_creation_date(report.until)
        self.set_title(f"Equipment report {report.device} {self.latin(report.quantity)}")
        self.set_lang("en")
        self.add_page()

    def latin(self, words: str) -> str:
        """What Helvetica has of it."""
        alike = _CONTROL.sub(" ", words.translate(_ALIKE))
        made = alike.encode("latin-1", "replace").decode("latin-1")
        self.replaced = self.replaced or made != alike
        return made

    def footer(self) -> None:
        report = self._report
        zone = ZoneInfo(report.timezone)
        period = f"{local(report.since, zone).text} to {local(report.until, zone).text}"
        self.set_y(-FOOT + 4)
        self._letters(7, SOFT)
        self.cell(0, 4, self.latin(f"{report.site}  {report.device} {report.quantity}  {period}"))
        self.set_x(MARGIN)
        self.cell(0, 4, f"{self.page_no()} of {{nb}}", align="R")

    def heading(self, words: str, size: float) -> None:
        self._letters(size, INK, bold=True)
        self._words(words, size * 0.45)

    def sentence(self, words: str, *, bold: bool = False) -> None:
        self._letters(9 if bold else 8, INK if bold else SOFT, bold=bold)
        self._words(words, 4.2)

    def _words(self, words: str, line: float) -> None:
        self.multi_cell(0, line, self.latin(words), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _letters(self, size: float, colour: tuple[int, int, int], *, bold: bool = False) -> None:
        self.set_font("helvetica", "B" if bold else "", size)
        self.set_text_color(*colour)

    def section(self, section: Section) -> None:
        """Its heading stays with what follows."""
        if self.will_page_break(30):
            self.add_page()
        self.ln(3)
        self.heading(section.title, 11)
        for said in section.said:
            self.sentence(said)
        if section.rows:
            self._table(section)
        elif section.columns:
            self.sentence("None.")

    def _table(self, section: Section) -> None:
        rows = [[self._cell(cell) for cell in row] for row in section.rows]
        self._letters(7.5, INK)
        self.set_draw_color(*LINE)
        self.set_fill_color(255)
        widths = self._widths([list(section.columns), *rows]) if section.columns else (3, 9)
        with self.table(
            first_row_as_headings=bool(section.columns),
            headings_style=FontFace(emphasis="BOLD", color=SOFT),
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            col_widths=widths,
            line_height=3.6,
            text_align="LEFT",
            padding=0.6,
        ) as table:
            if section.columns:
                table.row(list(section.columns))
            for row in rows:
                table.row(row)

    def _cell(self, cell: Cell) -> str:
        """A token is not broken over two lines."""
        return self.latin(cell) if isinstance(cell, str) else self.latin(cell.text).replace(" ", "\xa0")

    def _widths(self, rows: list[list[str]]) -> tuple[float, ...]:
        """As wide as the longest text; where that is more than the page, the widest columns give way."""
        widths = [max(self.get_string_width(cell) for cell in column) + 4 for column in zip(*rows, strict=True)]
        most = max(widths)
        while sum(min(width, most) for width in widths) > self.epw:
            most -= 1
        return tuple(min(width, most) for width in widths)

    # ---- the trace

    def trace(self) -> None:
        drawn = plot(self._report)
        self.ln(3)
        self._top, self._wide = self.get_y() + 4, self.epw - LEFT
        self._bands(drawn)
        self._scale(drawn)
        self.set_fill_color(*TRACE)
        self.set_draw_color(*TRACE)
        self.set_line_width(0.25)
        for outline in drawn.outlines:
            self.polygon([(self._x(x), self._y(y)) for x, y in outline], style="DF")
        self._limits(drawn)
        self.set_draw_color(*LINE)
        self.rect(self._x(0), self._top, self._wide, HEIGHT)
        self.set_xy(MARGIN, self._top + HEIGHT + 6)
        unit = unit_sign(self._report.unit)
        self.sentence(
            f"{self._report.quantity}{f' in {unit}' if unit else ''}, least and most of each moment; time in "
            f"{self._report.timezone}. Shaded: out of range. Hatched: unknown. Triangles: alarms raised."
        )

    def _x(self, place: float) -> float:
        return MARGIN + LEFT + place * self._wide

    def _y(self, place: float) -> float:
        return self._top + place * HEIGHT

    def _bands(self, drawn: Plot) -> None:
        self.set_fill_color(*OUT_FILL)
        self.set_draw_color(*SOFT)
        self.set_line_width(0.15)
        for band in drawn.bands:
            x, width = self._x(band.start), max(0.2, (band.end - band.start) * self._wide)
            if band.kind == "out":
                self.rect(x, self._top, width, HEIGHT, style="F")
                continue
            with self.rect_clip(x, self._top, width, HEIGHT):
                for step in range(int((width + HEIGHT) / 2) + 1):
                    self.line(x + step * 2, self._top, x + step * 2 - HEIGHT, self._top + HEIGHT)

    def _scale(self, drawn: Plot) -> None:
        self._letters(7, SOFT)
        self.set_draw_color(*LINE)
        for one in drawn.values:
            self.line(self._x(0), self._y(one.at), self._x(1), self._y(one.at))
            self.text(self._x(0) - 1.5 - self.get_string_width(one.text), self._y(one.at) + 1, one.text)
        for one in drawn.times:
            self.line(self._x(one.at), self._top + HEIGHT, self._x(one.at), self._top + HEIGHT + 1)
            self.text(self._x(one.at), self._top + HEIGHT + 4, one.text)

    def _limits(self, drawn: Plot) -> None:
        self._letters(7, OUT)
        self.set_draw_color(*OUT)
        self.set_fill_color(*OUT)
        self.set_dash_pattern(1.5, 1)
        for one in drawn.limits:
            self.line(self._x(0), self._y(one.at), self._x(1), self._y(one.at))
            words = self.latin(one.text)
            self.text(self._x(1) - 1 - self.get_string_width(words), self._y(one.at) - 1, words)
        self.set_dash_pattern()
        for one in drawn.alarms:
            x = self._x(one.at)
            self.polygon([(x - 1, self._top - 2.5), (x + 1, self._top - 2.5), (x, self._top - 0.5)], style="F")
