"""A report from a journal: periods on the wall's clock, limits, quality, alarms, calibration, proof."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.equipment import reading
from gateway.equipment.asked import Asked, NotThereError, TooManyError, edges, period
from gateway.equipment.make import make
from gateway.equipment.reading import covering
from gateway.journal import seals
from gateway.journal.schema import FILE, connect
from gateway.reports import open_journal
from tests.gateway.equipment_bench import START, Bench

COLD = [-80.0] * 61


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def test_limits_come_from_the_configured_alarms_or_from_who_asks(bench: Bench) -> None:
    bench.observe(0, *([-80.0] * 10), -70.0, -69.9, *([-80.0] * 49))
    report = bench.report()
    assert (report.low, report.high) == (None, -70.0)
    assert [(one.alarm, one.high, one.lasting) for one in report.limits_from] == [("freezer-warm", -70.0, 600.0)]
    assert [(one.start, one.seconds, one.extreme) for one in report.excursions] == [(at(11), 60.0, -69.9)]
    asked = bench.report(high=-60.0, low=-90.0)
    assert (asked.excursion_count, asked.limits_from, asked.low, asked.high) == (0, [], -90.0, -60.0)


def test_of_several_alarms_the_narrowest_limits_count_and_no_statistic_does(tmp_path: Path) -> None:
    bench = Bench(tmp_path, alarms="""
[[alarms]]
id = "too-warm"
when = { device = "freezer-1", quantity = "temperature", above = -65.0, below = -90.0 }
[[alarms]]
id = "mean-warm"
when = { device = "freezer-1", quantity = "temperature", above = -79.0, statistic = "mean", within = "1h" }
[[alarms]]
id = "too-cold"
when = { device = "*", quantity = "*", below = -88.0 }
[[alarms]]
id = "damp"
when = { device = "freezer-1", quantity = "humidity", above = 0.0 }
""")  # fmt: skip
    bench.observe(0, *COLD)
    report = bench.report()
    assert (report.low, report.high) == (-88.0, -70.0)
    assert [one.alarm for one in report.limits_from] == ["freezer-warm", "too-warm", "too-cold"]


def test_without_limits_nothing_is_judged(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.observe(0, *([40.0] * 61), quantity="humidity", unit="%")
    report = bench.report(quantity="humidity")
    assert (report.low, report.high, report.excursion_count, report.whole.kinetic) == (None, None, 0, None)
    assert b"No limit is configured or given" in bench.written("html", quantity="humidity")


def test_other_units_of_temperature_have_a_kinetic_mean_too(bench: Bench) -> None:
    for n, value in enumerate((2.0, 5.0, 8.0, 15.0)):
        bench.observe(n * 15, value + 273.15, unit="K")
    report = bench.report(high=300.0)
    assert report.whole.kinetic == pytest.approx(8.960, abs=0.001)
    assert report.whole.mean == pytest.approx(7.5 + 273.15)


def test_a_gap_is_three_usual_times_or_what_is_asked(bench: Bench) -> None:
    bench.observe(0, *([-80.0] * 20))
    bench.observe(22, *([-80.0] * 10))
    bench.observe(35, *([-80.0] * 30))
    report = bench.report()
    assert (report.usual, report.gap) == (60.0, 180.0)
    assert [(one.start, one.end) for one in report.gaps] == [(at(31), at(35))]
    assert bench.report(gap="10m").gaps == []
    assert [one.start for one in bench.report(gap="2m").gaps] == [at(19), at(31)]


def test_what_was_before_and_comes_after_counts_at_the_ends(bench: Bench) -> None:
    bench.observe(-3, -60.0, -60.0, -60.0, *([-80.0] * 10), *([-50.0] * 60), every=2.0)
    report = bench.report(0, 60)
    first, last = report.excursions
    assert (first.start, first.end, first.begun) == (at(0), at(3), "before the period")
    assert (last.end, last.ended) == (at(60), "after the period")
    assert report.whole.unknown == 0


def test_quality_and_other_units_are_counted_and_left_out(bench: Bench) -> None:
    bench.observe(0, *([-80.0] * 20))
    bench.observe(20, 7.0, 6.0, quality="uncertain")
    bench.observe(22, 99.0, quality="bad")
    bench.observe(23, -50.0, unit="[degF]")
    bench.observe(24, "broken", quality="bad")
    bench.observe(25, -10.0, comparator=">")
    bench.observe(26, *([-80.0] * 40))
    report = bench.report()
    assert [(one.reason, one.count, one.low, one.high) for one in report.left_out] == [
        ("in another unit", 1, -50.0, -50.0),
        ("not a number", 1, None, None),
        ("only a limit is known (>)", 1, -10.0, -10.0),
        ("quality bad", 1, 99.0, 99.0),
        ("quality uncertain", 2, 6.0, 7.0),
    ]
    assert (report.whole.low, report.whole.high, report.whole.unknown, report.silent) == (-80.0, -80.0, 360.0, 0.0)


def test_what_retention_removed_is_not_said_to_have_been_silent(bench: Bench) -> None:
    bench.observe(0, *COLD)
    assert bench.report().kept_from is None
    bench.audit("retention", 1440, raw=20, seq=20)
    with closing(connect(bench.folder / FILE)) as db:
        db.execute("DELETE FROM observation WHERE seq <= 20")
    report = bench.report()
    assert (report.kept_from, report.whole.unknown) == (at(20), 1200.0)
    assert b"has been removed from it (retention)" in bench.written("html")
    assert bench.report(30, 60).kept_from is None


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_it_is_read_in_pieces_without_a_seam(bench: Bench, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Samples of one moment fall on either side of a piece's end."""
    bench.observe(0, *(float(-90 + n) for n in range(30)), every=2.0)
    bench.observe(20, *([-75.0] * 9), every=0.0)
    bench.observe(1, *(float(-60 - n) for n in range(30)), every=2.0, late=100.0)
    whole = bench.report()
    assert whole.whole.samples == 69
    monkeypatch.setattr(reading, "CHUNK", rows)
    monkeypatch.setattr(reading, "MANY", rows)
    assert bench.report() == whole


