"""Controls judged on their way into the journal, results held while one fails, and all of it after any restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import parse
from gateway.journal.schema import connect, migrate
from gateway.journal.transaction import Row, Transaction
from gateway.qc.result import unmarked
from gateway.qc.stage import Stage
from tests.gateway.served import row

DEVICE = """
[[devices]]
id = "chem-1"
driver = "astm"
link = { type = "tcp-listen", port = 5001 }
timezone = "Asia/Karachi"
"""
CONTROLS = """
[[controls]]
id = "glu-low"
device = "chem-*"
quantity = "glucose"
specimen = "QC-L*"
lot = "A1"
target = 4.0
sd = 0.1
unit = "mmol/L"
hold = true

[[controls]]
id = "glu-high"
device = "chem-*"
quantity = "glucose"
specimen = "QC-H*"
target = 15.0
sd = 0.5
hold = true
"""
START = datetime(2026, 3, 1, 8, tzinfo=UTC)
SECRET = bytes(32)


class Bench:
    """A journal's tables, and a stage made anew for every message, as after a crash."""

    def __init__(self, db: sqlite3.Connection, text: str) -> None:
        self.db = db
        self.config = parse(DEVICE + text)
        self.uid = 0

    def row(self, value: Any, specimen: str = "P1", minutes: float = 0, **fields: Any) -> Row:
        self.uid += 1
        told = {"device": "chem-1", "kind": "result", "quantity": "glucose", "unit": "mmol/L", "specimen": specimen}
        return row(1, self.uid, START + timedelta(minutes=minutes), value=value, **told | fields)

    def keep(self, *rows: Row) -> list[dict[str, Any]]:
        transaction = Transaction(self.db)
        self.db.execute("BEGIN IMMEDIATE")
        marked = Stage(self.config, SECRET).mark(transaction, rows)
        transaction.observe(marked)
        self.db.execute("COMMIT")
        for one in marked:
            assert (one.uid.hex(), str(one.kind)) == (orjson.loads(one.body)["uid"], orjson.loads(one.body)["kind"])
        return [orjson.loads(one.body) for one in marked]

    def one(self, value: Any, specimen: str = "P1", minutes: float = 0, **fields: Any) -> dict[str, Any]:
        (body,) = self.keep(self.row(value, specimen, minutes, **fields))
        return body

    def qc(self, value: Any, specimen: str = "QC-L", minutes: float = 0, **fields: Any) -> tuple[str, list[str]]:
        told = self.one(value, specimen, minutes, **fields)["attributes"]["qc"]
        return told["verdict"], told["rules"]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "journal.sqlite")) as made:
        migrate(made)
        yield made


@pytest.fixture
def bench(db: sqlite3.Connection) -> Bench:
    return Bench(db, CONTROLS)


def test_a_control_sent_as_a_result_is_judged_and_is_no_patients_result(bench: Bench) -> None:
    body = bench.one(4.25, "QC-L 1")
    assert (body["kind"], body["status"], body["quality"], body["value"]) == ("qc", "final", "good", 4.25)
    told = body["attributes"]["qc"]
    assert (told["control"], told["lot"], told["z"]) == ("glu-low", "A1", 2.5)
    assert (told["target"], told["sd"], told["verdict"], told["rules"]) == (4.0, 0.1, "warning", ["1-2s"])
    assert unmarked(body) == {**body, "kind": "result", "attributes": {}}


def test_results_are_preliminary_while_the_last_control_is_rejected(bench: Bench) -> None:
    assert bench.one(5.1)["status"] == "final"
    assert bench.qc(4.4, minutes=10) == ("rejected", ["1-2s", "1-3s"])
    held = bench.one(5.2, minutes=20)
    assert (held["status"], held["value"], held["quality"]) == ("preliminary", 5.2, "good")
    assert "glu-low" in held["attributes"]["hold"]
    assert "1-3s" in held["attributes"]["hold"]
    assert unmarked(held) == {**held, "status": "final", "attributes": {}}
    assert bench.one(3.9, minutes=21, quantity="potassium")["status"] == "final"
    assert bench.qc(4.0, minutes=30) == ("accepted", [])
    assert bench.one(5.2, minutes=40)["status"] == "final"


