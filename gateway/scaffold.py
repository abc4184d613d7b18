"""From a recording of an instrument nobody knows to a driver's folder: a declaration to correct, and its first case."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import drivers
from drivers.kit import recording
from drivers.kit.declare import Driver, Message
from drivers.kit.exchange import DecodeError
from drivers.kit.observation import Draft, Kind
from drivers.kit.recognise import Column, Recognised, recognise
from drivers.kit.recording import HEAD, Piece
from gateway.units import from_text

MOST_TESTS: Final = 40
MOST_KINDS: Final = 12  # kinds of lines that are declared; more are no format
NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NUMBER = re.compile(r"(?<![\w.,])[-+]?\d+(?:[.,]\d+)?(?![\w])")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")


@dataclass(slots=True)
class Spot:
    """A place in a kind of line where what stands differs."""

    group: str
    pattern: str
    quantity: str = ""  # "" for what is no value
    unit: str = ""
    seen: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Shape:
    """A kind of line: literals and spots, one after the other."""

    parts: list[str | Spot]

    @property
    def spots(self) -> list[Spot]:
        return [part for part in self.parts if isinstance(part, Spot)]

    @property
    def values(self) -> list[Spot]:
        return [spot for spot in self.spots if spot.quantity]

    def expression(self) -> str:
        return "".join(_literal(p) if isinstance(p, str) else f"(?P<{p.group}>{p.pattern})" for p in self.parts)

    def template(self) -> str:
        return "".join(part if isinstance(part, str) else f"{{{part.group}}}" for part in self.parts)


def _literal(text: str) -> str:
    return re.sub(r"(\\ )+", lambda match: " +" if len(match[0]) > 2 else " ", re.escape(text))


def pieces_of(path: Path) -> list[Piece]:
    """A recording's pieces; of any other file its bytes as one piece from the instrument. Errors: RecordingError."""
    data = path.read_bytes()
    if data.startswith(HEAD.encode()):
        return list(recording.read(data.decode("utf-8")))
    return [Piece(0.0, True, data)]


def look(path: Path) -> tuple[list[Piece], Recognised]:
    """The recording, and what its instrument's side looks like."""
    pieces = pieces_of(path)
    said = b"".join(piece.data for piece in pieces if piece.incoming)
    return pieces, recognise(said, next((piece.channel for piece in pieces if piece.channel), ""))


def configuration(pieces: Sequence[Piece], seen: Recognised) -> list[str]:
    """A [[devices]] table for what a known driver reads, with the tests it spoke of."""
    driver = drivers.load(seen.driver)
    options = driver.trial(given={k: v for k, v in seen.options.items() if k in driver.options.model_fields})
    tests: dict[str, None] = {}
    try:
        for heard in recording.play(driver.host(options), pieces):
            if isinstance(heard, Message):
                drafts = list(driver.decode(heard, options))
                tests |= {draft.test: None for draft in drafts if draft.kind in (Kind.RESULT, Kind.QC)}
    except DecodeError:
        pass  # what can be read of it is named all the same
    lines = ["[[devices]]", 'id = "NAME"', f'driver = "{seen.driver}"', "link = { ... }"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in seen.options.items()]
    return lines + [f'tests.{json.dumps(test)} = {{ quantity = "..." }}' for test in list(tests)[:MOST_TESTS]]


def shapes(seen: Recognised) -> list[Shape]:
    """The kinds of lines that were seen. Errors: LookupError where there is no format to be seen."""
    if seen.delimiter:
        rows = [line for line in seen.lines if line.count(seen.delimiter) == len(seen.columns) - 1]
        return [_delimited(rows, seen.delimiter, seen.columns)]
    kinds: dict[str, list[str]] = {}
    for line in seen.lines:
        kinds.setdefault(_NUMBER.sub("#", re.sub(r" +", " ", line.strip())), []).append(line.strip())
    if len(kinds) > MOST_KINDS:
        raise LookupError(
            f"{len(kinds)} kinds of lines: no format to be seen. Record more of fewer things, or declare the lines "
            "yourself: `assaygate drivers text-lines`."
        )
    return [_labelled(lines) for lines in kinds.values()]


