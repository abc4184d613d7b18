"""Runs of PCR: results wait for the blank and the positive control, and for the internal control of their own well."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.journal.schema import connect, migrate
from gateway.journal.transaction import Row, Transaction
from gateway.qc import actions, view
from gateway.qc.state import HELD
from tests.gateway.test_qc_stage import START, Bench

NOW = int(START.timestamp() * 1e6)
CHECK = '[[run_checks]]\nid = "pcr"\nquantity = "target*"\nblank = "NTC*"\npositive = "PC*"\n'
WITH_INTERNAL = CHECK.replace('"target*"', '"*"') + 'internal = "rnase-p"\n'


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "journal.sqlite")) as made:
        migrate(made)
        yield made


def well(bench: Bench, specimen: str, call: str | None, quantity: str = "target-a", **fields: Any) -> Row:
    return bench.row(None, specimen, quantity=quantity, interpretation=call, unit=None, **{"run": "R7", **fields})


def blank(bench: Bench, call: str = "not-detected", **fields: Any) -> Row:
    return well(bench, "NTC-1", call, **fields)


def positive(bench: Bench, call: str = "detected", **fields: Any) -> Row:
    return well(bench, "PC-1", call, **fields)


def of(bodies: list[dict[str, Any]], specimen: str) -> dict[str, Any]:
    return next(body for body in bodies if body["specimen"] == specimen)


def test_a_valid_run_in_one_message_is_final_whatever_its_order(db: sqlite3.Connection) -> None:
    bench = Bench(db, CHECK)
    bodies = bench.keep(well(bench, "S1", "detected"), positive(bench), blank(bench), well(bench, "S2", "not-detected"))
    assert [(body["kind"], body["status"]) for body in bodies] == [
        ("result", "final"), ("qc", "final"), ("qc", "final"), ("result", "final"),
    ]  # fmt: skip
    assert of(bodies, "NTC-1")["attributes"]["run_validity"] == {"check": "pcr", "role": "blank", "valid": True}


@pytest.mark.parametrize(
    ("controls", "words"),
    [
        (lambda b: [blank(b, "detected"), positive(b)], "blank is not negative for target-a"),
        (lambda b: [blank(b, "indeterminate"), positive(b)], "blank is not negative"),
        (lambda b: [blank(b, quality="bad"), positive(b)], "blank is not negative"),
        (lambda b: [blank(b), positive(b, "not-detected")], "positive is not detected for target-a"),
        (lambda b: [blank(b), positive(b), blank(b, "detected")], "blank is not negative"),
        (lambda b: [blank(b, "detected"), positive(b), blank(b)], "blank is not negative"),
        (lambda b: [blank(b), positive(b), blank(b, "detected", quantity="target-b")], "for target-b"),
        (lambda b: [positive(b)], "blank has not been seen"),
        (lambda b: [blank(b)], "positive has not been seen"),
        (lambda b: [blank(b, run="R8"), positive(b, run="R8")], "has not been seen"),
    ],
)
def test_results_of_a_run_that_is_not_valid_are_held(db: sqlite3.Connection, controls: Any, words: str) -> None:
    bench = Bench(db, CHECK)
    held = of(bench.keep(*controls(bench), well(bench, "S1", "detected")), "S1")
    assert (held["status"], held["interpretation"]) == ("preliminary", "detected")
    assert words in held["attributes"]["hold"]
    assert "run R7" in held["attributes"]["hold"]


def test_a_result_that_names_no_run_is_held(db: sqlite3.Connection) -> None:
    bench = Bench(db, CHECK)
    (body,) = bench.keep(well(bench, "S1", "detected", run=None))
    assert "names no run" in body["attributes"]["hold"]


def test_a_wells_own_internal_control_counts(db: sqlite3.Connection) -> None:
    bench = Bench(db, WITH_INTERNAL)
    bodies = bench.keep(
        well(bench, "S1", "not-detected"),
        well(bench, "S2", "not-detected"),
        well(bench, "S3", "not-detected"),
        well(bench, "S1", "detected", "rnase-p"),
        well(bench, "S2", "not-detected", "rnase-p"),
        blank(bench),
        positive(bench),
    )
    assert [of(bodies, name)["status"] for name in ("S1", "S2", "S3")] == ["final", "preliminary", "preliminary"]
    assert "internal control is not valid" in of(bodies, "S2")["attributes"]["hold"]
    assert "internal control has not been seen" in of(bodies, "S3")["attributes"]["hold"]


def test_what_waited_is_released_when_the_controls_of_its_run_come(db: sqlite3.Connection) -> None:
    bench = Bench(db, CHECK)
    bench.keep(well(bench, "S1", "detected"), blank(bench))
    bench.keep(well(bench, "S2", "not-detected"))
    assert [one["why"] for one in view.waiting(db, HELD)] == ["run R7: its positive has not been seen"] * 2
    bodies = bench.keep(positive(bench))
    assert [body["specimen"] for body in bodies] == ["PC-1", "S1", "S2"]
    for body in bodies[1:]:
        assert (body["status"], body["attributes"]["released"]["by"]) == ("final", "assaygate")
        assert (body["attributes"]["run_validity"]["valid"], "hold" in body["attributes"]) == (True, False)
    assert [body["attributes"]["corrects"] for body in bodies[1:]] == [1, 3]
    assert view.held_count(db) == 0
    actions_ = [orjson.loads(body)["action"] for (body,) in db.execute("SELECT body FROM audit")]
    assert actions_ == ["qc.released", "qc.released"]
    assert bench.keep(positive(bench))[1:] == [], "once"


def test_what_waited_stays_held_when_a_control_of_its_run_fails(db: sqlite3.Connection) -> None:
    bench = Bench(db, CHECK)
    bench.keep(well(bench, "S1", "detected"), blank(bench))
    assert len(bench.keep(positive(bench, "not-detected"))) == 1
    (waits,) = view.waiting(db, HELD)
    assert "positive is not detected" in waits["why"]
    assert "R7" in view.standing(db, bench.config, NOW)["run:pcr"][1]
    bench.keep(blank(bench, run="R8"), positive(bench, run="R8"))
    assert view.standing(db, bench.config, NOW)["run:pcr"] == (False, "")
    assert view.held_count(db) == 1


def test_what_a_person_released_is_not_released_again(db: sqlite3.Connection) -> None:
    bench = Bench(db, CHECK)
    bench.keep(well(bench, "S1", "detected"), blank(bench))
    actions.release(Transaction(db), [1], "A", "confirmed elsewhere")
    assert len(bench.keep(positive(bench))) == 1


def test_what_was_corrected_while_it_waited_is_released_as_corrected(db: sqlite3.Connection) -> None:
    bench = Bench(db, CHECK)
    (held, _) = bench.keep(well(bench, "S1", "detected"), blank(bench))
    correcting = {**held, "interpretation": "not-detected", "attributes": {**held["attributes"], "corrects": 1}}
    again = well(bench, "S1", "detected")._replace(body=orjson.dumps(correcting))
    Transaction(db).observe([again])
    _, released = bench.keep(positive(bench))
    assert (released["interpretation"], released["attributes"]["corrects"]) == ("not-detected", 3)


def test_what_something_else_holds_too_is_not_released_by_its_run(db: sqlite3.Connection) -> None:
    bench = Bench(db, CHECK + '[[lockouts]]\nid = "l"\nlockout = "hold"\n')
    bench.keep(well(bench, "S1", "detected", lot="K1", lot_expiry="2020-01-01"), blank(bench))
    assert len(bench.keep(positive(bench))) == 1
    assert view.held_count(db) == 1


def test_where_holding_is_not_asked_for_results_only_say_so(db: sqlite3.Connection) -> None:
    bench = Bench(db, CHECK + "hold = false\n")
    body = of(bench.keep(blank(bench, "detected"), positive(bench), well(bench, "S1", "detected")), "S1")
    assert body["status"] == "final"
    assert body["attributes"]["run_validity"]["valid"] is False
