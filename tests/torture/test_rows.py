"""The table of faults: no row loses, doubles or alters anything, and each row can tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.row import Row, happen
from tests.torture.rows import ROWS


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_nothing_acknowledged_is_lost_doubled_or_altered(row: Row, tmp_path: Path) -> None:
    tally = happen(row, tmp_path)
    assert tally.good, tally


@pytest.mark.torture
@pytest.mark.parametrize(
    ("row", "mutation"),
    [(row, mutation) for row in ROWS for mutation in row.mutations],
    ids=lambda value: value.name if isinstance(value, Row) else value,
)
def test_a_promise_broken_on_purpose_shows(row: Row, mutation: str, tmp_path: Path) -> None:
    tally = happen(row, tmp_path, mutation)
    assert tally.red, tally
    assert not tally.failed, tally
