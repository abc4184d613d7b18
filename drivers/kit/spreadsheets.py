"""Workbooks (.xlsx): the cells of one sheet as text, within bounds that are looked at before anything is unpacked.

The cells are read by openpyxl (extra `tables`), imported when the first workbook comes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import datetime, time
from importlib import import_module
from typing import Any, Final
from xml.parsers import expat

from drivers.kit import xmltree
from drivers.kit.exchange import DecodeError, Reason

MOST_PARTS: Final = 500  # files in the archive
MOST_UNPACKED: Final = 200 << 20  # bytes of all of them
MOST_RATIO: Final = 400  # unpacked to packed; a sheet of equal rows packs well, a bomb better
SMALL: Final = 1 << 20  # bytes below which the ratio does not matter
MOST_ROWS: Final = 200_000
MOST_COLUMNS: Final = 2_000
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
                xmltree.parser().Parse(archive.read(part), True)
            except (zipfile.BadZipFile, expat.ExpatError, NotImplementedError, OSError, EOFError, ValueError) as error:
                raise DecodeError(f"{part.filename[:60]}: {error}") from None
            except Exception as error:
                if type(error).__module__ in ("zlib", "lzma"):
                    raise DecodeError(f"{part.filename[:60]}: {error}") from None
                raise


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
