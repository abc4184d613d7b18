"""SenML: RFC 8428's own examples and rules, in JSON and CBOR."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit import cbor
from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError
from drivers.kit.observation import Draft, Quality
from drivers.senml.driver import DRIVER, SenmlOptions
from drivers.senml.units import UCUM

CBOR = bytes.fromhex(
    "83 a5 21 64 667a312f 22 1a 6553f100 23 63 43656c 00 64 74656d70 02 fb c053e00000000000"
    "a2 00 64 646f6f72 04 f5 a4 00 62 7268 01 63 255248 06 38 3b 02 fb 4044800000000000"
)


def decoded(pack: Any, **options: Any) -> list[Draft]:
    data = pack if isinstance(pack, bytes) else json.dumps(pack).encode()
    return list(DRIVER.decode(Message(data), SenmlOptions.model_validate(options)))


def told(drafts: list[Draft]) -> list[tuple[Any, ...]]:
    return [(draft.test, draft.value, draft.unit, draft.device_time) for draft in drafts]


WORKED = [
    ("fz1/temp", -79.5, "Cel", "unix:1700000000"),
    ("fz1/door", True, None, "unix:1700000000"),
    ("fz1/rh", 41.0, "%", "unix:1699999940"),
]


def test_the_worked_cbor_pack() -> None:
    assert told(decoded(CBOR)) == WORKED


def test_the_same_pack_in_json() -> None:
    pack = [
        {"bn": "fz1/", "bt": 1700000000, "bu": "Cel", "n": "temp", "v": -79.5},
        {"n": "door", "vb": True},
        {"n": "rh", "u": "%RH", "t": -60, "v": 41.0},
    ]
    assert told(decoded(pack)) == WORKED


def test_rfc_8428_multiple_datapoints() -> None:  # section 5.1.2
    pack = b"""[
      {"bn":"urn:dev:ow:10e2073a01080063:","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},
      {"n":"current","t":-5,"v":1.2}, {"n":"current","v":1.7}]"""
    assert told(decoded(pack)) == [
        ("urn:dev:ow:10e2073a01080063:voltage", 120.1, "V", "unix:1276020076.001"),
        ("urn:dev:ow:10e2073a01080063:current", 1.2, "A", "unix:1276020071.001"),
        ("urn:dev:ow:10e2073a01080063:current", 1.7, "A", "unix:1276020076.001"),
    ]


def test_rfc_8428_multiple_data_types() -> None:  # section 5.1.4
    pack = [
        {"bn": "urn:dev:ow:10e2073a01080063:", "n": "temp", "u": "Cel", "v": 23.1},
        {"n": "label", "vs": "Machine Room"},
        {"n": "open", "vb": False},
        {"n": "nfc-reader", "vd": "aGkgCg"},
    ]
    assert [(draft.quantity, draft.value) for draft in decoded(pack)] == [
        ("temp", 23.1),
        ("label", "Machine Room"),
        ("open", False),
        ("nfc-reader", "aGkgCg"),
    ]


def test_a_record_named_after_its_device_is_called_by_its_unit() -> None:  # section 5.1.1
    (draft,) = decoded([{"n": "urn:dev:ow:10e2073a01080063", "u": "Cel", "v": 23.1}])
    assert (draft.quantity, draft.test) == ("temperature", "urn:dev:ow:10e2073a01080063")


def test_times_below_2_28_are_relative_and_the_sum_decides() -> None:
    (past, now, absolute) = decoded([{"n": "a", "v": 1, "t": -60}, {"n": "b", "v": 1}, {"n": "c", "v": 1, "t": 2**28}])
    assert (past.age, past.device_time, past.identity) == (60, None, ())
    assert (now.age, now.device_time) == (None, None)
    assert absolute.device_time == "unix:268435456"
    (sum_,) = decoded([{"bt": 2**28 - 10, "t": 10, "n": "a", "v": 1}])
    assert sum_.device_time == "unix:268435456"


def test_base_values_hold_until_replaced_and_are_added_in_decimal() -> None:
    pack = [{"bn": "d/", "bv": 20.1, "n": "a", "v": 0.2}, {"n": "b", "v": 1}, {"bv": 0, "bn": "e/", "n": "c", "v": 5}]
    assert [(draft.test, draft.value) for draft in decoded(pack)] == [("d/a", 20.3), ("d/b", 21.1), ("e/c", 5)]


def test_a_percent_sign_is_a_ratio() -> None:
    (draft,) = decoded([{"n": "valve", "u": "%", "v": 0.5}])
    assert (draft.value, draft.unit) == (0.5, "1")


def test_sums() -> None:
    both, alone = decoded([{"bs": 100, "n": "e", "u": "W", "v": 1, "s": 5}, {"n": "e", "u": "W", "s": 6}])
    assert (both.value, both.attributes["sum"]) == (1, 105)
    assert (alone.quantity, alone.value, alone.unit) == ("e-sum", 106, "W.s")


def test_names_are_declared_or_told_apart() -> None:
    pack = [{"n": "a/temp", "v": 1}, {"n": "b/temp", "v": 2}, {"n": "c/rh", "v": 3}]
    assert [draft.quantity for draft in decoded(pack)] == ["a-temp", "b-temp", "rh"]
    assert [draft.quantity for draft in decoded(pack[:1], names={"a/temp": "temperature"})] == ["temperature"]
    assert [draft.quantity for draft in decoded(pack[:1], naming="full")] == ["a-temp"]


@pytest.mark.parametrize(
    "pack",
    [
        {},
        [],
        [1],
        [{"n": "a"}],
        [{"v": 1}],
        [{"n": "-a", "v": 1}],
        [{"n": "a b", "v": 1}],
        [{"n": "a", "v": 1, "vs": "x"}],
        [{"n": "a", "v": "1"}],
        [{"n": "a", "v": True}],
        [{"n": "a", "vb": 1}],
        [{"n": "a", "v": 1, "t": float("inf")}],
        [{"n": "a", "v": 1, "t": -1e300}],
        [{"bver": 11, "n": "a", "v": 1}],
        [{"n": "a", "v": 1, "must_": 1}],
        [{"n": "a", "v": 1}, {"bu": 5, "n": "b", "v": 1}],
        [{"bn": "only/"}],
        [{"bv": 1e308, "n": "a", "v": 1e308}],
    ],
)
def test_packs_the_rfc_rejects_are_refused_whole(pack: Any) -> None:
    with pytest.raises(DecodeError):
        decoded(pack)


def test_unknown_labels_are_ignored() -> None:
    assert decoded([{"n": "a", "v": 1, "zz": 2}])[0].value == 1


def test_a_sensor_that_sends_no_number_does_not_cost_the_others() -> None:
    broken, good = decoded(b'[{"n":"a","v":NaN},{"n":"b","v":1}]')
    assert (broken.value, broken.quality, good.value) == (None, Quality.BAD, 1)


# -- CBOR


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("00", 0),
        ("1bffffffffffffffff", 1.8446744073709552e19),
        ("3863", -100),
        ("f93c00", 1.0),
        ("fa47c35000", 100000.0),
        ("fb3ff199999999999a", 1.1),
        ("c48221196ab3", 273.15),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
        ("7f657374726561646d696e67ff", "streaming"),
        ("f6", None),
    ],
)
def test_cbor_vectors(data: str, value: object) -> None:  # RFC 8949 appendix A
    assert cbor.load(bytes.fromhex(data)) == value


@pytest.mark.parametrize(
    "data",
    [
        "",
        "18",
        "61",
        "61ff",
        "81",
        "9f",
        "ff",
        "1c",
        "a10",
        "a201010102",
        "bf01ff",
        "9bffffffffffffffff",
        "0000",
        "81" * 50,
    ],
)
def test_what_is_no_cbor_is_refused(data: str) -> None:
    with pytest.raises(DecodeError):
        cbor.load(bytes.fromhex(data + "0" * (len(data) % 2)))


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_drafts_or_a_decode_error(data: bytes, array: bool) -> None:
    try:
        drafts = decoded(b"\x81\xa2\x00\x61a" + data if array else data)
    except DecodeError:
        return
    assert drafts


@given(
    st.dictionaries(
        st.sampled_from(["temperature", "humidity", "door", "label"]),
        st.floats(-1e6, 1e6) | st.booleans() | st.text(max_size=5),
        min_size=1,
    )
)
def test_what_a_simulated_device_publishes_is_what_is_read(readings: dict[str, Any]) -> None:
    when = datetime(2026, 1, 15, 9, tzinfo=UTC)
    drafts = decoded(DRIVER.encode({"time": when, "readings": readings}, SenmlOptions()))
    assert {draft.quantity: draft.value for draft in drafts} == readings
    assert {draft.device_time for draft in drafts} == {f"unix:{when.timestamp():.0f}"}


@pytest.mark.parametrize("unit", ["Cel", "%RH", "/", "%", "Pa", "lx", "F", "C", "dBm", "kWh", "ppm"])
def test_units_keep_their_meaning_in_the_gateway(unit: str) -> None:
    units = pytest.importorskip("gateway.units")
    assert units.from_text(UCUM[unit]) == UCUM[unit]
