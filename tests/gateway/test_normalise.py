"""From what an instrument said to an observation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.kit.declare import Identity, Quantity
from drivers.kit.observation import Draft, Kind
from gateway.device_settings import TestMap as Map
from gateway.journal.transaction import RawMessage, Row
from gateway.moment import EPOCH, UNSET, Clock, best
from gateway.naming import slug
from gateway.normalise import DeviceSettings, Normaliser

RECEIVED = 1_768_466_910_250_000_000  # 2026-01-15T08:48:30.25Z
MESSAGE = RawMessage(7, "a", "peer", RECEIVED, b"0123456789" * 10, 0, False)
GLUCOSE = {"quantity": "glucose", "loinc": "2339-0", "unit": "mmol/L", "molar_mass": 180.156}


def rows(*drafts: Draft, message: RawMessage = MESSAGE, by: Identity = Identity.CONTENT, **settings: Any) -> list[Row]:
    quantities = (Quantity(name="temperature", unit="Cel", code="loinc:60832-3"),)
    return Normaliser("a", DeviceSettings.model_validate(settings), quantities, by).rows(message, drafts)


def said(value: Any = None, unit: str | None = None, test: str = "^^^X", **more: Any) -> Draft:
    return Draft(kind=more.pop("kind", Kind.RESULT), test=test, value=value, unit=unit, **more)


def made(draft: Draft, **settings: Any) -> dict[str, Any]:
    (row,) = rows(draft, **settings)
    body: dict[str, Any] = orjson.loads(row.body)
    return body


# ---- values and units


@pytest.mark.parametrize(
    ("value", "unit", "settings", "wanted"),
    [
        ("12.4", "mg/L", {}, {"value": 12.4, "unit": "mg/L", "quality": "good", "attributes": {"test": "^^^X"}}),
        (
            "<0.5",
            "mg/L",
            {},
            {"value": 0.5, "comparator": "<", "attributes": {"value_as_sent": "<0.5", "test": "^^^X"}},
        ),
        ("2,02", "Ratio", {"decimal": ","}, {"value": 2.02, "unit": "{ratio}"}),
        ("161,152", "Copies/mL", {"thousands": ","}, {"value": 161152, "unit": "{copies}/mL"}),
        ("3.22", "10E3/uL", {}, {"value": 3.22, "unit": "10*3/uL"}),
        ("1.70E+05 cp/mL", "1/mL", {}, {"value": 170000, "unit": "{copies}/mL", "quality": "good"}),
        ("4.21", "Log (Copies/mL)", {}, {"value": 4.21, "unit": "{Log_copies}/mL"}),
        ("367", "10*-1.{copies}/mL", {}, {"value": 36.7, "unit": "{copies}/mL"}),
        ("226", "10*4.{Copies}/mL", {}, {"value": 2260000, "unit": "{copies}/mL"}),
        ("67", "10*9/L", {}, {"value": 67, "unit": "10*9/L"}),
        ("2.52E+3 (3.40)", "cp/mL", {}, {"value": 2520, "unit": "{copies}/mL"}),
        ("Target Not Detected", None, {}, {"value": "Target Not Detected", "interpretation": "not-detected"}),
        ("< Titer min", None, {}, {"value": "< Titer min", "comparator": "<", "quality": "good"}),
        ("12 POS", None, {}, {"value": 12, "unit": None, "interpretation": "positive", "quality": "good"}),
        ("12.3 (POS)", "mg/L", {}, {"value": 12.3, "interpretation": "positive", "quality": "good"}),
        ("12.3 H", "mg/L", {}, {"value": 12.3, "flags": ["H"], "quality": "good"}),
        ("12 L", None, {}, {"value": 12, "unit": None, "flags": []}),  # low, or litres
        ("1:160", None, {}, {"value": "1:160", "quality": "good"}),
        ("++", None, {"words": {"++": "positive"}}, {"value": "++", "interpretation": "positive", "quality": "good"}),
        ("1", None, {"words": {"1": "positive"}}, {"value": 1, "interpretation": "positive"}),
        ("5", "furlong", {"units": {"furlong": "m"}}, {"value": 5, "unit": "m", "quality": "good"}),
        (True, None, {}, {"value": True, "quality": "good"}),
        ("", "mg/L", {}, {"value": None}),
    ],
)
def test_what_is_certain_is_read(value: Any, unit: str, settings: dict[str, Any], wanted: dict[str, Any]) -> None:
    observation = made(said(value, unit), **settings)
    assert {name: observation[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("value", "unit", "kept", "reason"),
    [
        ("60,96", "mg/L", "60,96", "number format not declared"),
        ("<0,5", "mg/L", "<0,5", "number format not declared"),
        (
            "MTB DETECTED; Rif Resistance NOT DETECTED",
            None,
            "MTB DETECTED; Rif Resistance NOT DETECTED",
            "word not known",
        ),
        ("purple", None, "purple", "word not known"),
        ("1E999", None, "1E999", "word not known"),
        ("5", "furlong", 5, "unit not known"),
        ("*12.3", "mg/L", 12.3, "marked * beside the value"),
        ("12.3 *", "mg/L", 12.3, "marked * beside the value"),
        ("5 g/L", "mg/L", 5, "two units: mg/L and g/L"),
    ],
)
def test_what_is_not_certain_is_kept_and_doubted(value: str, unit: str | None, kept: Any, reason: str) -> None:
    observation = made(said(value, unit))
    assert (observation["value"], observation["interpretation"]) == (kept, None)
    assert observation["quality"] == "uncertain"
    assert reason in observation["attributes"]["quality_reason"]


def test_a_unit_that_is_not_known_stands_as_sent_and_names_none() -> None:
    observation = made(said("5", "furlong"))
    assert (observation["unit"], observation["attributes"]["unit_as_sent"]) == (None, "furlong")


def test_a_conversion_says_what_was_done() -> None:
    observation = made(said("100.0", "mg/dl", "^^^GLU"), tests={"GLU": GLUCOSE})
    assert (observation["quantity"], observation["code"]) == ("glucose", "loinc:2339-0")
    assert (observation["value"], observation["unit"]) == (5.55074490997, "mmol/L")
    assert observation["attributes"] == {
        "test": "^^^GLU",
        "value_as_sent": 100.0,
        "unit_as_sent": "mg/dl",
        "rule": "mg/dL -> mmol/L (180.156 g/mol)",
    }


def test_what_cannot_be_converted_stays_in_its_own_unit() -> None:
    observation = made(said("5", "IU/mL", "X"), tests={"X": {"unit": "{copies}/mL"}})
    assert (observation["value"], observation["unit"], observation["quality"]) == (5, "[IU]/mL", "uncertain")
    assert made(said("5", None, "X"), tests={"X": {"unit": "mg/L"}})["quality"] == "uncertain"


def test_a_declared_quantity_lends_its_unit_and_code() -> None:
    observation = made(said(4.5, quantity="temperature", kind=Kind.READING))
    assert (observation["value"], observation["unit"], observation["code"]) == (4.5, "Cel", "loinc:60832-3")


@pytest.mark.parametrize("key", ["^^^SARS", "SARS"])
@pytest.mark.parametrize("sent", ["^^^SARS", "SARS", "^^^SARS^", " SARS"])
def test_a_test_is_found_with_and_without_its_delimiters(key: str, sent: str) -> None:
    assert made(said("1", test=sent), tests={key: {"quantity": "sars-cov-2-ag"}})["quantity"] == "sars-cov-2-ag"


@pytest.mark.parametrize("sent", ["^^^685^SARS^0", "^^^12^SARS", "^^^SARS^1^^", "LN^x^LN^SARS"])
def test_a_test_is_found_by_its_makers_code_or_name(sent: str) -> None:
    assert made(said("1", test=sent), tests={"SARS": {"quantity": "sars-cov-2-ag"}})["quantity"] == "sars-cov-2-ag"


def test_codes_a_driver_gives_are_the_only_ones() -> None:
    tests = {"HIVVL": {"quantity": "hiv-1-viral-load", "loinc": "20447-9"}}
    assert made(said("33.0", test="^^^HIVVL^^^HIV-1^Ct", codes=()), tests=tests)["code"] is None
    assert (
        made(said("1", test="^^^685/1/not", codes=("685",)), tests={"^^^685": {"quantity": "alt"}})["quantity"] == "alt"
    )
    whole = {"^^^HIVVL^^^HIV-1^Ct": {"quantity": "hiv-1-ct"}}
    assert made(said("33.0", test="^^^HIVVL^^^HIV-1^Ct", codes=()), tests=whole)["quantity"] == "hiv-1-ct"


def test_a_dilution_is_no_makers_code() -> None:
    assert made(said("1", test="^^^CRP^CRP^1"), tests={"1": {"quantity": "wrong"}})["quantity"] == "crp"


def test_an_ignored_test_makes_nothing_and_a_control_is_qc() -> None:
    assert rows(said("1", test="A"), tests={"A": {"ignore": True}}) == []
    assert made(said("1", test="A"), tests={"A": {"kind": "qc"}})["kind"] == "qc"


def test_names_are_made_of_the_most_telling_part() -> None:
    names = ["^^^AntiA\\O10^^", "^^^MCV^787-2", "1006.I^HIV-1^99ABT", "Température", "LYM#", "LYM%"]
    assert [slug(name) for name in names] == ["antia", "mcv", "1006-i", "temperature", "lym-count", "lym-percent"]
    assert slug("\U0001f9ea").startswith("test-")
    assert slug("\U0001f9ea") != slug("\U0001f9eb")


# ---- times


@pytest.mark.parametrize(
    ("device_time", "settings", "time", "reason"),
    [
        ("20260115092830", {"timezone": "Asia/Karachi"}, "2026-01-15T04:28:30Z", None),
        ("20010715120000", {"timezone": "Asia/Karachi"}, "2026-01-15T08:48:30.25Z", "impossible"),
        ("20260115092830+0300", {"timezone": "Asia/Karachi"}, "2026-01-15T06:28:30Z", None),
        ("unix:1768466000.5", {}, "2026-01-15T08:33:20.5Z", None),
        ("20260115", {}, "2026-01-15T08:48:30.25Z", None),
        ("20270115", {}, "2026-01-15T08:48:30.25Z", "impossible"),
        ("03/01/2026 10:00", {"time_format": "dmy"}, "2026-01-03T10:00:00Z", None),
        ("03/01/2026 10:00", {}, "2026-01-15T08:48:30.25Z", "not understood"),
        ("19700101000007", {}, "2026-01-15T08:48:30.25Z", "impossible"),
        ("20260115084930", {}, "2026-01-15T08:49:30Z", None),  # a minute ahead is within the limit
        ("20260115094830", {}, "2026-01-15T08:48:30.25Z", "ahead by 3600 s"),
        ("20251026023000", {"timezone": "Europe/Berlin"}, "2025-10-26T00:30:00Z", "twice or never"),
        ("00010101000000+0500", {}, "2026-01-15T08:48:30.25Z", "not understood"),
        ("99991231235959-0500", {}, "2026-01-15T08:48:30.25Z", "not understood"),
        (None, {}, "2026-01-15T08:48:30.25Z", None),
    ],
)
def test_the_best_time_is_taken_and_doubts_are_said(
    device_time: str | None, settings: dict[str, Any], time: str, reason: str | None
) -> None:
    observation = made(said("1", device_time=device_time), **settings)
    assert (observation["time"], observation["device_time"]) == (time, device_time)
    assert observation["received"] == "2026-01-15T08:48:30.25Z"
    noted = observation["attributes"].get("quality_reason")
    assert (reason in noted) if reason else noted is None


@pytest.mark.parametrize(
    "draft",
    [
        said("1"),
        said("1", age=3.0),
        said("1", device_time="20260115092830"),
        said("1", device_time="20260115"),
        said("1", device_time="19700101000007"),
        said("1", device_time="tomorrow"),
    ],
)
def test_what_came_before_our_clock_was_set_is_in_doubt(draft: Draft) -> None:
    moment = best(draft, EPOCH + timedelta(seconds=40), Clock(UTC, None, 120.0))
    assert UNSET in moment.doubt
    assert UNSET not in best(draft, EPOCH + timedelta(days=20_000), Clock(UTC, None, 120.0)).doubt


def test_a_date_is_a_day_and_an_age_is_counted_back() -> None:
    assert made(said("1", device_time="20260115"))["attributes"] == {"time_precision": "day", "test": "^^^X"}
    assert made(said("1", age=30.5))["time"] == "2026-01-15T08:47:59.75Z"


@pytest.mark.parametrize(
    ("now", "measured", "time", "offset", "quality"),
    [
        # Received at 08:48:30.25; the instrument's clock says so too: believed.
        ("20260115084830", "20260115084500", "2026-01-15T08:45:00Z", None, "good"),
        # An hour ahead (a summer time never set back): measured three and a half minutes before it was sent.
        ("20260115094830", "20260115094500", "2026-01-15T08:45:00.25Z", 3600, "uncertain"),
        # An hour behind, or an hour on its way: nobody can tell from one message.
        ("20260115074830", "20260115074500", "2026-01-15T07:45:00Z", -3600, "good"),
        # Never set: its own course still tells how long ago it was.
        ("19700101001000", "19700101000500", "2026-01-15T08:43:30.25Z", None, "uncertain"),
        # A result later than the message it came in.
        ("20260115084830", "20260115104830", "2026-01-15T08:48:30.25Z", 7200, "uncertain"),
    ],
)
def test_the_clock_is_measured_by_what_it_says_of_the_present(
    now: str, measured: str, time: str, offset: int | None, quality: str
) -> None:
    observation = made(said("1", device_time=measured, now=now))
    assert (observation["time"], observation["quality"]) == (time, quality)
    assert observation["attributes"].get("clock_offset_s") == offset
    assert observation["device_time"] == measured


def test_a_clock_is_judged_by_the_messages_that_waited_least() -> None:
    normaliser = Normaliser("a", DeviceSettings(), (), Identity.CONTENT)
    assert normaliser.clock_offset is None
    for now in ("20260115080000", "20260115084900", "20260115084500"):  # two of them lay in a queue
        normaliser.rows(MESSAGE, [said("1", now=now)])
    assert normaliser.clock_offset == 29.75


def test_a_gateway_whose_clock_is_not_set_believes_the_instrument() -> None:
    (row,) = rows(said("1", device_time="20260115092830"), message=replace(MESSAGE, received=5_000_000_000))
    observation = orjson.loads(row.body)
    assert (observation["time"], observation["quality"]) == ("2026-01-15T09:28:30Z", "uncertain")


def test_the_row_has_the_time_and_the_number_of_its_observation() -> None:
    (row,) = rows(said("12.4", "mg/L"))
    assert (row.time, row.number, row.raw) == (1_768_466_910_250_000, 12.4, 7)


# ---- identity


def uids(*drafts: Draft, **more: Any) -> list[bytes]:
    return [row.uid for row in rows(*drafts, **more)]


def test_a_message_sent_again_or_broken_off_is_the_same() -> None:
    results = [said(str(n), extent=30 * n) for n in (1, 2, 3)]
    whole = uids(*results)
    assert len(set(whole)) == 3
    assert uids(*results, message=replace(MESSAGE, id=8, channel="other", received=RECEIVED + 10**9)) == whole
    assert uids(*results[:2], message=replace(MESSAGE, data=MESSAGE.data[:60])) == whole[:2]
    assert uids(results[0], message=replace(MESSAGE, data=b"x" + MESSAGE.data)) != whole[:1]


def test_the_order_of_extents_does_not_matter() -> None:
    a, b = uids(said("1", extent=50), said("2", extent=20))
    assert (uids(said("2", extent=20)), uids(said("1", extent=50))) == ([b], [a])


def test_results_that_look_alike_in_one_message_are_two() -> None:
    assert len(set(uids(said("1"), said("1")))) == 2
    assert len(set(uids(said("1", identity=("s", "t")), said("1", identity=("s", "t"))))) == 2


def test_a_named_result_is_the_same_in_another_message_until_arrivals_count() -> None:
    other = replace(MESSAGE, id=8, data=b"else")
    named = said("1", identity=("s", "t"))
    assert uids(named) == uids(named, message=other)
    assert uids(named, by=Identity.ARRIVAL) != uids(named, message=other, by=Identity.ARRIVAL)
    nothing = said("Online", identity=())
    assert uids(nothing) != uids(nothing, message=replace(MESSAGE, id=8))


def test_what_the_broker_retained_is_known_by_its_content() -> None:
    for draft in (said("1"), said("1", identity=()), said("1", identity=("s",))):
        first, again = (uids(draft, message=replace(MESSAGE, id=n, retained=True), by=Identity.ARRIVAL) for n in (1, 2))
        assert first == again


# ---- bounds

TEXTS = st.text(st.characters(), max_size=40)  # lone surrogates too
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.from_regex(r"[<>=]*[\d.,eE+ -]{1,12}")


@given(
    st.builds(
        Draft,
        kind=st.sampled_from(Kind),
        test=TEXTS,
        value=VALUES,
        unit=st.none() | TEXTS,
        interpretation=st.none() | TEXTS,
        flags=st.lists(TEXTS, max_size=3).map(tuple),
        specimen=st.none() | TEXTS,
        device_time=st.none() | TEXTS | st.from_regex(r"\d{8,14}([+-]\d{4})?", fullmatch=True),
        age=st.none() | st.floats(),
        identity=st.none() | st.lists(TEXTS, max_size=3).map(tuple),
        extent=st.none() | st.integers(-5, 500),
        attributes=st.dictionaries(TEXTS, VALUES, max_size=3),
    )
)
def test_any_draft_makes_an_observation(draft: Draft) -> None:
    other: dict[str, Any] = {"decimal": ",", "thousands": ".", "timezone": "Asia/Karachi", "time_format": "dmy"}
    for settings in ({}, other):
        (row,) = rows(draft, **settings)
        observation = orjson.loads(row.body)
        assert observation["quantity"]
        assert len(row.uid) == 16


def test_what_is_too_large_is_cut_and_said() -> None:
    observation = made(said("x" * 10_000, attributes={"report": "y" * 1_000_000}, specimen="s" * 100_000))
    assert (len(observation["value"]), observation["attributes"]["attributes_cut"]) == (4096, True)
    assert len(orjson.dumps(observation)) < 65_536
    assert made(said(10**30))["quality"] == "bad"
    assert made(said(float("nan")))["value"] is None


# ---- the device's keys


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"timezone": "Asia/Karaci"}, "Did you mean 'Asia/Karachi'?"),
        ({"tests": {"X": {"loinc": "94558-5"}}}, "its check digit would be 4"),
        ({"tests": {"X": {"unit": "µg/L"}}}, "Write 'ug/L'."),
        ({"tests": {"X": {"unit": "mmol/L", "from_unit": "mg/dL"}}}, "molar_mass"),
        ({"tests": {"X": {"unit": "[IU]/mL", "from_unit": "mg/dL"}}}, "does not convert"),
        ({"units": {"x": "10^3/uL "}}, "Write '10*3/uL'."),
        ({"decimal": ",", "thousands": ","}, "Make them different."),
        ({"tests": {"X": {"quantum": "x"}}}, "quantum"),
    ],
)
def test_a_wrong_key_says_what_to_write(settings: dict[str, Any], remedy: str) -> None:
    with pytest.raises(ValidationError, match=r"(?s).*") as caught:
        DeviceSettings.model_validate(settings)
    assert remedy in str(caught.value)


def test_published_loinc_codes_pass() -> None:
    for code in ("94558-4", "2339-0", "38379-4", "718-7", "8310-5", "100964-6", "1988-5"):
        assert Map(loinc=code).loinc == code


@pytest.mark.parametrize(
    ("now", "time"),
    [
        ("20260112150335+0100", "2026-01-12T13:29:06Z"),  # the message's own zone goes before the device's
        ("20260112150335", "2026-01-12T09:29:06Z"),
        ("2026-01-12T15:03:35-00:00", "2026-01-12T09:29:06Z"),  # a zone that is not known
    ],
)
def test_a_messages_zone_is_that_of_its_times(now: str, time: str) -> None:
    observation = made(said("5", device_time="20260112142906", now=now), timezone="Asia/Karachi")
    assert observation["time"] == time
    assert observation["device_time"] == "20260112142906"


@pytest.mark.parametrize(
    ("sent", "now", "believed"),
    [
        ("20120626085300", None, True),  # an export of years ago
        ("20000101000800", None, False),  # a clock that was never set
        ("19700101000400", None, False),
        ("20030402101500", "20260115084830", True),  # its clock is right today
        ("20000101000800", "20000101000900", False),
    ],
)
def test_an_old_result_is_told_from_a_clock_that_was_never_set(sent: str, now: str | None, believed: bool) -> None:
    observation = made(said("5", device_time=sent, now=now))
    assert (observation["time"][:4] == sent[:4]) is believed
    assert (observation["quality"] == "good") is believed


@pytest.mark.parametrize("grade", ["+1", "2+", "1(+)", "+++", "+-", "±"])
def test_a_strips_grade_is_a_text(grade: str) -> None:
    observation = made(said(grade))
    assert (observation["value"], observation["quality"], observation["interpretation"]) == (grade, "good", None)
    assert made(said("+1", "mmol/L"))["value"] == 1
    assert made(said("+1.2"))["value"] == 1.2
