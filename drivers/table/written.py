"""What a simulated instrument exports: one file a message, of the declared form."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from drivers.kit import spreadsheets
from drivers.kit.declare import Quantity
from drivers.kit.payload import path, slug
from drivers.kit.tables import Ref, plain
from drivers.table.options import META, Refs, Result, Rule, TableOptions, filled, holes_of, place


def named(one: Result, test: str) -> str:
    """The result's name, where every column it is made of says `test`."""
    if one.split:
        return test
    if one.test:
        return filled(one.test, dict.fromkeys(holes_of(one.test), test))
    return test or str((*one.value, *one.call)[0])


def panel(options: TableOptions) -> Sequence[str]:
    """The tests a file speaks of: one a row."""
    wanted = bool(options.test) or any(one.split or holes_of(one.test) for one in options.results)
    return options.panel if wanted else ("",)


def observes(options: TableOptions) -> tuple[Quantity, ...]:
    """The declared results, of each test the simulator knows."""
    return tuple(
        Quantity(
            name=one.quantity or slug(named(one, test)),
            kind=options.kind_of_row,
            field=named(one, test),
            words=one.words or (() if one.value else ("positive", "negative")),
            low=one.low,
            high=one.high,
            step=one.step if one.step is not None or one.words else 0.01,
        )
        for test in panel(options)
        for one in options.results
        if one.simulated
    )


def encode(drawn: Mapping[str, Any], options: TableOptions) -> bytes:
    """One file: what stands before the table, a header, and the rows of one draw. Errors: ImportError for workbooks
    without the extra."""
    together = next((one for one in options.results if one.split), None)
    if together:
        rows = [_joined(drawn, together, options)]
    else:
        rows = [row for test in panel(options) for row in _rows(drawn, test, options)]
    match options.format:
        case "json":
            return _json(rows, options)
        case "xml":
            return _xml(rows, options)
    lines = _lines(rows, options)
    if options.format == "pairs":
        lines = [[name, cell] for row in rows for name, cell in ((str(ref), cell) for ref, cell in row.items()) if cell]
    if options.format == "xlsx":
        return spreadsheets.write({options.sheet or "Results": [list(line) for line in lines]})
    written = io.StringIO()
    writer = csv.writer(
        written,
        delimiter=options.separator,
        quotechar=options.quote or None,
        quoting=csv.QUOTE_MINIMAL if options.quote else csv.QUOTE_NONE,
        escapechar=None if options.quote else "\\",
        lineterminator="\r\n",
    )
    writer.writerows(lines)
    return written.getvalue().encode(options.encoding[0], "replace")