def _delimited(rows: Sequence[str], delimiter: str, columns: Sequence[Column]) -> Shape:
    parts: list[str | Spot] = []
    taken: set[str] = set()
    cut = [[cell.strip() for cell in row.split(delimiter)] for row in rows]
    counters = {column.at for column in columns if _counts([row[column.at - 1] for row in cut])}
    numbers = [column.at for column in columns if column.kind == "number" and column.at not in counters]
    for column in columns:
        cells = [row[column.at - 1] for row in cut]
        if parts:
            parts.append(delimiter)
        role = "run" if column.at in counters else _role(column, numbers, taken)
        spot = Spot(role, f"[^{re.escape(delimiter)}]*", seen=cells)
        taken.add(spot.group)
        if column.at in numbers:
            spot.quantity = "value" if len(numbers) == 1 else f"column-{column.at}"
        parts.append(spot)
    return Shape(parts)


def _counts(cells: Sequence[str]) -> bool:
    """Whether a column is the instrument's own running number."""
    whole = [int(cell) for cell in cells if cell.isascii() and cell.isdigit()]
    return len(whole) == len(cells) > 1 and all(after == before + 1 for before, after in pairwise(whole))


def _role(column: Column, numbers: Sequence[int], taken: set[str]) -> str:
    """What a column is most likely. It is a guess, and said to be one."""
    after_number = column.at - 1 in numbers
    guess = {"time": "time", "call": "call"}.get(column.kind, "")
    if column.kind == "number" and len(numbers) == 1:
        guess = "value"
    elif column.kind in ("text", "constant") and after_number and from_text(column.example):
        guess = "unit"
    elif column.kind == "text" and re.search(r"\d", column.example):
        guess = "specimen"
    elif column.kind in ("text", "constant") and column.at + 1 in numbers and len(numbers) == 1:
        guess = "test"
    return guess if guess and guess not in taken else f"column_{column.at}"


def _labelled(lines: Sequence[str]) -> Shape:
    """Literal text around numbers: the word before a number names it, the one behind it may be its unit."""
    first = lines[0]
    parts: list[str | Spot] = []
    end, taken = 0, set[str]()
    columns = list(zip(*([match[0] for match in _NUMBER.finditer(line)] for line in lines), strict=True))
    for number, match in enumerate(_NUMBER.finditer(first)):
        before = first[end : match.start()]
        words = _WORD.findall(before) or ["value"]
        group = _free(re.sub(r"\W+", "_", words[-1].lower()), taken)
        behind = re.match(r" ?([^\s\d]+)", first[match.end() :])
        unit = from_text(behind[1]) if behind else None
        parts.append(before)
        spot = Spot(group, r"[-+]?\d+(?:[.,]\d+)?", group.replace("_", "-"), unit or "", list(columns[number]))
        parts.append(spot)
        end = match.end()
    parts.append(first[end:])
    return Shape([part for part in parts if part != ""])


def _free(name: str, taken: set[str]) -> str:
    name = name if re.match(r"[a-z]", name) else f"value_{name}"
    number, made = 1, name
    while made in taken:
        number += 1
        made = f"{name}_{number}"
    taken.add(made)
    return made


def declaration(name: str, seen: Recognised, found: Sequence[Shape]) -> str:
    """The text of driver.py."""
    options = {key: value for key, value in seen.options.items() if key != "check"}
    if check := seen.options.get("check"):
        options["checksum"] = "sum8" if check == "sum8" else "unverified"
    lines = [
        f'"""{name}: declared from a recording. What each group of a line is was guessed: correct names and units."""',
        "",
        "from drivers.kit.text_lines import Line, Reading, text_driver",
        "",
        "DRIVER = text_driver(",
        f"    name={json.dumps(name)},",
        '    maker="",  # who makes it',
        f'    summary="{seen.framing[:1].upper()}{seen.framing[1:]}.",',
        '    links=("serial", "tcp", "tcp-listen"),',
        *(f"    {key}={_python(value)}," for key, value in options.items()),
        "    patterns=(",
    ]
    for shape in found:
        lines += _pattern(shape)
    return "\n".join([*lines, "    ),", ")", ""])


def _pattern(shape: Shape) -> Iterator[str]:
    yield "        Line("
    yield f"            match=r{_quoted(shape.expression())},"
    yield f"            print={json.dumps(shape.template(), ensure_ascii=False)},"
    values = shape.values
    kind = ', kind="result"' if any(spot.group == "specimen" for spot in shape.spots) else ""
    if len(values) == 1 and values[0].group == "value":
        yield f"            {_facts(values[0])}{kind},"
    elif values:
        yield "            items=("
        for spot in values:
            yield f"                Reading(value={_python(spot.group)}, {_facts(spot)}{kind}),"
        yield "            ),"
    if not values and not any(spot.group == "call" for spot in shape.spots):
        yield "            ignore=True,"
    yield "        ),"