def test_late_data_fill_the_gap_and_are_said_to_be_late(bench: Bench) -> None:
    bench.observe(0, *([-80.0] * 20))
    bench.observe(40, *([-80.0] * 21))
    before = bench.report()
    assert (before.gap_count, before.late) == (1, 0)
    bench.observe(20, *([-75.0] * 20), late=180.0)
    after = bench.report()
    assert (after.gap_count, after.late, after.latest, after.whole.unknown) == (0, 20, 3 * 3600.0, 0.0)
    assert b"20 samples arrived late, up to 180 min" in bench.written("csv")


def test_a_correction_stands_for_what_was_first_read(bench: Bench) -> None:
    bench.observe(0, *([-80.0] * 20), 800.0, *([-80.0] * 40))
    bench.observe(20, -80.5, status="corrected", attributes={"corrects": 21})
    bench.observe(30, None, status="cancelled", quality="bad", attributes={"corrects": 31})
    for seq in (21, 31):
        bench.audit("observation.corrected", 50, corrects=seq, raw=seq)
    report = bench.report()
    assert (report.whole.high, report.excursion_count, report.proof.corrected) == (-80.0, 0, 2)
    assert report.whole.samples == 59


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2025-03-30", 23), ("2025-10-26", 25)],
)
def test_a_day_on_which_the_clocks_change_has_its_own_length(tmp_path: Path, day: str, hours: int) -> None:
    bench = Bench(tmp_path, zone="Europe/Berlin")
    first = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(hours=3)
    bench.observe((first - START) / timedelta(minutes=1), *([-80.0] * 30), every=60.0)
    following = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    report = bench.report(day, following)
    assert (report.until - report.since) == timedelta(hours=hours)
    assert (report.whole.samples, report.whole.within, report.whole.unknown) == (hours, hours * 3600.0, 0.0)
    assert len(report.parts) == hours  # an hour each, also the one that comes twice
    assert all(one.samples == 1 for one in report.parts)
    month = bench.report(day[:8] + "01", following)
    assert (month.parts[-1].end - month.parts[-1].start) == timedelta(hours=hours)
    offsets = {one.start.astimezone(period(Asked("x", since=day), "Europe/Berlin").zone).hour for one in month.parts}
    assert offsets == {0}


