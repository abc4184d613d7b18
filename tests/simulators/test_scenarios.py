"""Every shipped scenario, rehearsed: what its title says happens can be seen in what it sends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import mean

import pytest

from drivers.kit.observation import Draft, Kind
from simulators.rehearsal import Rehearsal, rehearse
from simulators.scenario import SHIPPED, load

HOUR, DAY = 3600.0, 86_400.0
Sent = list[tuple[float, Draft]]  # scenario seconds


def sent(one: Rehearsal) -> Sent:
    """Everything an instrument said, decoded, with when it arrived."""
    source = one.source
    began = one.start.timestamp()
    return [
        ((at - began) * one.fast, draft)
        for at, message in one.messages
        for draft in source.driver.decode(message, source.options)
    ]


def values(told: Sent, name: str, since: float = 0.0, until: float = 1e9) -> list[float]:
    return [
        float(str(draft.value))
        for at, draft in told
        if since <= at < until and name in (draft.quantity, draft.test) and not isinstance(draft.value, bool)
    ]


def freezer_door(bench: dict[str, Rehearsal]) -> None:
    told = sent(bench["freezer-1"])
    before, warm = values(told, "temperature", 0, 300), max(values(told, "temperature", 600, 960))
    assert max(before) < -77
    assert warm > -70
    assert values(told, "temperature", 2200)[-1] < -76
    assert [draft.value for at, draft in told if draft.quantity == "door" and 330 < at < 890] == [True] * 28


def resent_run(bench: dict[str, Rehearsal]) -> None:
    for one in bench.values():
        said = [message.data for _, message in one.messages]
        assert one.source.acknowledged == one.source.sent == len(set(said))
        assert len(said) >= len(set(said)) + 14
    late = [at for at, draft in sent(bench["chemistry-1"]) if at > 30 * HOUR]
    assert late, "nothing came again the day after"


def night_shift(bench: dict[str, Rehearsal]) -> None:
    told = sent(bench["chemistry-1"])
    messages = [(at, draft) for at, draft in told if draft.test == "^^^CRP"]
    evening, night, none, rush = (
        sum(a * HOUR <= at < b * HOUR for at, _ in messages) for a, b in ((0, 2), (2, 4), (4, 8), (8.2, 11))
    )
    assert evening > 60
    assert 10 < night < 20
    assert none == 0
    assert rush > 250
    first = next(draft for at, draft in messages if at >= 8 * HOUR)
    assert first.kind is Kind.QC
    warm = values(sent(bench["freezer-1"]), "temperature", 7 * HOUR, 8 * HOUR)
    assert max(warm) > -75 > max(values(sent(bench["freezer-1"]), "temperature", 0, 7 * HOUR))
    assert min(values(sent(bench["incubator-1"]), "temperature", 9 * HOUR, 9.5 * HOUR)) < 34


def lot_drift(bench: dict[str, Rehearsal]) -> None:
    told = [(at, draft) for at, draft in sent(bench["chemistry-1"]) if draft.kind is Kind.QC]
    usual, drifted, new = (mean(values(told, "^^^CREA", a * HOUR, b * HOUR)) for a, b in ((0, 2), (6, 7), (7.2, 10)))
    assert drifted > 1.5 * usual
    assert abs(new / usual - 1) < 0.05
    lots = {draft.lot for at, draft in told if at < 7 * HOUR}, {draft.lot for at, draft in told if at > 7.2 * HOUR}
    assert lots == ({"R2601"}, {"R2602"})


def outbreak_week(bench: dict[str, Rehearsal]) -> None:
    rapid = sent(bench["rapid-1"])

    def share(told: Sent, words: tuple[str, ...], day: float) -> float:
        calls = [d.interpretation or d.value for at, d in told if day * DAY <= at < (day + 0.5) * DAY]
        return sum(str(call).lower() in words for call in calls) / len(calls)

    positives = [share(rapid, ("positive", "pos"), day) for day in (0, 3, 4.5, 6.5)]
    assert positives == sorted(positives)
    assert positives[0] < 0.4 < 0.75 < positives[-1]
    assert share(rapid, ("invalid",), 5) > 0.3 > share(rapid, ("invalid",), 6)
    tests = [(at, d) for at, d in sent(bench["genexpert-1"]) if "SARS" in d.test]
    assert share(tests, ("positive", "detected"), 6) > share(tests, ("positive", "detected"), 0) + 0.2


def demo(bench: dict[str, Rehearsal]) -> None:
    warm = values(sent(bench["freezer-2"]), "temperature")
    assert warm[5] < -75 < -70 < warm[-1]
    assert all(sent(one) for one in bench.values())


SAYS: dict[str, Callable[[dict[str, Rehearsal]], None]] = {
    "freezer-door": freezer_door,
    "resent-run": resent_run,
    "night-shift": night_shift,
    "lot-drift": lot_drift,
    "outbreak-week": outbreak_week,
    "demo": demo,
}


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("seed", [0, 5])
def test_what_its_title_says_happens(path: Path, seed: int) -> None:
    scenario = load(path)
    bench = rehearse(scenario, 60.0 if path.stem == "demo" else None, seed)
    try:
        SAYS[path.stem](bench)
    except AssertionError as error:
        raise AssertionError(f"{error}\nAgain: assaygate simulate --scenario {path} --seed {seed}") from error


def test_the_same_seed_sends_the_same_bytes() -> None:
    scenario = load(SHIPPED / "lot-drift.toml")
    one, same, other = (rehearse(scenario, 3600, seed)["chemistry-1"].messages for seed in (1, 1, 2))
    assert one == same
    assert [message.data for _, message in one] != [message.data for _, message in other]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("instruments = []", "instruments"),
        ('[[instruments]]\nid = "a"\ndriver = "astm"\nlink = "usb"', "instruments.0.link"),
        ('[[instruments]]\nid = "a"\ndriver = "astm"\nlink = "tcp"\nfaults = { corupt = 1 }', "no fault is called"),
        ('[[instruments]]\nid = "a"\ndriver = "astm"\nlink = "tcp"\n[[events]]\nat = 1\ninstrument = "b"\nevent = "x"',
         "no instrument is called 'b'"),
        ('[[instruments]]\nid = "a"\ndriver = "astm"\nlink = "tcp"\n[[events]]\nat = 1\ninstrument = "a"',
         "nothing happens"),
        ("title =", "scenario"),
    ],
)  # fmt: skip
def test_a_wrong_scenario_is_refused_with_what_is_wrong(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(LookupError, match=why.replace(".", r"\.") if why != "scenario" else "wrong.toml"):
        load(path)
