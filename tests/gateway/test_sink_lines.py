"""Line protocol: what is escaped comes back, what identifies a point is stable and its own."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal import transaction
from gateway.journal.schema import connect, migrate
from gateway.sinks.lines import CALLS, LONGEST_TAG, OTHER, Lines, UnfitError
from gateway.sinks.place import _NUMBERED, MANY, Row

NOON = 1_772_366_400_000_000
LATEST = NOON + 10**12


def said(**more: Any) -> dict[str, Any]:
    return {
        "device": "reader-1",
        "kind": "result",
        "quantity": "crp",
        "value": 12,
        "unit": "mg/L",
        "code": None,
        "comparator": None,
        "interpretation": None,
        "quality": "good",
        "status": "final",
        **more,
    }


def line(seq: int = 1, time: int = NOON, twin: int = 0, site: str = "lab", **more: Any) -> str:
    return Lines(site).line(Row(seq, time, orjson.dumps(said(**more)), twin), LATEST).decode()


def parsed(text: str) -> tuple[str, dict[str, str], dict[str, str], int]:
    """Reads a line as InfluxDB 1.6.7 does: a backslash before a special character is an escape, else itself."""
    match = re.fullmatch(r"((?:\\.|[^\\ ])*) ((?:\"(?:\\.|[^\"\\])*\"|[^\" ])*) (\d+)", text)
    assert match, text
    head = re.split(r"(?<!\\),", match[1])
    tags = dict(re.split(r"(?<!\\)=", tag, maxsplit=1) for tag in head[1:])
    fields = dict(re.findall(r'(\w+)=("(?:\\.|[^"\\])*"|[^,]+)', match[2]))
    unescaped = {key: re.sub(r"\\([,= ])", r"\1", value) for key, value in tags.items()}
    return head[0], unescaped, fields, int(match[3])


def test_a_number() -> None:
    assert line() == f"result,device=reader-1,kind=result,quantity=crp,site=lab,unit=mg/L value=12.0,seq=1i {NOON}000"


@pytest.mark.parametrize(
    ("more", "fields"),
    [
        ({"value": True}, {"value": "1.0", "seq": "1i"}),
        ({"value": 1e-7}, {"value": "1e-07", "seq": "1i"}),
        ({"value": None}, {"seq": "1i"}),
        ({"value": "NEG", "interpretation": "negative"}, {"call": "0", "text": '"NEG"', "seq": "1i"}),
        ({"value": 3.5, "interpretation": "positive"}, {"call": "1", "value": "3.5", "seq": "1i"}),
        ({"value": None, "interpretation": "who-knows"}, {"call": str(OTHER), "seq": "1i"}),
        ({"value": 'a "b" \\'}, {"text": '"a \\"b\\" \\\\"', "seq": "1i"}),
        ({"value": "two\r\nlines"}, {"text": '"two  lines"', "seq": "1i"}),
    ],
)
def test_fields(more: dict[str, Any], fields: dict[str, str]) -> None:
    assert parsed(line(**more))[2] == fields


def test_tags_that_are_there_only_when_they_say_something() -> None:
    usual = parsed(line())[1]
    assert usual == {"device": "reader-1", "kind": "result", "quantity": "crp", "site": "lab", "unit": "mg/L"}
    other = parsed(line(twin=2, quality="uncertain", status="corrected", comparator=">=", code="loinc:1988-5"))[1]
    assert other == usual | {
        "twin": "2",
        "quality": "uncertain",
        "status": "corrected",
        "comparator": ">=",
        "code": "loinc:1988-5",
    }


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("1:320", "1:320"),
        ("A Rh positive", "A Rh positive"),
        ("阳性", "阳性"),
        ("x" * 33, None),
        ("id 20260301", None),
        ("", None),
        ("a\nb", None),
    ],
)
def test_a_short_text_is_a_tag_where_it_cannot_be_a_number_of_somebody(value: str, word: str | None) -> None:
    assert parsed(line(value=value))[1].get("word") == word
    assert "word" not in parsed(line(value=value, interpretation="positive"))[1]


def test_words_can_be_turned_off() -> None:
    made = Lines("lab", "all", words=False).line(Row(1, NOON, orjson.dumps(said(value="running")), 0), LATEST)
    assert made.startswith(b"all,device=")
    assert b"word=" not in made


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=60))
def test_whatever_a_text_holds_the_line_stays_one_line_and_reads_back(unit: str, value: str, quantity: str) -> None:
    text = line(unit=unit, value=value, quantity=f"q{quantity}")
    assert not re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", text)
    _, tags, fields, time = parsed(text)
    assert time == NOON * 1000
    assert set(fields) == {"text", "seq"}
    assert all(0 < len(tag) <= LONGEST_TAG + 9 and "\\" not in tag for tag in tags.values())
    plain = re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", " ", unit).strip().replace("\\", "＼")
    if len(plain) <= LONGEST_TAG:
        assert tags.get("unit", "") == plain


def test_long_names_that_differ_stay_different() -> None:
    assert parsed(line(quantity="q" * 500 + "a"))[1] != parsed(line(quantity="q" * 500 + "b"))[1]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (Row(1, LATEST + 1, orjson.dumps(said()), 0), "future"),
        (Row(1, -1, orjson.dumps(said()), 0), "1970"),
        (Row(1, NOON, orjson.dumps(said()), MANY), "stands still"),
        (Row(1, NOON, orjson.dumps(said()).replace(b":12,", b":1e999,"), 0), "cannot be read"),
    ],
)
def test_what_no_store_would_keep_is_unfit(row: Row, why: str) -> None:
    with pytest.raises(UnfitError, match=why):
        Lines("lab").line(row, LATEST)


def test_every_interpretation_has_a_documented_number() -> None:
    from drivers.kit.observation import Interpretation

    assert {str(one) for one in Interpretation} == set(CALLS)


# ---- two observations are never one point


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    made = connect(tmp_path_factory.mktemp("points") / "journal.sqlite")
    migrate(made)
    yield made
    made.close()


def fill(db: sqlite3.Connection, drawn: list[tuple[int, str, str, str]]) -> None:
    db.execute("DELETE FROM observation")
    rows = [
        transaction.Row(
            number.to_bytes(16, "big"),
            1,
            device,
            kind,
            "crp",
            None,
            NOON + time,
            None,
            orjson.dumps(said(device=device, kind=kind, status=status)),
        )
        for number, (time, device, kind, status) in enumerate(drawn)
    ]
    db.execute("BEGIN")
    transaction.Transaction(db).observe(rows)
    db.execute("COMMIT")


def points(db: sqlite3.Connection, after: int, limit: int) -> list[bytes]:
    lines = Lines("lab")
    fetched = db.execute(_NUMBERED, (after, limit)).fetchall()
    return [lines.line(Row(row[0], row[1], row[5], row[6]), LATEST) for row in fetched]


drawn = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 999, 1000, 1001, 1_000_000]) | st.integers(0, 5000),
        st.sampled_from(["reader-1", "reader-2"]),
        st.sampled_from(["result", "qc"]),
        st.sampled_from(["final", "corrected"]),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(drawn, st.data())
def test_points_are_their_own_to_the_millisecond_and_the_same_every_time(
    db: sqlite3.Connection, drawn: list[tuple[int, str, str, str]], data: st.DataObject
) -> None:
    fill(db, drawn)
    (start,) = db.execute("SELECT min(seq) - 1 FROM observation").fetchone()
    whole = points(db, start, 1000)
    identities = set()
    for text in whole:
        name, tags, _, time = parsed(text.decode())
        identities.add((name, tuple(sorted(tags.items())), time // 1_000_000))
    assert len(identities) == len(drawn)
    # Sent again from anywhere, in any portion, by anyone: the same bytes.
    cut = data.draw(st.integers(0, len(drawn)))
    size = data.draw(st.integers(1, len(drawn)))
    again = [text for at in range(cut, len(drawn), size) for text in points(db, start + at, size)]
    assert again[: len(drawn) - cut] == whole[cut:]


def test_a_clock_that_stands_still_costs_no_more_than_it_must(db: sqlite3.Connection) -> None:
    fill(db, [(0, "reader-1", "reading", "final")] * (MANY + 500))
    (start,) = db.execute("SELECT min(seq) - 1 FROM observation").fetchone()
    twins = [row[6] for row in db.execute(_NUMBERED, (start, 5000))]
    assert twins == [*range(MANY), *[MANY] * 500]


def test_the_number_of_a_twin_is_found_by_index_alone(db: sqlite3.Connection) -> None:
    plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {_NUMBERED}", (0, 10))]
    assert any(
        "COVERING INDEX observation_series (device=? AND quantity=? AND time>? AND time<?)" in step for step in plan
    )
