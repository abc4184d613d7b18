"""Checks of patients' results: lock-out, change since the former result, critical values, moving average."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.journal.schema import connect, migrate
from gateway.qc import state, view
from gateway.qc.result import expired, last_day, unmarked
from tests.gateway.test_qc_stage import START, Bench

DAY = 24 * 60
NOW = int(START.timestamp() * 1e6)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "journal.sqlite")) as made:
        migrate(made)
        yield made


# ---- lock-out


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-05-31", "2026-05-31"),
        ("20260531", "2026-05-31"),
        ("2026-05", "2026-05-31"),
        ("2026-02", "2026-02-28"),
        ("2026-12", "2026-12-31"),
        ("2026-05-31T00:00:00Z", "2026-05-31"),
        ("03/04/26", None),
        ("260531", None),
        ("9999-99", None),
        ("", None),
        ("soon", None),
    ],
)
def test_an_expiry_is_read_only_where_it_is_certain(text: str, day: str | None) -> None:
    assert (str(last_day(text)) if last_day(text) else None) == day


@pytest.mark.parametrize("lockout", ["mark", "hold"])
def test_an_expired_lot_locks_out_from_the_day_after_where_the_device_stands(
    db: sqlite3.Connection, lockout: str
) -> None:
    bench = Bench(db, f'[[lockouts]]\nid = "rapid"\ndevice = "chem-1"\nlockout = "{lockout}"\n')
    kit = {"lot": "K7", "lot_expiry": "2026-03-01", "interpretation": "negative"}
    good = bench.one(None, minutes=10 * 60, **kit)  # 23:00 in Karachi
    assert (good["status"], good["attributes"]) == ("final", {})
    assert view.standing(db, bench.config, NOW)["lockout:rapid"] == (False, "")
    late = bench.one(None, minutes=11 * 60, **kit)  # midnight
    assert late["attributes"]["lockout"] == "lot K7 expired on 2026-03-01"
    assert late["status"] == ("preliminary" if lockout == "hold" else "final")
    assert late["interpretation"] == "negative"
    assert "K7" in view.standing(db, bench.config, NOW)["lockout:rapid"][1]
    bench.one(None, minutes=11 * 60 + 1, quantity="hcg", **kit | {"lot": "H2", "lot_expiry": "2027-01"})
    assert "K7" in view.standing(db, bench.config, NOW)["lockout:rapid"][1], "another test does not make it good"
    assert view.held_count(db) == (lockout == "hold")
    bench.one(None, minutes=12 * 60, **kit | {"lot": "K8", "lot_expiry": "2027-01"})
    assert view.standing(db, bench.config, NOW)["lockout:rapid"] == (False, "")


def test_due_quality_control_locks_out(db: sqlite3.Connection) -> None:
    text = (
        '[[lockouts]]\nid = "rapid"\nlockout = "hold"\n'
        '[[controls]]\nid = "pos"\nquantity = "glucose"\nspecimen = "QC+"\nexpect = "positive"\ndue = "24h"\n'
    )
    bench = Bench(db, text)
    before = bench.one(None, interpretation="negative")
    assert (before["status"], before["attributes"]["lockout"]) == ("preliminary", "quality control is due")
    bench.qc(None, "QC+", 1, interpretation="positive")
    assert bench.one(None, minutes=2, interpretation="negative")["status"] == "final"


def test_expired_is_said_of_no_lot_without_a_date() -> None:
    assert not expired(None, START.date())


# ---- change since the former result


def delta(db: sqlite3.Connection, limit: str, more: str = "") -> Bench:
    text = f'[[delta_checks]]\nid = "k"\nquantity = "glucose"\nunit = "mmol/L"\nwithin = "3d"\n{limit}\n{more}'
    return Bench(db, text)


def change(bench: Bench, value: Any, minutes: float, **fields: Any) -> float | None:
    body = bench.one(value, minutes=minutes, **{"patient": "PID-1", **fields})
    found: dict[str, Any] = body["attributes"].get("delta", {})
    return found.get("change")


@pytest.mark.parametrize(
    ("limit", "inside", "outside"),
    [
        ("absolute = 1.0", 5.0, 5.5),
        ("absolute = 1.0", 3.0, 2.5),
        ("percent = 50.0", 6.0, 6.25),
        ("percent = 50.0", 2.0, 1.75),
        ("rate = 2.0", 5.0, 5.25),  # half a day later
    ],
)
def test_a_change_beyond_the_limit_is_marked(db: sqlite3.Connection, limit: str, inside: float, outside: float) -> None:
    bench = delta(db, limit)
    assert change(bench, 4.0, 0) is None
    assert change(bench, inside, DAY / 2) is None
    bench.one(4.0, minutes=DAY / 2 + 1, patient="PID-2")
    assert change(bench, outside, DAY + 1, patient="PID-2") == outside - 4.0


def test_a_marked_change_says_from_what_and_has_its_flag(db: sqlite3.Connection) -> None:
    bench = delta(db, "absolute = 1.0")
    bench.one(4.0, patient="PID-1")
    body = bench.one(6.0, minutes=60, patient="PID-1", flags=["H"])
    assert body["attributes"]["delta"] == {
        "check": "k",
        "change": 2.0,
        "former": 4.0,
        "since": "2026-03-01T08:00:00Z",
    }
    assert (body["flags"], body["status"]) == (["H", "U"], "final")
    assert unmarked(body) == {**body, "flags": ["H"], "attributes": {}}


@pytest.mark.parametrize(
    ("former", "new"),
    [
        ({"comparator": "<"}, {}),
        ({}, {"comparator": ">"}),
        ({"unit": "mg/dL"}, {}),
        ({"patient": "PID-2"}, {}),
        ({"quality": "bad"}, {}),
        ({"kind": "qc"}, {}),
        ({}, {"minutes": 3 * DAY + 1}),
        ({"minutes": 30}, {"minutes": 10}),  # the older one arrived later
        ({"value": "cloudy"}, {}),
    ],
)
def test_what_cannot_be_compared_is_not(db: sqlite3.Connection, former: dict[str, Any], new: dict[str, Any]) -> None:
    bench = delta(db, "absolute = 1.0")
    bench.one(**{"value": 4.0, "patient": "PID-1", "minutes": 0, **former})
    body = bench.one(**{"value": 40.0, "patient": "PID-1", "minutes": 60, **new})
    assert "delta" not in body["attributes"]


def test_results_in_another_unit_of_the_same_kind_are_compared(db: sqlite3.Connection) -> None:
    bench = delta(db, "absolute = 1.0")
    change(bench, 4.0, 0)
    assert change(bench, 6000.0, 5, unit="umol/L") == 2.0


def test_without_a_patient_the_specimen_is_compared(db: sqlite3.Connection) -> None:
    bench = delta(db, "absolute = 1.0")
    bench.one(4.0, "S-1")
    assert "delta" in bench.one(6.0, "S-1", 5)["attributes"]
    assert "delta" not in bench.one(9.0, "S-2", 6)["attributes"]
    assert "delta" not in bench.one(9.0, "S-1", 7, patient="S-1")["attributes"], "a patient is no specimen"


def test_who_it_was_is_not_in_the_state_and_the_longest_unused_goes(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "MOST", 3)
    bench = delta(db, "absolute = 1.0")
    for number in range(4):
        bench.one(4.0, patient=f"PATIENT-{number}", minutes=number)
    bench.one(4.0, patient="PATIENT-1", minutes=10)
    bench.one(4.0, patient="PATIENT-4", minutes=11)
    assert state.State(db).count(state.FORMER) == 3
    kept = "".join(name + text for name, text in db.execute("SELECT name, state FROM cursor"))
    assert "PATIENT" not in kept
    assert change(bench, 9.0, 20, patient="PATIENT-1") == 5.0
    assert change(bench, 9.0, 21, patient="PATIENT-2") is None, "it had been let go of"


# ---- critical values

LIMITS = '[[critical_values]]\nid = "c"\nquantity = "glucose"\nlow = 2.5\nhigh = 25.0\nunit = "mmol/L"\n'


@pytest.mark.parametrize(
    ("fields", "side"),
    [
        ({"value": 2.5}, None),
        ({"value": 2.4999}, "low"),
        ({"value": 25.0}, None),
        ({"value": 25.001}, "high"),
        ({"value": 2.5, "comparator": "<"}, "low"),
        ({"value": 2.5, "comparator": "<="}, None),
        ({"value": 2.4, "comparator": "<="}, "low"),
        ({"value": 5.0, "comparator": "<"}, None),
        ({"value": 2.0, "comparator": ">"}, None),
        ({"value": 25.0, "comparator": ">"}, "high"),
        ({"value": 25.0, "comparator": ">="}, None),
        ({"value": 20.0, "comparator": ">"}, None),
        ({"value": 30.0, "comparator": "<"}, None),
        ({"value": 2000.0, "unit": "umol/L"}, "low"),
        ({"value": 30.0, "unit": "mg/dL"}, None),
        ({"value": 1.0, "quality": "bad"}, None),
        ({"value": None}, None),
        ({"value": True}, None),
    ],
)
def test_critical_values(db: sqlite3.Connection, fields: dict[str, Any], side: str | None) -> None:
    body = Bench(db, LIMITS).one(**fields)
    assert body["attributes"].get("critical", {}).get("side") == side
    assert body["flags"] == ({"low": ["LL"], "high": ["HH"]}[side] if side else [])
    assert body["status"] == "final"
    assert len(view.waiting(db, state.CRITICAL)) == (side is not None)


def test_a_flag_the_instrument_gave_itself_is_not_taken_for_ours(db: sqlite3.Connection) -> None:
    body = Bench(db, LIMITS).one(1.0, flags=["LL"])
    assert body["flags"] == ["LL"]
    assert unmarked(body)["flags"] == ["LL"]


# ---- moving average of patients' results


AVERAGE = """
[[moving_averages]]
id = "ma"
quantity = "glucose"
target = 5.0
limit = 0.5
weight = 0.1
low = 2.0
high = 10.0
warm_up = 5
"""


def test_the_moving_average_follows_a_drift_and_is_in_limits_again(db: sqlite3.Connection) -> None:
    bench = Bench(db, AVERAGE)
    expected, marked = 5.0, []
    for number in range(40):
        value = 6.0 if number < 20 else 4.6
        expected = 0.1 * value + 0.9 * expected
        body = bench.one(value, f"P{number}", number)
        out = "moving_average" in body["attributes"]
        assert out == (number >= 4 and abs(expected - 5.0) > 0.5)
        if out:
            marked.append(number)
            assert body["attributes"]["moving_average"]["mean"] == pytest.approx(expected)
            assert view.standing(db, bench.config, NOW)["average:ma"][0]
    assert marked
    assert view.standing(db, bench.config, NOW)["average:ma"] == (False, "")


def test_held_results_do_not_move_the_average(db: sqlite3.Connection) -> None:
    bench = Bench(db, AVERAGE + '[[lockouts]]\nid = "l"\nlockout = "hold"\n')
    bench.one(9.0, lot="K1", lot_expiry="2020-01-01")
    assert db.execute("SELECT count(*) FROM cursor WHERE name LIKE 'qc:average:%'").fetchone() == (0,)


def test_outliers_are_cut_and_controls_do_not_count(db: sqlite3.Connection) -> None:
    bench = Bench(db, AVERAGE)
    bench.one(1000.0)
    bench.one(9.0, kind="qc")
    bench.one(9.0, comparator=">")
    (text,) = db.execute("SELECT state FROM cursor WHERE name='qc:average:chem-1:ma'").fetchone()
    told = orjson.loads(text)
    assert (told["n"], told["mean"]) == (1, pytest.approx(5.5))