def _python(value: object) -> str:
    """A value as this project's code writes it."""
    return json.dumps(value) if isinstance(value, str) else repr(round(value, 6) if isinstance(value, float) else value)


def _quoted(expression: str) -> str:
    return f'"{expression}"' if '"' not in expression else f"'''{expression}'''"


def _facts(spot: Spot) -> str:
    told: dict[str, Any] = {"quantity": spot.quantity}
    if spot.unit:
        told["unit"] = spot.unit
    numbers = [float(text.replace(",", ".")) for text in spot.seen if _NUMBER.fullmatch(text)]
    if numbers:
        digits = max((len(re.split("[.,]", text)[1]) if re.search("[.,]", text) else 0) for text in spot.seen)
        told |= {"low": min(numbers), "high": max(numbers) + 10**-digits, "step": 10**-digits}
    return ", ".join(f"{key}={_python(value)}" for key, value in told.items())


PROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "assaygate-{name}"
version = "0.1"

[project.entry-points."assaygate.drivers"]
{name} = "{package}.driver:DRIVER"

[tool.setuptools]
packages = ["{package}"]
"""


def write(name: str, path: Path, into: Path) -> tuple[Path | None, list[str]]:
    """A driver's folder made of the recording at `path`, below `into`, and what was recognised, a line each.

    None where a driver that is there reads it: then the lines are its configuration. Errors: LookupError, OSError,
    RecordingError.
    """
    if not NAME.fullmatch(name):
        raise LookupError(f"{name!r} is no name of a driver. Write lower-case-with-hyphens.")
    pieces, seen = look(path)
    told = [f"It looks like {seen.framing}.", *(f"  {note}" for note in seen.notes)]
    if seen.driver and seen.driver in drivers.names():
        told += [f"The driver {seen.driver} reads that. In the configuration:", "", *configuration(pieces, seen)]
        return None, told
    if not seen.lines:
        raise LookupError(
            "\n".join([*told, "No driver can be declared from that alone: see `assaygate drivers fixed-records`."])
        )
    package = name.replace("-", "_")
    folder = into / package
    if folder.exists():
        raise LookupError(f"{folder} is already there. Give another name, or another place with --into.")
    found = shapes(seen)
    (folder / "cases").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "driver.py").write_text(declaration(name, seen, found), encoding="utf-8")
    (folder / "cases" / "recorded.wire").write_text(recording.write(pieces, name), encoding="utf-8")
    project = into / "pyproject.toml"
    if not project.exists() and into.resolve() != drivers.FOLDER:
        project.write_text(PROJECT.format(name=name, package=package), encoding="utf-8")
    expect(folder)
    return folder, told


def expect(folder: Path) -> int:
    """Write what the driver in `folder` makes of its recording as that case's expectation; how many values it has.

    It holds what is read today: right only once a person has looked at it.
    """
    driver = at(folder)
    wire = folder / "cases" / "recorded.wire"
    lines = []
    for heard in recording.play(driver.host(driver.trial()), recording.read(wire.read_text(encoding="utf-8"))):
        if isinstance(heard, Message):
            lines += [json.dumps(_told(draft), ensure_ascii=False) for draft in driver.decode(heard, driver.trial())]
    wire.with_suffix(".ndjson").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)


def _told(draft: Draft) -> dict[str, Any]:
    names = ("specimen", "value", "unit", "device_time", "patient", "operator", "lot", "run")
    named = {"kind": str(draft.kind), "test": draft.test, "quantity": draft.quantity}
    told = {**named, **{name: getattr(draft, name) for name in names if getattr(draft, name) is not None}}
    return {**told, "flags": list(draft.flags)} if draft.flags else told


def at(folder: Path) -> Driver:
    """The driver in a folder of anybody's. Errors: LookupError."""
    file = folder / "driver.py"
    spec = importlib.util.spec_from_file_location(f"{folder.name}.driver", file) if file.is_file() else None
    if spec is None or spec.loader is None:
        raise LookupError(f"there is no driver.py in {folder}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    driver: Driver = module.DRIVER
    return driver
