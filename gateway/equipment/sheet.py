"""A report as comma-separated values, and as JSON."""

from __future__ import annotations

import csv
import io

import orjson

from gateway.equipment.report import Report
from gateway.equipment.sections import Cell, Section, sections, verdict

FORMULA = ("=", "+", "-", "@")  # a spreadsheet would take such a text for one


def as_csv(report: Report, made: str) -> bytes:
    """Tables one below the other: the first cell of a row names its table, the first row of a table its columns.

    UTF-8 with a mark, so that spreadsheets read it as such.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    for section in (Section("verdict", "", (), [("verdict", verdict(report))]), *sections(report, made)):
        writer.writerow((section.key, *(section.columns or ("name", "value"))))
        for row in section.rows:
            writer.writerow((section.key, *map(_cell, row)))
        for said in section.said:
            writer.writerow((f"{section.key} note", said))
    return b"\xef\xbb\xbf" + text.getvalue().encode("utf-8", "replace")


def _cell(cell: Cell) -> str | float | int:
    """Numbers stay numbers; a text is a text."""
    told = cell if isinstance(cell, str) else cell.text if cell.raw is None else cell.raw
    if not isinstance(told, str):
        return told
    told = told.replace("\0", "")
    return f"'{told}" if told != "-" and told.lstrip().startswith(FORMULA) else told


def as_json(report: Report, made: str) -> bytes:
    """The report's own fields; see docs/reports.md."""
    told = {"made": made} if made else {}
    return orjson.dumps({**told, "verdict": verdict(report), "report": report}, option=_OPTIONS) + b"\n"


_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z