def test_a_rule_across_controls_of_one_run_rejects(bench: Bench) -> None:
    assert bench.qc(4.25, minutes=0)[0] == "warning"
    assert bench.qc(13.9, "QC-H", minutes=5) == ("rejected", ["1-2s", "R-4s"])
    assert bench.one(5.2, minutes=10)["status"] == "preliminary"


def test_controls_far_apart_in_time_are_not_one_run(bench: Bench) -> None:
    assert bench.qc(4.25, minutes=0)[0] == "warning"
    assert bench.qc(13.9, "QC-H", minutes=40) == ("warning", ["1-2s"])


def test_a_control_measured_again_begins_the_next_run(bench: Bench) -> None:
    assert bench.qc(4.25, minutes=0)[0] == "warning"
    assert bench.qc(15.0, "QC-H", minutes=5)[0] == "accepted"
    assert bench.qc(4.0, minutes=10)[0] == "accepted"
    assert bench.qc(13.9, "QC-H", minutes=15) == ("warning", ["1-2s"])


def test_the_instruments_own_run_decides(bench: Bench) -> None:
    bench.qc(4.25, minutes=0, run="7")
    assert bench.qc(13.9, "QC-H", minutes=300, run="7") == ("rejected", ["1-2s", "R-4s"])


def test_a_message_read_again_does_not_count_twice(bench: Bench) -> None:
    first = bench.row(4.25, "QC-L")
    bench.keep(first)
    bench.keep(first, first)
    bench.uid += 1
    assert bench.qc(4.0, minutes=5) == ("accepted", [])
    state = bench.db.execute("SELECT state FROM cursor WHERE name='qc:control:chem-1:glu-low'").fetchone()
    assert orjson.loads(state[0])["lots"]["A1"][0] == 2


def test_another_unit_is_converted_and_one_that_cannot_be_is_no_acceptance(bench: Bench) -> None:
    assert bench.qc(4000.0, unit="umol/L") == ("accepted", [])
    verdict, rules = bench.qc(72.0, unit="mg/dL", minutes=1)
    assert (verdict, rules) == ("rejected", ["no-value"])
    assert bench.one(5.0, minutes=2)["status"] == "preliminary"


@pytest.mark.parametrize("fields", [{"comparator": "<"}, {"quality": "bad"}, {"value": None}, {"value": "see print"}])
def test_a_control_without_a_plain_number_is_rejected(bench: Bench, fields: dict[str, Any]) -> None:
    assert bench.qc(**{"value": 4.0, **fields}) == ("rejected", ["no-value"])


def test_where_holding_is_not_asked_for_a_result_only_says_so(db: sqlite3.Connection) -> None:
    bench = Bench(db, CONTROLS.replace("hold = true", ""))
    bench.qc(4.4)
    body = bench.one(5.0, minutes=1)
    assert body["status"] == "final"
    assert "glu-low" in body["attributes"]["qc_failed"]


def test_due_begins_after_its_time_and_ends_with_an_accepted_control(db: sqlite3.Connection) -> None:
    bench = Bench(db, CONTROLS.replace('lot = "A1"', 'lot = "A1"\ndue = "24h"'))
    assert bench.one(5.0)["status"] == "preliminary", "never accepted"
    bench.qc(4.0, minutes=10)
    assert bench.one(5.0, minutes=10 + 24 * 60)["status"] == "final"
    late = bench.one(5.0, minutes=11 + 24 * 60)
    assert (late["status"], "due" in late["attributes"]["hold"]) == ("preliminary", True)
    bench.qc(4.4, minutes=12 + 24 * 60)
    bench.qc(4.1, minutes=13 + 24 * 60)
    assert bench.one(5.0, minutes=14 + 24 * 60)["status"] == "final"