def test_times_without_a_zone_are_local_and_the_future_is_not_reported() -> None:
    now = datetime(2025, 3, 2, tzinfo=UTC)
    found = period(Asked("x", since="2025-03-01", until="2025-03-03T00:00", timezone="Asia/Karachi"), "UTC", now)
    assert found.since == int(datetime(2025, 2, 28, 19, tzinfo=UTC).timestamp() * 1e6)
    assert found.until == int(now.timestamp() * 1e6)
    week = period(Asked("x"), "UTC", now)
    assert week.until - week.since == 7 * 86_400_000_000
    assert edges(week)[1:-1] == [week.since + n * 86_400_000_000 for n in range(1, 7)]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"since": "2025-03-02", "until": "2025-03-01"}, "period is empty"),
        ({"since": "2001-01-01"}, "10 years at most"),
        ({"since": "yesterday"}, "is no time"),
        ({"since": "0001-01-01", "timezone": "Asia/Karachi"}, "too far away|10 years"),
        ({"until": "99999999999999d"}, "too far away"),
        ({"timezone": "Mars/Olympus"}, "no time zone"),
        ({"timezone": "../../etc/passwd"}, "no time zone"),
        ({"low": 5.0, "high": 1.0}, "is above the high one"),
        ({"high": float("nan")}, "is no limit"),
        ({"gap": "soon"}, "not a duration"),
        ({"gap": "0s"}, "gap"),
        ({"quantity": "humidity"}, "It has: temperature"),
        ({"device": "freezer-9"}, "Known are: freezer-1"),
    ],
)
def test_who_asks_wrongly_is_told_what_to_write(bench: Bench, asked: dict[str, Any], says: str) -> None:
    bench.observe(0, *COLD)
    with pytest.raises(LookupError, match=says):
        bench.report(**{"since": 0, "until": 60, **asked})


def test_a_device_that_never_spoke_has_a_report_of_nothing(bench: Bench) -> None:
    report = bench.report()
    assert (report.whole.samples, report.whole.unknown, report.whole.mean) == (0, 3600.0, None)
    assert b"Not known for 60 min of 60 min." in bench.written("html")


def test_a_device_that_is_configured_no_more_still_has_its_report(bench: Bench) -> None:
    bench.observe(0, *COLD, device="old-fridge")
    report = bench.report(device="old-fridge", high=-70.0)
    assert (report.whole.samples, report.label) == (60, "")
    with pytest.raises(NotThereError):
        bench.report(device="older-fridge")


def test_where_others_wait_too_many_samples_are_refused(bench: Bench) -> None:
    bench.observe(0, *COLD)
    asked = Asked("freezer-1", since=START.isoformat(), until=at(60).isoformat())
    with open_journal(bench.config) as db:
        assert make(db, bench.config, asked, most=60).whole.samples == 60
        with pytest.raises(TooManyError, match="more than 59 samples"):
            make(db, bench.config, asked, most=59)