def _results(drawn: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    readings = drawn.get("readings") or {}
    return [*drawn.get("results", ()), *({"quantity": name, "value": value} for name, value in readings.items())]


def _rows(drawn: Mapping[str, Any], test: str, options: TableOptions) -> list[dict[Ref, str]]:
    """The rows of one test: one, or one a result where results stand in rows of their own."""
    found = []
    for one in (one for one in options.results if one.simulated):
        row, name = _common(drawn, test, options), named(one, test)
        for result in _results(drawn):
            if result.get("test", name) == name and result.get("quantity") == (one.quantity or slug(name)):
                _say(row, one, result, options)
                found.append((one, row))
                break
    if not any(one.when for one, _ in found):
        together: dict[Ref, str] = {}
        for _, row in found:
            together |= row
        return [together] if together else []
    return [row for _, row in found]


def _joined(drawn: Mapping[str, Any], one: Result, options: TableOptions) -> dict[Ref, str]:
    """The row of a file that says all results in one cell."""
    row = _common(drawn, options.panel[0], options)
    said = (
        f"{result.get('test')} {str(result.get('interpretation')).replace('-', ' ').upper()}"
        for result in _results(drawn)
        if result.get("test") in options.panel
    )
    row[(*one.call, *one.value)[0]] = one.split.join(said)
    return row


def _say(row: dict[Ref, str], one: Result, result: Mapping[str, Any], options: TableOptions) -> None:
    value = result.get("value")
    if one.value and value is not None:
        row[one.value[0]] = str(value)
    call = result.get("interpretation")
    if call is not None:
        spoken = {meaning: word for word, meaning in options.calls.items()}
        row[(one.call or one.value)[0]] = spoken.get(str(call), str(call))
    if one.unit_column:
        row[one.unit_column[0]] = str(result.get("unit") or one.unit or "mg/L")
    if one.when:
        column, rule = one.when.column[0], one.when
        row[column] = row.get(column) or ("x" if rule.filled else (rule.equals or ("",))[0])
        if rule.filled is False:
            row[column] = ""


def _common(drawn: Mapping[str, Any], test: str, options: TableOptions) -> dict[Ref, str]:
    control = drawn.get("kind") == "qc"
    row: dict[Ref, str] = {}

    def put(refs: Refs, said: object) -> None:
        if refs and said is not None:
            row[refs[0]] = str(said)

    put(options.test, test)
    for one in options.results:
        for hole in holes_of(one.test):
            if hole != "test":
                row[place(hole, options)] = test
    specimen = drawn.get("specimen")
    if control and options.qc_names and specimen and not options.kind:
        specimen = f"{options.qc_names[0]}-{specimen}"
    put(options.specimen, specimen)
    for name in ("patient", "operator", "lot", "lot_expiry", "run"):
        put(getattr(options, name), drawn.get(name))
    put(options.well, "A1")
    if options.kind:
        put(options.kind, (options.qc or ("Control",))[0] if control else options.samples[0])
    moment = drawn["time"]
    put(options.date, f"{moment:%Y-%m-%d}")
    zone = next(iter(options.zones), "")
    said = f"{moment:%H:%M:%S}" if options.date else f"{moment:%Y-%m-%d %H:%M:%S}"
    if options.measures == "reading":
        said += f".{moment.microsecond // 1000:03d}"
    put(options.time, f"{said} {zone}".strip())
    for check in options.checks:
        put(check.column, check.words[0])
    for rule in options.ignore_rows:
        _not(row, rule)
    said_by_results = {ref for one in options.results for ref in (*one.value, *one.call)}
    for ref in options.key:
        if ref not in said_by_results:
            row.setdefault(ref, "1")
    return row


def _not(row: dict[Ref, str], rule: Rule) -> None:
    """A cell that keeps the row from being ignored."""
    cell = row.get(rule.column[0], "")
    if rule.fits(cell):
        row[rule.column[0]] = "x" if not rule.fits("x") else ""


def _lines(rows: list[dict[Ref, str]], options: TableOptions) -> list[list[str]]:
    """Rows of cells, what the preamble says before them."""
    meta = {str(ref)[len(META) :]: cell for row in rows for ref, cell in row.items() if str(ref).startswith(META)}
    lines: list[list[str]] = [[] for _ in range(options.skip)]
    for name, value in meta.items():
        match options.preamble:
            case "cells":
                lines.append([name, value])
            case "colon":
                lines.append([f"{name}: {value}"])
            case _:
                lines.append([f"* {name} = {value}"])
    if options.section:
        lines.append([options.section])
    refs = _columns(rows, options)
    if options.header is not False:
        lines.append([str(ref).partition("#")[0] for ref in refs])
    lines.extend([row.get(ref, "") for ref in refs] for row in rows)
    return lines


def _columns(rows: list[dict[Ref, str]], options: TableOptions) -> list[Ref]:
    """Every column of the rows, and those the header must have; the second of a name after the first."""
    wanted = dict.fromkeys(ref for row in rows for ref in row if not str(ref).startswith(META))
    if options.header is False:
        width = max([options.width, *(ref for ref in wanted if isinstance(ref, int))])
        return list(range(1, width + 1))
    required = options.header if isinstance(options.header, tuple) else ()
    columns = [refs for one in options.results for refs in (one.value, one.call, one.unit_column)]
    for refs in (*required, *columns, options.specimen, options.time, options.test):
        if refs and not any(ref in wanted or str(ref).startswith(META) for ref in refs):
            wanted[refs[0]] = None
    named_ = [ref for ref in wanted if isinstance(ref, str)]
    for ref in named_:
        if "#" in ref:
            wanted.setdefault(ref.partition("#")[0], None)
    unique = {plain(str(ref)): ref for ref in wanted}
    return sorted(unique.values(), key=lambda ref: (isinstance(ref, str), str(ref).rpartition("#")[2].isdecimal()))


def _json(rows: list[dict[Ref, str]], options: TableOptions) -> bytes:
    objects = []
    for row in rows:
        made: dict[str, Any] = {}
        for ref, cell in row.items():
            parts = path(ref).parts if isinstance(ref, str) and ref.startswith("$") else (str(ref),)
            at = made
            for part in parts[:-1]:
                at = at.setdefault(str(part), {})
            at[str(parts[-1])] = cell
        objects.append(made)
    told: Any = objects[0] if len(objects) == 1 else objects
    for part in reversed(path(options.rows).parts):
        told = {str(part): told}
    return json.dumps(told, ensure_ascii=False).encode()


def _xml(rows: list[dict[Ref, str]], options: TableOptions) -> bytes:
    root = Element("Export")
    for row in rows:
        chain = [root]
        for step in options.rows.split("/"):
            chain.append(SubElement(chain[-1], step))
        for ref, cell in row.items():
            way, _, attribute = str(ref).partition("@")
            at = list(chain)
            for step in (step for step in way.split("/") if step):
                if step == "..":
                    at.pop()
                    continue
                below = at[-1].find(step)
                at.append(SubElement(at[-1], step) if below is None else below)
            if attribute:
                at[-1].set(attribute, cell)
            else:
                at[-1].text = cell
    written: bytes = tostring(root, encoding="utf-8")
    return written