@pytest.mark.parametrize(
    ("expect", "right", "wrong"),
    [
        ("positive", ["positive", "detected", "reactive"], ["negative", "invalid", None]),
        ("negative", ["negative", "not-detected", "non-reactive"], ["positive", "invalid", None]),
        ("valid", ["positive", "negative"], ["invalid", "indeterminate", None]),
    ],
)
def test_a_qualitative_control_must_read_as_expected(
    db: sqlite3.Connection, expect: str, right: list[str], wrong: list[str | None]
) -> None:
    bench = Bench(db, f'[[controls]]\nid = "c"\nquantity = "glucose"\nexpect = "{expect}"\nhold = true\n')
    for minutes, call in enumerate([*right, *wrong]):
        verdict = "accepted" if call in right else "rejected"
        rules = [] if call in right else ["not-as-expected"]
        assert bench.qc(None, kind="qc", interpretation=call, minutes=minutes) == (verdict, rules)
        status = "final" if call in right else "preliminary"
        assert bench.one(None, interpretation="negative", minutes=minutes)["status"] == status


def test_an_expired_control_accepts_nothing_from_the_day_after_where_the_device_stands(db: sqlite3.Connection) -> None:
    bench = Bench(db, CONTROLS.replace('lot = "A1"', "lot_expiry = 2026-03-01"))
    assert bench.qc(4.0, minutes=10 * 60) == ("accepted", [])  # 23:00 in Karachi
    assert bench.qc(4.0, minutes=11 * 60) == ("rejected", ["expired"])  # midnight


def test_a_new_lot_begins_anew(db: sqlite3.Connection) -> None:
    bench = Bench(db, CONTROLS)
    bench.qc(4.25)
    bench.qc(4.4, minutes=1)
    bench.config = parse(DEVICE + CONTROLS.replace('"A1"', '"A2"').replace("4.0", "4.2"))
    assert bench.one(5.0, minutes=2)["status"] == "preliminary", "no control says that it is right again"
    told = bench.one(4.45, "QC-L", 3)["attributes"]["qc"]
    assert (told["lot"], told["z"], told["target"], told["rules"]) == ("A2", 2.5, 4.2, ["1-2s"])
    assert bench.one(5.0, minutes=4)["status"] == "final"
    told = bench.one(4.45, "QC-L", 5)["attributes"]["qc"]
    assert told["rules"] == ["1-2s", "2-2s"], "of the new lot's points"


def test_statistics_of_its_own_after_twenty_points_over_ten_days(db: sqlite3.Connection) -> None:
    text = '[[controls]]\nid = "c"\nquantity = "glucose"\nspecimen = "QC*"\nstatistics = "own"\n'
    bench = Bench(db, text)
    for point in range(20):
        told = bench.one(5.0 + 0.1 * (-1) ** point, "QC", point * 12 * 60)["attributes"]["qc"]
        assert (told["verdict"], told["z"]) == ("collecting", None)
    told = bench.one(5.3, "QC", 20 * 12 * 60)["attributes"]["qc"]
    assert (told["target"], round(told["sd"], 4), told["z"]) == (pytest.approx(5.0), 0.1026, pytest.approx(2.924, 1e-3))
    again = bench.one(5.3, "QC", 21 * 12 * 60)["attributes"]["qc"]
    assert (again["target"], again["sd"]) == (told["target"], told["sd"])


def test_twenty_points_in_nine_days_are_not_enough(db: sqlite3.Connection) -> None:
    bench = Bench(db, '[[controls]]\nid = "c"\nquantity = "glucose"\nspecimen = "QC*"\nstatistics = "cumulative"\n')
    for point in range(30):
        assert bench.qc(5.0 + 0.1 * (-1) ** point, "QC", point * 6 * 60)[0] == "collecting"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["QC-L", "QC-H", "P1", "P2"]),
        st.sampled_from([4.0, 4.05, 4.25, 4.4, 15.0, 16.5]),
        st.integers(0, 90),
        st.sampled_from(["commit", "crash", "again"]),
    ),
    max_size=40,
)
CHECKS = """
[[delta_checks]]
id = "d"
quantity = "glucose"
absolute = 1.0
[[moving_averages]]
id = "m"
quantity = "glucose"
target = 5.0
limit = 1.0
warm_up = 3
[[critical_values]]
id = "c"
quantity = "glucose"
high = 15.5
[[lockouts]]
id = "l"
lockout = "hold"
"""


