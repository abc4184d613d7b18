"""The forms a report can be given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Final

from gateway.equipment import page, sheet
from gateway.equipment.report import Report


@dataclass(frozen=True, slots=True)
class Form:
    media_type: str
    write: Callable[[Report, str], bytes]


def _as_pdf(report: Report, made: str) -> bytes:
    """Its library takes half a second to load: only where paper is asked for."""
    from gateway.equipment.paper import as_pdf

    return as_pdf(report, made)


FORMS: Final = {
    "html": Form("text/html; charset=utf-8", page.as_html),
    "pdf": Form("application/pdf", _as_pdf),
    "csv": Form("text/csv; charset=utf-8", sheet.as_csv),
    "json": Form("application/json", sheet.as_json),
}


def made(now: datetime | None = None) -> str:
    """The one line that differs between two reports of the same journal and period."""
    at = (now or datetime.now(UTC)).isoformat(timespec="seconds").replace("+00:00", "Z")
    return f"{at} by assaygate {metadata.version('assaygate')}"
