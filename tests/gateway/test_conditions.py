"""Each condition as a laboratory meets it, just inside and just outside."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.alarms.conditions import build, by_device, others
from gateway.alarms.when import When
from gateway.config import parse
from gateway.config_errors import ConfigError
from tests.gateway.conditions_bench import DAY, HOUR, MINUTE, course, fed, result, rule, seen, when


def every(period: float, since: float, until: float, value: float) -> list[tuple[float, float]]:
    return [(since + n * period, value) for n in range(int((until - since) / period) + 1)]


# ---- delays


def test_an_alarm_ends_only_after_it_was_over_for_long_enough() -> None:
    warm = rule(above=-70.0, clear_below=-72.0, clear_for="5m")
    assert course(warm, (0, -69), (60, -73), (300, -71), (360, -73), (659, -73)) == [True, True, True, True, True]
    assert course(warm, (660, -73)) == [False]


def test_the_clock_ends_it_too() -> None:
    warm = fed(rule(above=-70.0, clear_for="5m"), [(0, -69), (60, -73)])
    warm.tick(359)
    assert warm.holds
    warm.tick(360)
    assert not warm.holds


def test_the_deadband_is_the_way_back_and_no_shorter_way_in() -> None:
    warm = rule(above=-70.0, clear_below=-72.0, for_="10m")
    assert course(warm, (0, -69), (300, -71), (600, -71), (900, -69), (1500, -69), (1600, -71), (1700, -72)) == [
        False, False, False, False, True, True, False,
    ]  # fmt: skip


def test_each_limit_has_its_own_deadband() -> None:
    fridge = rule(above=8.0, below=2.0, clear_below=7.5, clear_above=2.5)
    assert course(fridge, (0, 8.0), (1, 8.1), (2, 7.6), (3, 2.3), (4, 1.9), (5, 2.4), (6, 2.5)) == [
        False, True, True, False, True, True, False,
    ]  # fmt: skip


def test_back_filled_readings_do_not_look_as_if_they_had_lasted_until_now() -> None:
    """A reading of three hours ago that arrives now was above the limit then, which says nothing of the time since."""
    now = 100_000.0
    warm = rule(above=-70.0, for_="10m")
    warm.feed(seen(now - 3 * HOUR, -60, received=now))
    warm.tick(now + 599)
    assert not warm.holds
    warm.tick(now + 600)
    assert warm.holds


def test_what_had_lasted_when_it_arrived_counts() -> None:
    now = 100_000.0
    warm = rule(above=-70.0, for_="10m")
    warm.feed(seen(now - 3 * HOUR, -60, received=now))
    warm.feed(seen(now - 3 * HOUR + 500, -60, received=now))
    warm.tick(now + 99)
    assert not warm.holds
    warm.tick(now + 100)
    assert warm.holds


def test_what_is_late_changes_nothing() -> None:
    for condition in (
        rule(above=-70.0, for_="10m"),
        rule(statistic="max", above=-70.0, within="1h"),
        rule(rises=5, within="10m"),
    ):
        fed(condition, every(MINUTE, 0, HOUR, -80))
        before = condition.dump()
        assert condition.latest == HOUR
        condition.feed(seen(HOUR - 1, -20))
        assert condition.dump() == before


# ---- windows


def test_a_rise_just_large_enough_just_in_time() -> None:
    assert course(rule(rises=5.0, within="10m"), (0, -80), (300, -76), (600, -75)) == [False, False, True]
    assert course(rule(rises=5.0, within="10m"), (0, -80), (600, -75.01)) == [False, False]
    assert course(rule(rises=5.0, within="10m"), (0, -80), (620, -75)) == [False, False]
    assert course(rule(falls=5.0, within="10m"), (0, 37), (600, 32)) == [False, True]


@pytest.mark.parametrize(
    ("said", "inside", "outside"),
    [
        ({"statistic": "mean", "above": 5.1}, [4.0, 6.0], [4.0, 6.3]),
        ({"statistic": "min", "below": 2.0}, [2.0, 8.0], [1.9, 8.0]),
        ({"statistic": "max", "above": 8.0}, [2.0, 8.0], [2.0, 8.1]),
        ({"statistic": "sd", "above": 1.1}, [4.0, 6.0], [3.8, 6.2]),
        ({"statistic": "sd", "below": 0.1}, [4.0, 4.3], [4.0, 4.1]),
        ({"statistic": "mkt", "above": 5.15}, [4.0, 6.0], [4.0, 6.2]),
    ],
)
def test_statistics_of_an_hour(said: dict[str, Any], inside: list[float], outside: list[float]) -> None:
    for values, expected in ((inside, False), (outside, True)):
        condition = rule(within="1h", **said)
        fed(condition, [(n * MINUTE, values[n % 2]) for n in range(62)])
        assert condition.holds is expected, condition.explanation


def test_the_mean_kinetic_temperature_weighs_by_time() -> None:
    """23 hours at 5 and one at 25 degrees: 7.756 (the standards' worked case), whatever the pace of the sensor."""
    for pace in (MINUTE, 5 * MINUTE):
        room = rule(statistic="mkt", above=7.75, within="1d", covered=0.95)
        fed(room, every(5 * MINUTE, 0, 23 * HOUR - 300, 5.0))
        fed(room, every(pace, 23 * HOUR, 24 * HOUR, 25.0))
        assert isinstance(room.value, float)
        assert room.value == pytest.approx(7.756, abs=0.001)
        assert room.holds
    frozen = rule(statistic="mkt", above=-60.0, within="1h", gap="10m")
    fed(frozen, [(n * 600, -80 if n < 5 else -60) for n in range(7)])
    assert isinstance(frozen.value, float)
    assert frozen.value == pytest.approx(-67.68, abs=0.01)


def test_a_gap_weighs_nothing() -> None:
    room = rule(statistic="mkt", above=20.0, within="1d", covered=0.05)
    fed(room, every(MINUTE, 0, HOUR, 5.0))
    fed(room, every(MINUTE, 12 * HOUR, 13 * HOUR, 5.0))
    assert isinstance(room.value, float)
    assert room.value == pytest.approx(5.0)
    fed(room, [(13 * HOUR + 60, 60.0), (20 * HOUR, 5.0)])
    assert room.value == pytest.approx(5.0)


def test_a_start_raises_no_ghost() -> None:
    """Half of the window must have been seen before its statistic is one."""
    room = rule(statistic="mean", above=25.0, within="1h")
    assert not fed(room, every(MINUTE, 0, 29 * MINUTE, 30.0)).holds
    assert fed(room, [(30 * MINUTE, 30.0)]).holds
    early = rule(statistic="mean", above=25.0, within="1h", covered=0.1)
    assert fed(early, every(MINUTE, 0, 6 * MINUTE, 30.0)).holds


def test_after_a_gap_what_held_goes_on_to_until_it_is_known() -> None:
    room = fed(rule(statistic="mean", above=25.0, within="1h"), every(MINUTE, 0, HOUR, 30.0))
    assert room.holds
    fed(room, every(MINUTE, 5 * HOUR, 5 * HOUR + 29 * MINUTE, 20.0))
    assert room.holds
    assert not fed(room, [(5 * HOUR + 30 * MINUTE, 20.0)]).holds


def test_time_out_of_limits_adds_up() -> None:
    """Doors: six times five minutes in a day are half an hour."""
    fridge = rule(above=8.0, out_for="30m", within="1d")
    for n in range(6):
        fed(fridge, every(MINUTE, n * HOUR, n * HOUR + 4 * MINUTE, 9.0))
        fed(fridge, [(n * HOUR + 5 * MINUTE - 1, 9.0)])
        assert not fridge.holds
        fed(fridge, [(n * HOUR + 5 * MINUTE, 5.0)])
        fed(fridge, every(MINUTE, n * HOUR + 6 * MINUTE, (n + 1) * HOUR - MINUTE, 5.0))
    assert fridge.holds
    fed(fridge, every(MINUTE, 6 * HOUR, 24 * HOUR, 5.0))
    assert fridge.holds
    fed(fridge, every(MINUTE, 24 * HOUR, 25 * HOUR, 5.0))
    assert not fridge.holds


def test_time_nobody_saw_is_not_time_out_of_limits() -> None:
    fridge = rule(above=8.0, out_for="10m", within="1d")
    assert not fed(fridge, [(0, 9.0), (301, 9.0), (700, 9.0)]).holds
    assert fed(rule(above=8.0, out_for="10m", within="1d"), [(0, 9.0), (300, 9.0), (600, 9.0)]).holds
    assert fed(rule(above=8.0, out_for="10m", within="1d", gap="11m"), [(0, 9.0), (601, 9.0)]).holds


def test_a_slow_sensor_has_its_own_idea_of_near() -> None:
    """Every ten minutes is more than five, and usual for it."""
    fridge = rule(above=8.0, out_for="1h", within="1d")
    fed(fridge, every(600, 0, 4 * HOUR, 5.0))
    assert not fed(fridge, every(600, 4 * HOUR + 600, 5 * HOUR, 9.0)).holds
    assert fed(fridge, [(5 * HOUR + 600, 9.0)]).holds


# ---- twins, set points, expressions


def test_a_twin_sees_what_the_frozen_probe_hides() -> None:
    """It shows -79 for ever while it is +7 inside: neither its limit nor its delay would ever tell."""
    own, twin = rule(above=-70.0), rule(deviates=5.0, from_="freezer-3b/temperature", for_="10m")
    for minute in range(180):
        at = minute * MINUTE
        own.feed(seen(at, -79.0))
        twin.feed(seen(at, -79.0))
        twin.feed(seen(at + 5, min(7.0, -79.0 + minute), device="freezer-3b"))
        assert twin.holds == (minute >= 16), minute
    assert not own.holds
    assert "freezer-3b/temperature" in twin.explanation


def test_a_deviation_just_inside_and_just_outside_with_its_deadband() -> None:
    incubator = rule(deviates=0.5, from_=37.0, clear_below=0.3)
    assert course(incubator, (0, 37.5), (1, 37.51), (2, 36.6), (3, 36.7)) == [False, True, True, False]


def test_a_set_point_that_was_not_heard_of_lately_decides_nothing() -> None:
    chamber = rule(deviates=2.0, from_="setpoint", fresh="10m")
    fed(chamber, [(0, 30.0)])
    assert not chamber.holds
    chamber.feed(seen(1, 25.0, quantity="setpoint"))
    assert chamber.holds
    fed(chamber, [(601, 26.0)])  # ten minutes after it: just fresh
    assert not chamber.holds
    chamber.feed(seen(601, 30.0))
    assert chamber.holds
    assert fed(chamber, [(602, 25.0)]).holds
    chamber.feed(seen(603, 25.0, quantity="setpoint"))
    assert not chamber.holds


def test_inputs_are_told_apart() -> None:
    assert others(when(quantity="temperature", deviates=2.0, **{"from": "setpoint"}), "f-1") == {("f-1", "setpoint")}
    twin = when(quantity="temperature", deviates=2.0, **{"from": "f-2/temperature"})
    assert others(twin, "f-1") == {("f-2", "temperature")}
    said = when(device="f-1", expression="{temperature} > 1 and {f-2/temperature} > 1 and {f-2/door} == 'open'")
    assert others(said, "f-1") == {("f-2", "temperature"), ("f-2", "door")}
    assert by_device(said)


def test_an_expression_over_two_freezers_and_a_door() -> None:
    both = rule(
        device="freezer-3",
        expression="{temperature} > -70 and {freezer-4/temperature} > -70 and {door} == 'closed'",
    )
    both.feed(seen(0, -60.0))
    both.feed(seen(1, -60.0, device="freezer-4"))
    assert not both.holds
    both.feed(seen(2, "Closed", quantity="door"))
    assert both.holds
    both.feed(seen(3, -71.0, device="freezer-4", quantity="humidity"))
    assert both.holds
    both.feed(seen(4, -71.0, device="freezer-4"))
    assert not both.holds


def test_what_an_expression_does_not_know_neither_raises_nor_clears() -> None:
    both = rule(device="freezer-3", expression="{temperature} > -70 and {freezer-4/temperature} > -70", fresh="10m")
    both.feed(seen(0, -60.0))
    both.feed(seen(0, -60.0, device="freezer-4"))
    assert both.holds
    both.feed(seen(601, -60.0))
    assert both.holds
    both.feed(seen(602, -60.0, device="freezer-4", bad=True))
    assert both.holds
    both.feed(seen(603, -75.0))  # whatever the other is
    assert not both.holds
    both.feed(seen(604, -60.0))
    assert not both.holds
    both.feed(seen(605, -60.0, device="freezer-4"))
    assert both.holds


# ---- results and lots


def test_a_share_of_positive_results_leaves_out_the_undecided() -> None:
    positivity = rule(positive=0.5, of_last=10)
    for n, verdict in enumerate(["positive", "negative", "invalid", "detected", "negative", "negative"]):
        positivity.feed(result(n, verdict))
    assert (positivity.value, positivity.holds) == (0.4, False)
    positivity.feed(result(6, "positive"))
    assert positivity.holds


def test_a_new_lot_is_judged_by_its_own_results() -> None:
    kit = rule(invalid=0.2, of_last=10, per="lot")
    for n in range(10):
        kit.feed(result(n, "invalid" if n in (1, 9) else "negative", lot="A"))
    assert kit.holds
    assert "lot A" in kit.explanation
    kit.feed(result(10, "negative", lot="B"))
    assert not kit.holds
    kit.feed(result(11, "negative", lot="A"))
    assert kit.holds
    kit.feed(result(12, "negative", lot="A"))
    assert not kit.holds


def test_positivity_above_its_baseline() -> None:
    def outbreak(positive_of_20: int, before: int = 200) -> bool:
        week = rule(positive=0.01, of_last=20, over_baseline=2.0, baseline=200)
        for n in range(before):
            week.feed(result(n, "positive" if n % 10 == 0 else "negative"))
        for n in range(20):
            week.feed(result(before + n, "positive" if n < positive_of_20 else "negative"))
        return week.holds

    assert not outbreak(3)
    assert outbreak(4)
    assert not outbreak(20, before=99), "a tenth of nothing much"


def test_late_results_take_their_place_among_the_others() -> None:
    kit = rule(invalid=0.5, of_last=6)
    for n in range(6):
        kit.feed(result(100 + n, "negative"))
    for n in range(6):
        kit.feed(result(n, "invalid"))
    assert not kit.holds
    for n in range(3):
        kit.feed(result(102.5 + n, "invalid"))
    assert kit.holds


def test_a_clock_put_back_blinds_no_share() -> None:
    kit, cluster = rule(invalid=0.5, of_last=6), rule(positives=3, within="1h")
    for n in range(6):
        kit.feed(result(20_000 + n, "negative"))
        cluster.feed(result(20_000 + n, "negative"))
    for n in range(3):
        kit.set_back(2000.0)
        kit.feed(result(2001 + n, "invalid"))
        cluster.set_back(2000.0)
        cluster.feed(result(2001 + n, "positive"))
    assert kit.holds
    assert cluster.holds


def test_so_many_positive_results_within_a_day() -> None:
    cluster = rule(positives=3, within="1d")
    for at in (0, HOUR, DAY + 1):
        cluster.feed(result(at, "positive"))
    assert not cluster.holds
    cluster.feed(result(2 * HOUR, "positive"))  # late, and within a day of the others
    assert cluster.holds
    cluster.tick(DAY + HOUR)
    assert cluster.holds
    cluster.tick(DAY + HOUR + 1)
    assert not cluster.holds


def test_a_lot_that_expires_is_told_in_time_and_by_the_clock() -> None:
    midnight = 1_798_761_600.0  # 2027-01-01 00:00 UTC: the end of an expiry of 2026-12-31
    for written in ("2026-12-31", "20261231", "2026-12", "202612"):
        lot = rule(lot_expires="14d")
        lot.feed(result(midnight - 15 * DAY, "negative", lot="L7", lot_expiry=written))
        assert not lot.holds
        lot.tick(midnight - 14 * DAY - 1)
        assert not lot.holds
        lot.tick(midnight - 14 * DAY)
        assert lot.holds
        assert lot.explanation == "lot L7 expires in 14 d"
        lot.feed(result(midnight - 14 * DAY + 1, "negative", lot="L8", lot_expiry="2027-12-31"))
        assert not lot.holds
    unread = rule(lot_expires="14d")
    unread.feed(result(midnight, "negative", lot="L7", lot_expiry="31 Dec"))
    assert not unread.holds
    used = rule(lot_expires="0s")
    used.feed(result(midnight, "negative", lot="L7", lot_expiry="2026-12-31"))
    assert used.holds


# ---- words, and what `check` says


DOCUMENT = (Path(__file__).parents[2] / "docs" / "alarms.md").read_text()


@pytest.mark.parametrize("example", re.findall(r"`(when = \{.*\})` \|$", DOCUMENT, re.MULTILINE))
def test_an_example_of_the_documentation_is_a_rule(example: str) -> None:
    said = When.model_validate(tomllib.loads(example)["when"])
    assert build(said, "freezer-3", "temperature").rule()


def test_every_key_of_a_condition_is_documented() -> None:
    keys = [field.alias or name for name, field in When.model_fields.items()]
    assert [key for key in keys if not re.search(rf"\b{key}\b( =|`)", DOCUMENT)] == []


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"above": -70.0, "for_": "10m", "clear_below": -72.0}, "above -70 for 10 min, clears below -72"),
        ({"statistic": "mkt", "above": 25.0, "within": "7d"}, "mkt within 7 d above 25"),
        ({"above": 8.0, "below": 2, "out_for": "1h", "within": "1d"}, "above 8 or below 2, for 1 h in all within 1 d"),
        ({"deviates": 2.0, "from_": "setpoint"}, "differs from setpoint by more than 2"),
        ({"above": 1, "clear_for": "90s"}, "above 1, clears after 90 s"),
        ({"rises": 5, "within": "10m"}, "rises by 5 within 10 min"),
        ({"silent": "30m"}, "nothing received for 30 min"),
        ({"invalid": 0.2, "per": "lot"}, "20% of the last 20 results of the same lot invalid"),
        ({"equals": "open", "for_": "5m"}, "is open for 5 min"),
        ({"expression": "{temperature} > 1"}, "{temperature} > 1"),
    ],
)  # fmt: skip
def test_a_rule_says_what_it_waits_for(said: dict[str, Any], words: str) -> None:
    assert rule(device="freezer-3", **said).rule() == words


