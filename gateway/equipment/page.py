"""A report as one page: no script, nothing fetched, to be printed on A4. Every text is escaped."""

from __future__ import annotations

import re
from html import escape
from typing import Final

from gateway.equipment.plot import Plot, plot
from gateway.equipment.report import Report
from gateway.equipment.sections import Cell, Section, sections, unit_sign, verdict
from gateway.equipment.style import STYLE

WIDTH, HEIGHT = 1000.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 12.0, 20.0, 30.0

# Numbers, dates and times inside anybody's words: in a text from right to left a sign would change sides.
_NUMBER: Final = re.compile(r"([+\-\u2212]?\d[\d.,:/+\-\u2212TZ]*)")
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff\u202a-\u202e\u2066-\u2069]")
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def as_html(report: Report, made: str) -> bytes:
    """UTF-8."""
    found = sections(report, made)
    name = report.label or report.device
    title = f"Equipment report {report.device} {report.quantity}"
    bad = report.excursion_count or report.whole.unknown
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>",
        f"<h1>Equipment report: <bdi>{_text(name)}</bdi></h1>",
        f'<p class="verdict{" bad" if bad else ""}">{_text(verdict(report))}</p>',
        f'<p class="verdict{"" if report.calibration.holds else " bad"}">{_text(report.calibration.verdict)}</p>',
        _figure(report),
        *map(_section, found),
        "</main></body></html>\n",
    ]
    return "\n".join(parts).encode("utf-8", "replace")


def _text(words: str) -> str:
    """Anybody's words, each number in it kept from left to right."""
    pieces = _NUMBER.split(_CONTROL.sub("\ufffd", words))
    return "".join(_token(piece) if place % 2 else escape(piece) for place, piece in enumerate(pieces))


def _token(text: str) -> str:
    return f'<bdi dir="ltr" class="n">{escape(text)}</bdi>'


def _cell(cell: Cell) -> str:
    return f"<bdi>{_text(cell)}</bdi>" if isinstance(cell, str) else _token(cell.text)


def _section(section: Section) -> str:
    said = "".join(f"<p>{_text(one)}</p>" for one in section.said)
    return f'<section id="{section.key}"><h2>{escape(section.title)}</h2>{said}{_table(section)}</section>'


def _table(section: Section) -> str:
    if not section.rows:
        return "<p>None.</p>" if section.columns else ""
    caption = f'<table aria-label="{escape(section.title)}">'
    if not section.columns:
        rows = "".join(
            f'<tr><th scope="row">{_cell(name)}</th><td>{_cell(value)}</td></tr>' for name, value in section.rows
        )
        return f"{caption}<tbody>{rows}</tbody></table>"
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in section.columns)
    rows = "".join("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in section.rows)
    return f'<div class="wide">{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _figure(report: Report) -> str:
    drawn = plot(report)
    unit = unit_sign(report.unit)
    name = f"{report.quantity}{f' in {unit}' if unit else ''}"
    tells = (
        f"{verdict(report)} Shaded: out of range. Hatched: unknown. Triangles: alarms raised."
        " The section Course has it in numbers."
    )
    return (
        f'<figure><svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-labelledby="trace-title trace-tells">'
        f'<title id="trace-title">{_plain(f"Trace of {name}")}</title><desc id="trace-tells">{_plain(tells)}</desc>'
        f"{_defs()}{_shapes(drawn)}</svg>"
        f"<figcaption>{_text(name)}, least and most of each moment; time in {escape(report.timezone)}. Shaded: out of"
        ' range. Hatched: unknown. Triangles: alarms raised. <a href="#trace">The same in numbers</a>.'
        "</figcaption></figure>"
    )


def _plain(words: str) -> str:
    return escape(_CONTROL.sub("\ufffd", words))


def _defs() -> str:
    return (
        '<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<line class="hatch" x1="0" y1="0" x2="0" y2="7"/></pattern></defs>'
    )


def _x(place: float) -> float:
    return round(LEFT + place * (WIDTH - LEFT - RIGHT), 2)


def _y(place: float) -> float:
    return round(TOP + place * (HEIGHT - TOP - BOTTOM), 2)


def _shapes(drawn: Plot) -> str:
    bottom, right = _y(1), _x(1)
    made = [
        f'<rect class="{one.kind}" x="{_x(one.start)}" y="{TOP:g}" width="{max(1.0, _x(one.end) - _x(one.start)):.2f}"'
        f' height="{bottom - TOP:g}"/>'
        for one in drawn.bands
    ]
    for one in drawn.values:
        made.append(f'<line class="grid" x1="{LEFT:g}" x2="{right}" y1="{_y(one.at)}" y2="{_y(one.at)}"/>')
        made.append(_word(LEFT - 6, _y(one.at) + 4, "end", one.text))
    for one in drawn.times:
        made.append(f'<line class="grid" x1="{_x(one.at)}" x2="{_x(one.at)}" y1="{bottom}" y2="{bottom + 5}"/>')
        made.append(_word(_x(one.at), bottom + 18, "start", one.text))
    for outline in drawn.outlines:
        points = " ".join(f"{_x(x)},{_y(y)}" for x, y in outline)
        made.append(f'<polygon class="trace" points="{points}"/>')
    for one in drawn.limits:
        made.append(f'<line class="limit" x1="{LEFT:g}" x2="{right}" y1="{_y(one.at)}" y2="{_y(one.at)}"/>')
        made.append(_word(right - 4, _y(one.at) - 5, "end", one.text, "limit-word"))
    for one in drawn.alarms:
        x = _x(one.at)
        made.append(
            f'<polygon class="alarm" points="{x - 5},{TOP - 12} {x + 5},{TOP - 12} {x},{TOP - 2}">'
            f"<title>{_plain(one.text)}</title></polygon>"
        )
    made.append(f'<rect class="frame" x="{LEFT:g}" y="{TOP:g}" width="{right - LEFT:g}" height="{bottom - TOP:g}"/>')
    return "".join(made)


def _word(x: float, y: float, anchor: str, text: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} direction="ltr" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{_plain(text)}</text>'
