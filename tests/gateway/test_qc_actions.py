"""What people do about quality control: stored beside what was, in the audit chain, and followed by the rules."""

from __future__ import annotations

import sqlite3
from typing import Any
from xml.etree import ElementTree

import orjson
import pytest

from gateway.config import parse
from gateway.journal.transaction import Transaction
from gateway.qc import actions, view
from gateway.qc.chart import chart
from gateway.qc.state import CRITICAL, HELD
from tests.gateway.test_qc_stage import CONTROLS, DEVICE, START, Bench, db

__all__ = ["db"]

NOW = int(START.timestamp() * 1e6) + 3600 * 1_000_000
CRITICALS = '[[critical_values]]\nid = "glu"\nquantity = "glucose"\nlow = 2.5\nhigh = 25.0\nunit = "mmol/L"\n'


@pytest.fixture
def bench(db: sqlite3.Connection) -> Bench:
    return Bench(db, CONTROLS + CRITICALS)


def stored(db: sqlite3.Connection, seq: int) -> dict[str, Any]:
    (body,) = db.execute("SELECT body FROM observation WHERE seq=?", (seq,)).fetchone()
    return dict(orjson.loads(body))


def last_seq(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT max(seq) FROM observation").fetchone()[0])


def audit(db: sqlite3.Connection) -> list[dict[str, Any]]:
    return [orjson.loads(body) for (body,) in db.execute("SELECT body FROM audit ORDER BY n")]


def test_a_released_result_is_one_more_and_the_held_one_stays(bench: Bench) -> None:
    bench.qc(4.4)
    bench.one(5.2, minutes=1, patient="PID-7", flags=["N"])
    held = last_seq(bench.db)
    (waits,) = view.waiting(bench.db, HELD)
    assert (waits["seq"], waits["quantity"], view.held_count(bench.db)) == (held, "glucose", 1)
    (new,) = actions.release(Transaction(bench.db), [held, held], "A. Khan", "control run again on a new vial")
    before, after = stored(bench.db, held), stored(bench.db, new)
    assert before["status"] == "preliminary"
    assert (after["status"], after["value"], after["patient"], after["flags"]) == ("final", 5.2, "PID-7", ["N"])
    assert after["attributes"]["corrects"] == held
    assert (after["attributes"]["released"]["by"], "hold" in after["attributes"]) == ("A. Khan", False)
    assert after["uid"] != before["uid"]
    assert view.held_count(bench.db) == 0
    (entry,) = audit(bench.db)
    assert (entry["action"], entry["seq"], entry["released"], entry["by"]) == ("qc.released", held, new, "A. Khan")
    assert "PID-7" not in str(entry)


def test_what_is_not_held_or_was_released_is_not_released(bench: Bench) -> None:
    bench.one(5.2)
    with pytest.raises(LookupError, match="not held"):
        actions.release(Transaction(bench.db), [1], "A", "b")
    bench.qc(4.4)
    bench.one(5.2, minutes=1)
    actions.release(Transaction(bench.db), [3], "A", "b")
    with pytest.raises(LookupError, match="corrected by 4"):
        actions.release(Transaction(bench.db), [3], "A", "b")
    with pytest.raises(LookupError, match="no observation 99"):
        actions.release(Transaction(bench.db), [99], "A", "b")


def test_an_instruments_preliminary_result_is_not_made_final_by_a_release(bench: Bench) -> None:
    bench.qc(4.4)
    bench.one(5.2, minutes=1, status="preliminary")
    (new,) = actions.release(Transaction(bench.db), [2], "A", "b")
    assert stored(bench.db, new)["status"] == "preliminary"


def test_a_control_accepted_by_a_person_holds_nothing_more_and_counts(bench: Bench) -> None:
    bench.qc(4.4)
    (one,) = [one for one in view.controls(bench.db, bench.config, NOW) if one.id == "glu-low"]
    assert (one.verdict, one.trouble, one.n) == ("rejected", "rejected", 0)
    stands = actions.review(Transaction(bench.db), 1, "accept", "A", "target was typed wrongly")
    assert stored(bench.db, stands)["attributes"]["qc"]["verdict"] == "accepted"
    assert stored(bench.db, 1)["attributes"]["qc"]["verdict"] == "rejected"
    (one,) = [one for one in view.controls(bench.db, bench.config, NOW) if one.id == "glu-low"]
    assert (one.verdict, one.trouble, one.n, one.mean) == ("accepted", "", 1, 4.4)
    assert bench.one(5.0, minutes=5)["status"] == "final"
    again = actions.review(Transaction(bench.db), stands, "reject", "B", "wrong vial")
    (one,) = [one for one in view.controls(bench.db, bench.config, NOW) if one.id == "glu-low"]
    assert (one.verdict, one.n) == ("rejected", 0)
    assert bench.one(5.0, minutes=6)["status"] == "preliminary"
    actions.review(Transaction(bench.db), again, "rerun", "B", "new vial opened")
    assert [entry["action"] for entry in audit(bench.db)] == ["qc.accepted", "qc.rejected", "qc.rerun"]


def test_results_since_the_last_good_control_are_counted_when_one_fails(bench: Bench) -> None:
    bench.one(5.0)
    bench.qc(4.0, minutes=1)
    bench.one(5.0, minutes=2)
    bench.one(5.1, minutes=3)
    (good,) = [one for one in view.controls(bench.db, bench.config, NOW) if one.id == "glu-low"]
    bench.qc(4.4, minutes=4)
    (failed,) = [one for one in view.controls(bench.db, bench.config, NOW) if one.id == "glu-low"]
    assert (good.at_risk, failed.at_risk) == (0, 2)


def test_a_verdict_on_an_older_measurement_does_not_unsay_the_last(bench: Bench) -> None:
    bench.qc(4.0)
    bench.qc(4.4, minutes=1)
    actions.review(Transaction(bench.db), 1, "accept", "A", "b")
    assert bench.one(5.0, minutes=2)["status"] == "preliminary"


def test_a_comment_changes_nothing_but_the_audit_chain(bench: Bench) -> None:
    bench.qc(4.0)
    assert actions.review(Transaction(bench.db), 1, "comment", "A", "new vial") == 1
    assert last_seq(bench.db) == 1
    bench.one(5.0)
    with pytest.raises(LookupError, match="no measurement of a control"):
        actions.review(Transaction(bench.db), 2, "comment", "A", "b")


def test_after_a_corrective_action_the_rules_count_anew(bench: Bench) -> None:
    for minutes in range(0, 1000, 100):
        told = bench.qc(4.05, minutes=minutes)
    assert told == ("rejected", ["10-x"])
    assert bench.qc(4.05, minutes=1000) == ("rejected", ["10-x"])
    actions.act(Transaction(bench.db), actions.controls(bench.config, "glu-low"), None, "A", "calibrated")
    assert bench.one(5.0, minutes=1150)["status"] == "preliminary", "until a control is accepted"
    assert bench.qc(4.05, minutes=1200) == ("accepted", [])
    assert bench.one(5.0, minutes=1250)["status"] == "final"
    with pytest.raises(LookupError, match="on: chem-1"):
        actions.act(Transaction(bench.db), actions.controls(bench.config, "glu-low"), "chem-2", "A", "b")
    with pytest.raises(LookupError, match="glu-low"):
        actions.controls(bench.config, "glu-lo")


def test_a_stretch_is_said_to_be_new_once(bench: Bench) -> None:
    new = []
    for minutes in range(0, 1300, 100):
        new += bench.one(4.05, "QC-L", minutes)["attributes"]["qc"]["new"]
    assert new == ["10-x"]


def test_a_critical_value_stays_listed_until_it_was_read_back(bench: Bench) -> None:
    bench.one(1.9)
    (listed,) = view.waiting(bench.db, CRITICAL)
    assert (listed["side"], listed["limit"]) == ("low", 2.5)
    actions.read_back(Transaction(bench.db), listed["seq"], "A", "Dr B", repeated=False)
    assert len(view.waiting(bench.db, CRITICAL)) == 1
    actions.read_back(Transaction(bench.db), listed["seq"], "A", "Dr B", repeated=True, at=NOW)
    assert view.waiting(bench.db, CRITICAL) == []
    first, second = audit(bench.db)
    assert (first["action"], first["read_back"], second["read_back"]) == ("critical.acknowledged", False, True)
    assert (second["to"], second["told_at"]) == ("Dr B", "2026-03-01T09:00:00Z")


def test_a_held_critical_value_that_was_released_is_read_back_under_either_seq(bench: Bench) -> None:
    bench.qc(4.4)
    bench.one(1.9, minutes=1)
    (new,) = actions.release(Transaction(bench.db), [2], "A", "b")
    (listed,) = view.waiting(bench.db, CRITICAL)
    assert listed["seq"] == new
    actions.read_back(Transaction(bench.db), new, "A", "Dr B", repeated=True)
    assert view.waiting(bench.db, CRITICAL) == []


def test_standing_says_what_is_wrong_and_what_is_well_again(bench: Bench) -> None:
    bench.qc(4.4)
    told = view.standing(bench.db, bench.config, NOW)
    assert told["control:glu-high"] == (False, "")
    assert told["control:glu-low"][0]
    assert "1-3s" in told["control:glu-low"][1]
    bench.qc(4.0, minutes=1)
    assert view.standing(bench.db, bench.config, NOW)["control:glu-low"] == (False, "")


def test_the_chart_is_svg_by_itself_with_the_target_of_each_point(bench: Bench) -> None:
    (low, _) = bench.config.controls
    bench.qc(4.05)
    bench.qc(4.4, minutes=10)
    actions.review(Transaction(bench.db), 2, "accept", "A <b>", "told\x1b so")
    bench.config = parse(DEVICE + CONTROLS.replace('"A1"', '"A2"').replace("4.0", "4.2"))
    bench.qc(4.25, minutes=20)
    bench.qc(None, minutes=30)
    points = view.points(bench.db, low, ["chem-1"])
    assert [one["verdict"] for one in points] == ["accepted", "accepted", "accepted", "rejected"]
    assert [one["target"] for one in points] == [4.0, 4.0, 4.2, None]
    assert (points[1]["seq"], points[1]["reviewed"]["by"]) == (3, "A <b>")
    drawn = ElementTree.fromstring(chart('glucose "low"', points))
    space = "{http://www.w3.org/2000/svg}"
    assert len(drawn.findall(f"{space}line[@class='sd']")) == 7
    assert len(drawn.findall(f"{space}line[@class='target']")) == 2
    assert len(drawn.findall(f"{space}path[@class='accepted']")) == 3
    text = "".join(drawn.itertext())
    assert "1 without a value" in text
    assert "lot A2, target 4.2" in text
    shapes = {one.get("d") for one in drawn.iter(f"{space}path")}
    assert len(shapes) >= 4, "verdicts differ in shape"
    assert ElementTree.fromstring(chart("none", [])) is not None