REFUSED = [
    ('quantity = "temperature", deviates = 2.0, from = "freezr-4/temperature"',
     "when.from: no device is called 'freezr-4'. Did you mean 'freezer-4'?"),
    ('device = "freezer-44", above = 1.0', "when.device: no device is called 'freezer-44'. Did you mean 'freezer-4'?"),
    ('device = "freezer-4", expression = "{temperature} > -70 and {frezer-4/door} == true"',
     "when.expression: no device is called 'frezer-4'. Did you mean 'freezer-4'?"),
    ('device = "freezer-4", expression = "{temperature} = -70"',
     "when.expression: column 15: '=' is not understood. Write == to compare."),
    ('expression = "{freezer-4/temperature} > -70"',
     "when: expression says no quantity of its own device. Write device = the id of one of them."),
    ('deviates = 2.0, quantity = "temperature"', 'when: deviates needs from. Write from = "setpoint".'),
    ('deviates = 2.0, from = 5.0', 'when: deviates is about one quantity. Write quantity = "temperature".'),
    ('statistic = "mean", above = 2.0', 'when: statistic needs within. Write within = "1h".'),
    ('statistic = "mean", rises = 2.0, within = "1h"',
     "when: statistic belongs to above or below. Write that, or leave statistic out."),
    ('statistic = "median", above = 2.0, within = "1h"',
     "when.statistic: 'median' is not one of the choices. Write 'mean', 'min', 'max', 'sd' or 'mkt'."),
    ('above = 2.0, within = "1h"', "when: within belongs to rises or falls or quarantine or positives or statistic or "
     "out_for. Write that, or leave within out."),
    ('above = 8.0, out_for = "2d", within = "1d"', "when: out_for is longer than within. Write a longer within."),
    ('over_baseline = 2.0, above = 1.0',
     "when: over_baseline belongs to invalid or positive. Write that, or leave over_baseline out."),
]  # fmt: skip


@pytest.mark.parametrize(("said", "told"), REFUSED)
def test_a_bad_rule_is_refused_with_its_line_and_what_to_write(said: str, told: str) -> None:
    text = f"""[[devices]]
id = "freezer-4"
driver = "mqtt-json"
link = {{ type = "file", path = "/tmp" }}
[[alarms]]
id = "one"
when = {{ {said} }}
"""
    with pytest.raises(ConfigError) as refused:
        parse(text, "lab.toml")
    assert refused.value.problems == [f"lab.toml:7: alarms[0].{told}"]


def test_a_result_that_is_released_is_not_counted_twice() -> None:
    rule = build(when(positives=3, within="1d"))
    for at in range(2):
        rule.feed(seen(at, "positive", kind="result", interpretation="positive"))
        rule.feed(seen(at, "positive", kind="result", interpretation="positive", corrects=True))
    assert not rule.holds
    rule.feed(seen(2, "positive", kind="result", interpretation="positive"))
    assert rule.holds
