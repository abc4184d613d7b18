"""Sparkplug payloads with an independent encoder and decoder (pysparkplug, on protobuf's own library), both ways."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.sparkplug import REBIRTH, command, read, write
from drivers.kit.sparkplug_values import Found, Type, put_metric, put_update, value_of
from tests.drivers.test_sparkplug_payload import VALUES, only

foreign: Any = pytest.importorskip("pysparkplug", reason="pip install --no-deps pysparkplug protobuf")
MOMENT = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
THEIRS: st.SearchStrategy[tuple[Type, Any]] = VALUES | st.one_of(
    st.tuples(st.just(Type.FLOAT), st.floats(width=32, allow_nan=False, allow_infinity=False)),
    st.tuples(st.just(Type.DATETIME), st.integers(0, 4 * 10**9).map(lambda s: MOMENT + timedelta(seconds=s % 10**9))),
)


@given(st.lists(THEIRS, max_size=8), st.booleans())
def test_what_an_independent_encoder_writes_is_read(typed: list[tuple[Type, Any]], historical: bool) -> None:
    metrics = tuple(
        foreign.Metric(
            timestamp=n, name=f"m{n}", datatype=foreign.DataType(t), value=v, alias=n, is_historical=historical
        )
        for n, (t, v) in enumerate(typed)
    )
    payload = read(foreign.NBirth(timestamp=5, seq=0, metrics=metrics).encode())
    assert (payload.timestamp, payload.seq) == (5, 0)
    for metric, (datatype, value) in zip(payload.metrics, typed, strict=True):
        found = value_of(metric.holder, metric.held, metric.datatype, "").value
        if datatype is Type.DATETIME:
            assert found == value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        elif datatype is Type.FLOAT:
            assert struct.pack("<f", found) == struct.pack("<f", value)
        else:
            assert found == value
        assert (metric.historical, metric.datatype) == (historical, datatype)


@given(st.lists(VALUES, max_size=8))
def test_an_independent_decoder_reads_what_we_write(typed: list[tuple[Type, Any]]) -> None:
    metrics = [put_metric(f"m{n}", datatype, value, n, n) for n, (datatype, value) in enumerate(typed)]
    birth = foreign.NBirth.decode(write(5, metrics, 0))
    assert [(m.name, m.alias, m.value) for m in birth.metrics] == [(f"m{n}", n, v) for n, (_, v) in enumerate(typed)]
    updates = [put_update(n, datatype, value, n) for n, (datatype, value) in enumerate(typed)]
    data = foreign.NData.decode(write(6, updates, 1), birth=birth)
    assert [(m.name, m.value) for m in data.metrics] == [(f"m{n}", v) for n, (_, v) in enumerate(typed)]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("INT8_ARRAY", (-1, 127)),
        ("INT16_ARRAY", (-300, 7)),
        ("INT32_ARRAY", (-70_000,)),
        ("INT64_ARRAY", (-(2**40),)),
        ("UINT8_ARRAY", (255,)),
        ("UINT64_ARRAY", (2**64 - 1,)),
        ("FLOAT_ARRAY", (21.3,)),
        ("DOUBLE_ARRAY", (-79.5, 0.1)),
        ("BOOLEAN_ARRAY", (True, False, True, True, False, False, True, True, True)),
        ("STRING_ARRAY", ("a", "é", "")),
    ],
)
def test_arrays_of_an_independent_encoder(name: str, values: tuple[Any, ...]) -> None:
    metric = foreign.Metric(timestamp=1, name="m", datatype=foreign.DataType[name], value=values)
    found = only(foreign.DBirth(timestamp=1, seq=0, metrics=(metric,)).encode())
    assert found == Found(told={"values": list(values)}, structured=True)


def test_an_independent_node_understands_our_request_for_its_birth() -> None:
    asked = foreign.NCmd.decode(command(REBIRTH, 1_700_000_000.5))
    (metric,) = asked.metrics
    assert (metric.name, metric.value, metric.alias, asked.timestamp) == (REBIRTH, True, None, 1_700_000_000_500)


def test_our_death_certificate_to_an_independent_decoder() -> None:
    death = foreign.NDeath.decode(write(None, [put_metric("bdSeq", Type.INT64, 255, None)]))
    assert death.bd_seq_metric.value == 255
