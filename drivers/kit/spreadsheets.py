"""Workbooks (.xlsx): the cells of one sheet as text, within bounds that are looked at before anything is unpacked.

The cells are read by openpyxl (extra `tables`), imported when the first workbook comes.
"""

from __future__ import annotations

import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime, time
from importlib import import_module
from typing import Any, Final

from drivers.kit import xmltree
from drivers.kit.exchange import DecodeError, Reason

MOST_PARTS: Final = 500  # files in the archive
MOST_UNPACKED: Final = 200 << 20  # bytes of all of them
MOST_RATIO: Final = 400  # unpacked to packed; a sheet of equal rows packs well, a bomb better
SMALL: Final = 1 << 20  # bytes below which the ratio does not matter
MOST_ROWS: Final = 200_000
MOST_COLUMNS: Final = 2_000
MOST_AREA: Final = 20_000_000  # cells between a sheet's first and its last, for readers that make room for all of them
_PLACE: Final = re.compile(r"([A-Za-z]{1,3})([0-9]{1,8})")
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")  # UTF-16
SIGNATURE: Final = b"PK\x03\x04"


def bounded(data: bytes) -> None:
    """Refuse an archive that would unpack to more than a laboratory's export holds. Errors: DecodeError.

    The sizes are those its directory declares: more than that is never unpacked of a part, whatever it holds.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, IndexError) as error:
        raise DecodeError(f"not a whole zip archive: {error}") from None
    if len(parts) > MOST_PARTS:
        raise DecodeError(f"{len(parts)} files in the archive", Reason.TOO_LONG)
    unpacked = sum(part.file_size for part in parts)
    if unpacked > MOST_UNPACKED or (unpacked > SMALL and unpacked > MOST_RATIO * len(data)):
        raise DecodeError(f"the archive unpacks to {unpacked} bytes", Reason.TOO_LONG)
    if any(part.flag_bits & 1 for part in parts):
        raise DecodeError("the archive is encrypted")


def is_archive(data: bytes) -> bool:
    """Whether the bytes begin as a zip archive does."""
    return data.startswith(SIGNATURE)


def compact(data: bytes, nested: bool = True) -> None:
    """Refuse a workbook two cells of which are so far apart that a reader making room for all between them would take
    all memory; and kinds of workbook where that cannot be seen. Errors: DecodeError.
    """
    bounded(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for part in archive.infolist():
            name = part.filename.lower()
            if name.endswith((".ods", ".xlsb")) or name in ("content.xml", "xl/workbook.bin"):
                raise DecodeError("OpenDocument and binary workbooks are not read: export .xlsx or text")
            content = _unpacked(archive, part)
            if is_archive(content):
                if not nested:
                    raise DecodeError("archives within archives within archives")
                compact(content, nested=False)
            elif content.lstrip()[:1] == b"<" or content[:2] in _WIDE:  # a sheet may have any name
                _small(content, name)


def _small(sheet: bytes, name: str) -> None:
    furthest = [1, 1]  # row, column

    def start(tag: str, attributes: dict[str, str]) -> None:
        local = tag.rpartition(":")[2]
        place = attributes.get("r", "")
        if local == "row" and place.isdecimal():
            furthest[0] = max(furthest[0], int(place[:9]))
        elif local == "c" and (match := _PLACE.fullmatch(place)):
            furthest[0] = max(furthest[0], int(match[2]))
            column = 0
            for letter in match[1].upper():
                column = column * 26 + ord(letter) - 64
            furthest[1] = max(furthest[1], column)

    made = xmltree.parser()
    made.StartElementHandler = start
    try:
        made.Parse(sheet, True)
    except xmltree.NOT_XML as error:
        if not name.endswith(".vml"):  # drawings, which the makers of workbooks themselves do not write well
            raise DecodeError(f"{name[:60]}: {error}") from None
    if furthest[0] * furthest[1] > MOST_AREA:
        raise DecodeError(f"{name[:60]} spans {furthest[0]} rows and {furthest[1]} columns", Reason.TOO_LONG)


def _unpacked(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bytes:
    """Errors: DecodeError."""
    try:
        return archive.read(part)
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        NotImplementedError,
        OSError,
        EOFError,
        ValueError,
    ) as error:
        raise DecodeError(f"{part.filename[:60]}: {error}") from None


def rows(data: bytes, sheet: str = "") -> Iterator[list[str]]:
    """The rows of the sheet of that name (in any case), else of the first. Errors: DecodeError.

    Numbers come as the shortest text that reads back as the same number, times as ISO 8601, blanks as "".
    """
    bounded(data)
    _no_document_types(data)
    try:
        openpyxl: Any = import_module("openpyxl")
    except ImportError:
        raise DecodeError("workbooks need the extra: pip install 'assaygate[tables]'", Reason.FAULT) from None
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        try:
            found = _sheet(book, sheet)
            for count, row in enumerate(found.iter_rows(values_only=True)):
                if count >= MOST_ROWS or len(row) > MOST_COLUMNS:
                    raise DecodeError(f"more than {MOST_ROWS} rows or {MOST_COLUMNS} columns", Reason.TOO_LONG)
                yield [text(cell) for cell in row]
        finally:
            book.close()
    except DecodeError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a damaged workbook does to its reader, it is unreadable
        raise DecodeError(f"not a workbook that can be read: {type(error).__name__}: {error}"[:300]) from None


def _sheet(book: Any, name: str) -> Any:
    if not name:
        if not book.worksheets:
            raise DecodeError("the workbook has no sheet")
        return book.worksheets[0]
    for sheet in book.worksheets:
        if sheet.title.strip().casefold() == name.strip().casefold():
            return sheet
    raise DecodeError(f"no sheet {name!r} among {', '.join(book.sheetnames)[:200]}")


def _no_document_types(data: bytes) -> None:
    """No part may declare entities: `xmltree.parser` refuses them."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for part in archive.infolist():
            if not part.filename.endswith((".xml", ".rels")):
                continue
            try:
                xmltree.parser().Parse(_unpacked(archive, part), True)
            except xmltree.NOT_XML as error:
                raise DecodeError(f"{part.filename[:60]}: {error}") from None


def text(cell: object) -> str:
    """A cell's value as text."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ")
    if isinstance(cell, time):
        return cell.isoformat()
    return str(cell)


def write(sheets: dict[str, list[list[object]]]) -> bytes:
    """A workbook of these rows: what a simulated instrument exports. Errors: ImportError without the extra."""
    book = import_module("openpyxl").Workbook(write_only=True)
    for name, content in sheets.items():
        made = book.create_sheet(name)
        for row in content:
            made.append(row)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()
