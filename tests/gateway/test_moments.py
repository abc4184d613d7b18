"""Where a time begins in the journal."""

from __future__ import annotations

import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from gateway.journal.moments import first_since
from gateway.journal.schema import migrate

ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(("t", "rh")), st.integers(0, 20)), max_size=30)


@given(ROWS, st.integers(0, 21))
def test_the_first_position_is_the_one_a_walk_through_all_finds(rows: list[tuple[str, str, int]], since: int) -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db)
    for n, (device, quantity, time) in enumerate(rows, 1):
        db.execute(
            "INSERT INTO observation VALUES (?,?,1,?,'reading',?,NULL,?,1.0,x'7b7d')",
            (n, n.to_bytes(16, "big"), device, quantity, time),
        )
    walked = next((n for n, row in enumerate(rows, 1) if row[2] >= since), None)
    assert first_since(db, since) == walked
    assert first_since(db, since, 3) in (walked, 0)
    if max((sum(one[:2] == row[:2] and row[2] >= since for row in rows) for one in rows), default=0) < 3:
        assert first_since(db, since, 3) == walked
    db.close()
