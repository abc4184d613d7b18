"""Ledgers against the journal's rows: what counts as lost, doubled, altered and invented, and what does not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from gateway.verify import against

Row = dict[str, Any]
TIME = "2026-01-15T09:30:00Z"


def reading(value: Any, time: str = TIME, **more: Any) -> Row:
    row = {"device": "d", "kind": "reading", "quantity": "temperature", "value": value, "time": time, "specimen": None,
           "device_time": None, "interpretation": None, "attributes": {}}  # fmt: skip
    return {**row, **more}


def result(specimen: str, value: Any, **more: Any) -> Row:
    return reading(value, kind="result", specimen=specimen, quantity="crp", **more)


def judged(tmp_path: Path, meant: Iterable[tuple[Row, bool]], rows: Iterable[Row], *, confirmed: bool = True) -> Row:
    """The counts that are not zero, of messages (an observation, whether it was acknowledged) against rows."""
    ledger = tmp_path / "ledger.ndjson"
    lines: list[Row] = [{"ledger": 1, "device": "d", "confirmed": confirmed}]
    for number, (one, acknowledged) in enumerate(meant, 1):
        lines += [{"meant": number, "observations": [one]}, {"sent": number}]
        lines += [{"acknowledged": number}] if acknowledged else []
    ledger.write_text("".join(json.dumps(line) + "\n" for line in lines))
    report, good = against([ledger], iter([(seq, json.dumps(row).encode()) for seq, row in enumerate(rows, 1)]))
    wrong = {name: report[name] for name in ("lost", "doubled", "altered", "invented") if report[name]}
    assert good == (not wrong)
    return wrong


def means(value: Any, time: str = TIME) -> Row:
    return {"kind": "reading", "quantity": "temperature", "value": value, "time": time}


def test_all_as_meant(tmp_path: Path) -> None:
    meant = {"kind": "result", "quantity": "crp", "test": "^^^CRP", "specimen": "S1", "value": 4.2, "time": TIME}
    assert judged(tmp_path, [(meant, True)], [result("S1", 4.2)]) == {}


def test_a_test_is_known_however_its_protocol_writes_it(tmp_path: Path) -> None:
    meant = {"kind": "result", "quantity": "glu", "test": "^^^GLU", "specimen": "S1", "value": 4.2, "time": TIME}
    renamed = result("S1", 4.2, attributes={"test": "GLU"}) | {"quantity": "glucose"}
    assert judged(tmp_path, [(meant, True)], [renamed]) == {}
    other = result("S1", 4.2, attributes={"test": "GLUT"}) | {"quantity": "glucose"}
    assert judged(tmp_path, [(meant, True)], [other]) == {"lost": 1, "invented": 1}


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ([], {"lost": 1}),
        ([result("S1", 4.2), result("S1", 4.2)], {"doubled": 1}),
        ([result("S1", 42)], {"altered": 1}),
        ([result("S1", 4.2), result("S9", 4.2)], {"invented": 1}),
    ],
)
def test_what_is_wrong(tmp_path: Path, rows: list[Row], wrong: Row) -> None:
    meant = {"kind": "result", "quantity": "crp", "test": "^^^CRP", "specimen": "S1", "value": 4.2, "time": TIME}
    assert judged(tmp_path, [(meant, True)], rows) == wrong


def test_a_value_that_became_another_by_a_rule_is_the_one_that_was_sent(tmp_path: Path) -> None:
    meant = {"kind": "result", "quantity": "crp", "test": "^^^CRP", "specimen": "S1", "value": 0.92, "time": TIME}
    folded = {"value_as_sent": 0.92, "rule": "10*6/mL folded"}
    assert judged(tmp_path, [(meant, True)], [result("S1", 920000, attributes=folded)]) == {}
    as_text = {"value_as_sent": "0,92"}
    assert judged(tmp_path, [(meant, True)], [result("S1", 0.92, attributes=as_text)]) == {}
    assert judged(tmp_path, [(meant, True)], [result("S1", 920000, attributes={"value_as_sent": 0.93})]) == {
        "altered": 1
    }


def test_of_equal_readings_the_acknowledged_ones_must_be_there(tmp_path: Path) -> None:
    """Which of two equal ones a row without a time is, nobody can say."""
    meant = [(means(-80.1), False), (means(-80.1), True)]
    assert judged(tmp_path, meant, [reading(-80.1)]) == {}
    assert judged(tmp_path, meant, []) == {"lost": 1}
    assert judged(tmp_path, meant, [reading(-80.1)] * 3) == {"doubled": 1}


def test_a_reading_is_known_by_the_time_its_instrument_said(tmp_path: Path) -> None:
    """Also where that was found wrong, so that another time is stored."""
    told = [(means(5, "2026-01-15T19:30:00Z"), True)]
    wrong_clock = {"clock_offset_s": 36000}
    for said in ("2026-01-15T19:30:00+00:00", "unix:1768505400", "2026-01-16T00:30:00+05:00"):
        assert judged(tmp_path, told, [reading(5, device_time=said, attributes=wrong_clock)]) == {}
    other = reading(5, device_time="2026-01-15T19:31:00+00:00", attributes=wrong_clock)
    assert judged(tmp_path, told, [other]) == {"lost": 1, "invented": 1}
    local = reading(5, device_time="15.01.2026 19:30", attributes=wrong_clock)  # its zone is not known here
    assert judged(tmp_path, told, [local]) == {}


def test_no_answer_claims_nothing_but_replaces_nothing_either(tmp_path: Path) -> None:
    silent = reading(None, quality="bad")
    assert judged(tmp_path, [(means(5), True)], [reading(5), silent]) == {}
    assert judged(tmp_path, [(means(5), True)], [silent]) == {"lost": 1}


def test_who_is_asked_may_say_one_value_several_times(tmp_path: Path) -> None:
    assert judged(tmp_path, [(means(5), False)], [reading(5)] * 3, confirmed=False) == {}