def test_every_transition_of_the_devices_alarms_is_listed_and_no_others(tmp_path: Path) -> None:
    other = '[[devices]]\nid = "lab.freezer-1"\ndriver = "mqtt-json"\n' \
        'link = { type = "mqtt", broker = "bench", topic = "b" }\nreadings = []'  # fmt: skip
    bench = Bench(tmp_path, more=other)
    bench.observe(0, *COLD)
    bench.alarm("raised", 5, "freezer-warm.freezer-1.temperature", why="-69 °C is above -70")
    bench.alarm("raised", 6, "freezer-warm.freezer-10.temperature")
    bench.alarm("raised", 6, "freezer-1.freezer-2.temperature")
    bench.alarm("raised", 6, "freezer-warm.lab.freezer-1.temperature")
    bench.alarm("acknowledged", 7, "freezer-warm.freezer-1.temperature", by="Ayesha Khan", why="door closed")
    bench.alarm("raised", 8, "silent-freezer-1.freezer-1")
    bench.audit("maintenance.began", 20, device="freezer-1", by="Li Wei", why="defrost")
    bench.audit("maintenance.began", 20, device="freezer-2", by="Li Wei", why="defrost")
    bench.alarm("cleared", 61, "freezer-warm.freezer-1.temperature")
    report = bench.report()
    assert [(one.alarm, one.what, one.by, one.why) for one in report.transitions] == [
        ("freezer-warm.freezer-1.temperature", "raised", "", "-69 °C is above -70"),
        ("freezer-warm.freezer-1.temperature", "acknowledged", "Ayesha Khan", "door closed"),
        ("silent-freezer-1.freezer-1", "raised", "", ""),
        ("", "maintenance began", "Li Wei", "defrost"),
    ]
    assert (report.transition_count, report.transitions[0].at) == (4, at(5))


@pytest.mark.parametrize(
    ("calibration", "holds", "verdict"),
    [
        ("", False, "No calibration is configured"),
        ("calibration = { done = 2024-03-01, due = 2025-03-01 }", True, "In force throughout"),
        ("calibration = { done = 2024-02-28, due = 2025-02-28 }", False, "Overdue.*2025-02-28, before this period"),
        ("calibration = { due = 2025-03-02 }", False, "Overdue.*within this period"),
        ("calibration = { done = 2025-03-02, due = 2026-03-02 }", False, "after this period began"),
        ("calibration = { done = 2024-03-02 }", False, "No date is configured"),
    ],
)
def test_whether_the_calibration_held(tmp_path: Path, calibration: str, holds: bool, verdict: str) -> None:
    bench = Bench(tmp_path, more=calibration)
    bench.observe(0, *COLD)
    days = 3 if "within" in verdict else 1
    found = bench.report(0, days * 1440).calibration
    assert found.holds is holds
    assert re.search(verdict, found.verdict)


def test_the_same_journal_and_period_give_the_same_bytes_also_when_it_has_grown(bench: Bench) -> None:
    bench.observe(0, *COLD)
    bench.alarm("raised", 5, "freezer-warm.freezer-1.temperature")
    bench.seal()
    forms = ("html", "csv", "pdf", "json")
    before = {form: bench.written(form) for form in forms}
    bench.observe(61, *COLD)
    bench.alarm("raised", 70, "freezer-warm.freezer-1.temperature")
    bench.seal()
    assert {form: bench.written(form) for form in forms} == before
    stamped = bench.written("json", "2025-03-02T00:00:00Z by assaygate 9")
    assert set(stamped.splitlines()) - set(before["json"].splitlines()) == {
        b'  "made": "2025-03-02T00:00:00Z by assaygate 9",'
    }


def test_the_head_it_names_is_one_that_verify_knows(bench: Bench) -> None:
    bench.observe(0, *COLD)
    assert bench.report().proof.head == ""
    bench.seal()
    with open_journal(bench.config) as db:
        assert covering(db, 60, 0, int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1e6)) == ""  # more may still come
        assert covering(db, 62, 0, 0) == ""
        assert covering(db, 61, 1, 0) == ""
    proof = bench.report().proof
    assert (proof.rows, proof.first_seq, proof.last_seq) == (60, 1, 60)
    path = bench.folder / "assaygate.toml"
    path.write_text(bench.text)
    command = [sys.executable, "-m", "gateway.cli", "verify", "-c", str(path), "--head", proof.head]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    db = connect(bench.folder / FILE)
    db.execute("UPDATE observation SET body = CAST(replace(CAST(body AS TEXT), '-80.0', '-81.0') AS BLOB) WHERE seq=7")
    found = seals.check(db, seals.key(bench.folder), proof.head)
    db.close()
    assert found.problems == ["seq 7 has been altered since it was sealed"]