@given(STEPS)
@settings(deadline=None)
def test_cut_off_anywhere_it_goes_on_with_the_same_verdicts(steps: list[tuple[str, float, int, str]]) -> None:
    """Each message by itself without an interruption, against batches that are rolled back and read again."""
    told: list[list[bytes]] = []
    for interrupted in (False, True):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            migrate(db)
            bench = Bench(db, CONTROLS + CHECKS)
            waiting: list[Row] = []
            sent = []
            minutes = 0
            for specimen, value, later, what in steps:
                minutes += later
                waiting.append(bench.row(value, specimen, minutes))
                sent.append(orjson.loads(waiting[-1].body))
                if not interrupted:
                    bench.keep(waiting.pop())
                elif what == "crash":
                    db.execute("BEGIN IMMEDIATE")
                    Transaction(db).observe(Stage(bench.config, SECRET).mark(Transaction(db), waiting))
                    db.execute("ROLLBACK")
                elif what == "commit":
                    bench.keep(*waiting)
                    waiting.clear()
                else:
                    bench.keep(*waiting, *waiting)
            bench.keep(*waiting)
            told.append([body for (body,) in db.execute("SELECT body FROM observation ORDER BY seq")])
            assert [unmarked(orjson.loads(body)) for body in told[-1]] == sent, "what the instrument said is there"
    assert told[0] == told[1]


def test_an_instruments_clock_that_is_ahead_does_not_make_its_verdict_stand(bench: Bench) -> None:
    received = (START + timedelta(minutes=5)).isoformat()
    assert bench.qc(4.0, minutes=600, received=received) == ("accepted", [])
    assert bench.qc(4.4, minutes=10)[0] == "rejected"
    assert bench.one(5.0, minutes=20)["status"] == "preliminary"


def test_a_control_that_comes_late_does_not_unsay_a_newer_verdict(bench: Bench) -> None:
    bench.qc(4.0, minutes=60)
    assert bench.qc(4.4, minutes=10)[0] == "rejected"
    assert bench.one(5.0, minutes=70)["status"] == "final"


def test_an_accepted_control_that_comes_late_makes_nothing_due_earlier(db: sqlite3.Connection) -> None:
    bench = Bench(db, CONTROLS.replace('lot = "A1"', 'lot = "A1"\ndue = "24h"'))
    bench.qc(4.0, minutes=60)
    bench.qc(4.0, minutes=10)
    assert bench.one(5.0, minutes=24 * 60 + 30)["status"] == "final"


def test_what_is_cancelled_is_not_held(bench: Bench) -> None:
    bench.qc(4.4)
    body = bench.one(None, minutes=1, status="cancelled")
    assert (body["status"], "hold" in body["attributes"]) == ("cancelled", False)


def test_a_mistake_of_ours_keeps_no_result_back(bench: Bench) -> None:
    bench.db.execute("INSERT INTO cursor (name, seq, state) VALUES ('qc:control:chem-1:glu-low', 0, '{\"lot\": 5}')")
    bench.db.execute("INSERT INTO cursor (name, seq, state) VALUES ('qc:group:chem-1:glucose', 0, '[1]')")
    body = bench.one(4.0, "QC-L")
    assert (body["value"], "not judged" in body["attributes"]["qc_failed"]) == (4.0, True)
    bench.db.execute("UPDATE cursor SET state='[1]' WHERE name='qc:control:chem-1:glu-low'")
    assert bench.one(5.0)["status"] == "preliminary"


def test_readings_pass_as_they_are(bench: Bench) -> None:
    reading = bench.row(-80.0, kind="reading", quantity="glucose")
    assert Stage(bench.config, SECRET).mark(Transaction(bench.db), [reading]) == [reading]
