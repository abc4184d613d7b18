"""Sparkplug payloads: printed bytes, values in whatever width they travel, hostile bytes."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.kit import protobuf
from drivers.kit.exchange import DecodeError
from drivers.kit.sparkplug import (
    COMPRESSED,
    MOST_UNPACKED,
    Payload,
    Topic,
    Verb,
    read,
    topic,
    walk,
    write,
)
from drivers.kit.sparkplug_values import Found, Holder, Type, put_metric, put_update, scalar, shortest, value_of

NDATA = bytes.fromhex("08 80d095ffbc31 12 12 10 07 18 80d095ffbc31 69 0000000000e053c0 18 01".replace(" ", ""))
"""29 bytes: 1700000000000 ms, alias 7 is the double -79.5, seq 1."""
NDEATH = bytes.fromhex("12 0b 0a 05 6264536571 20 04 58 00".replace(" ", ""))


def only(data: bytes) -> Found:
    """The value of a payload's one metric."""
    (metric,) = read(data).metrics
    return value_of(metric.holder, metric.held, metric.datatype, "m")


def integer(datatype: Type, sent: int, field: int = 10) -> Found:
    """An integer as some encoder put it on the wire."""
    made = protobuf.put_bytes(1, "m") + protobuf.put_number(4, datatype) + protobuf.put_number(field, sent)
    return only(write(None, [made]))


# -- printed bytes


def test_the_printed_data_message() -> None:
    payload = read(NDATA)
    (metric,) = payload.metrics
    assert (payload.timestamp, payload.seq, metric.alias, metric.name) == (1_700_000_000_000, 1, 7, None)
    assert value_of(metric.holder, metric.held, Type.DOUBLE, "").value == -79.5
    assert write(1_700_000_000_000, [put_update(7, Type.DOUBLE, -79.5, 1_700_000_000_000)], 1) == NDATA


def test_the_printed_death_certificate() -> None:
    payload = read(NDEATH)
    assert (payload.timestamp, payload.seq) == (None, None)
    assert write(None, [put_metric("bdSeq", Type.INT64, 0, None)]) == NDEATH


def test_a_negative_integer_as_printed() -> None:
    assert put_update(1, Type.INT32, -5, None)[2:] == bytes.fromhex("50fbffffff0f")
    assert only(write(None, [put_metric("m", Type.INT32, -5, None)])).value == -5


@pytest.mark.parametrize(
    ("datatype", "sent", "field", "value"),
    [
        (Type.INT8, 251, 10, -5),  # cut to its width by the sender
        (Type.INT8, 0xFFFFFFFB, 10, -5),  # with its sign up to 32 bits
        (Type.INT8, 2**64 - 5, 10, -5),  # up to 64, in a field of 32
        (Type.INT8, 127, 10, 127),
        (Type.INT16, 0xFFFB, 10, -5),
        (Type.INT16, 251, 10, 251),
        (Type.INT32, 0xFFFFFFFB, 11, -5),
        (Type.INT32, 2**64 - 5, 11, -5),
        (Type.INT64, 2**64 - 5, 11, -5),
        (Type.UINT8, 255, 10, 255),
        (Type.UINT32, 2**32 - 1, 10, 2**32 - 1),
        (Type.UINT64, 2**64 - 1, 11, 2**64 - 1),
    ],
)
def test_integers_in_whatever_width_they_travel(datatype: Type, sent: int, field: int, value: int) -> None:
    assert integer(datatype, sent, field).value == value


@pytest.mark.parametrize(
    ("datatype", "sent"),
    [(Type.INT8, 300), (Type.INT8, 0xFFFFFF00), (Type.INT16, 70_000), (Type.UINT8, 256), (Type.UINT16, 0xFFFFFFFB)],
)
def test_what_does_not_fit_is_no_value(datatype: Type, sent: int) -> None:
    found = integer(datatype, sent)
    assert found.value is None
    assert "does not fit" in found.why
    assert found.told == {"as_sent": sent}


def test_an_integer_of_unknown_datatype_is_not_guessed() -> None:
    with pytest.raises(DecodeError, match="no birth"):
        integer(Type.UNKNOWN, 251)


def test_a_value_of_another_kind_than_declared_is_no_value() -> None:
    made = protobuf.put_bytes(1, "m") + protobuf.put_number(4, Type.INT32) + protobuf.put_double(13, 5.0)
    assert only(write(None, [made])) == Found(why="declared as int32, sent as double")


def digits(number: float) -> int:
    """How many a person would have to write."""
    return len(Decimal(repr(number)).normalize().as_tuple().digits)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(999999995904.0)
def test_a_number_of_32_bits_has_the_fewest_digits_that_make_it(number: float) -> None:
    assert struct.pack("<f", shortest(number)) == struct.pack("<f", number)
    assert digits(shortest(number)) <= digits(number)


def test_a_float_is_what_people_wrote() -> None:
    assert only(write(None, [put_metric("m", Type.FLOAT, 21.3, None)])).value == 21.3


# -- values there and back

INTEGERS = {Type.INT8: 8, Type.INT16: 16, Type.INT32: 32, Type.INT64: 64}
VALUES: st.SearchStrategy[tuple[Type, Any]] = st.one_of(
    *(st.tuples(st.just(t), st.integers(-(2 ** (b - 1)), 2 ** (b - 1) - 1)) for t, b in INTEGERS.items()),
    *(st.tuples(st.just(Type(t + 4)), st.integers(0, 2**b - 1)) for t, b in INTEGERS.items()),
    st.tuples(st.just(Type.DOUBLE), st.floats(allow_nan=False)),
    st.tuples(st.just(Type.BOOLEAN), st.booleans()),
    st.tuples(st.sampled_from([Type.STRING, Type.TEXT, Type.UUID]), st.text()),
)


@given(VALUES, st.integers(0, 2**63), st.none() | st.integers(0, 2**64 - 1), st.text(max_size=5))
def test_a_metric_there_and_back(typed: tuple[Type, Any], at: int, alias: int | None, unit: str) -> None:
    datatype, value = typed
    (metric,) = read(write(at, [put_metric("a/b", datatype, value, at, alias, unit)], 255)).metrics
    assert (metric.name, metric.alias, metric.timestamp, metric.datatype) == ("a/b", alias, at, datatype)
    assert value_of(metric.holder, metric.held, metric.datatype, "").value == value
    assert metric.properties == ({"engUnit": unit} if unit else {})


@pytest.mark.parametrize(
    ("datatype", "value"), [(Type.INT8, 128), (Type.UINT16, -1), (Type.DOUBLE, "x"), (Type.BYTES, 1)]
)
def test_what_a_datatype_cannot_hold_is_not_written(datatype: Type, value: Any) -> None:
    with pytest.raises(ValueError, match="is no"):
        put_metric("m", datatype, value, None)


# -- hostile bytes


@given(st.binary(max_size=300))
def test_any_bytes_are_a_payload_or_a_decode_error(data: bytes) -> None:
    try:
        payload = read(data)
        for name, metric, _ in walk(payload.metrics, lambda _alias, _name: None):
            assert name is None or isinstance(name, str)
            value_of(metric.holder, metric.held, metric.datatype, name or "")
    except DecodeError:
        pass


@given(st.binary(max_size=64), st.sampled_from(list(Type)))
def test_any_content_of_any_datatype_is_a_value_or_none(data: bytes, datatype: Type) -> None:
    for field in (16, 17, 18):
        made = protobuf.put_bytes(1, "m") + protobuf.put_number(4, datatype) + protobuf.put_bytes(field, data)
        try:
            for name, metric, _ in walk(read(write(None, [made])).metrics, lambda _alias, _name: None):
                value_of(metric.holder, metric.held, datatype, name or "")
        except DecodeError:
            continue


@pytest.mark.parametrize(
    "data",
    [
        NDATA[:-1],
        NDATA[:20],
        b"\x0b",  # a group
        b"\x00\x01",  # field 0
        b"\xff" * 11,
        b"\x12\xff\xff\xff\xff\x0f",  # longer than what is there
        b"\x0a\x01a",  # a timestamp that is a text
    ],
)
def test_what_is_cut_or_no_protobuf_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read(data)


def test_templates_within_templates_have_an_end() -> None:
    inner = protobuf.put_bytes(1, "x")
    for _ in range(100):
        inner = protobuf.put_bytes(1, "x") + protobuf.put_bytes(18, protobuf.put_bytes(2, inner))
    with pytest.raises(DecodeError, match="too deep"):
        list(walk(read(write(None, [inner])).metrics, lambda _alias, _name: None))


# -- compression, templates, data sets


def compressed(body: bytes, algorithm: str) -> bytes:
    metric = put_metric("algorithm", Type.STRING, algorithm, None)
    return write(None, [metric], 5) + protobuf.put_bytes(4, COMPRESSED) + protobuf.put_bytes(5, body)


@pytest.mark.parametrize(("algorithm", "pack"), [("DEFLATE", zlib.compress), ("GZIP", gzip.compress)])
def test_a_compressed_payload_is_what_is_in_it(algorithm: str, pack: Any) -> None:
    assert read(compressed(pack(NDATA), algorithm)) == read(NDATA)


@pytest.mark.parametrize(
    "data",
    [
        compressed(zlib.compress(bytes(2 * MOST_UNPACKED)), "DEFLATE"),  # a bomb
        compressed(zlib.compress(NDATA)[:-3], "DEFLATE"),
        compressed(b"nothing of the kind", "GZIP"),
        compressed(NDATA, "LZ4"),
    ],
)
def test_what_cannot_be_unpacked_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read(data)


def test_a_templates_members_are_metrics_and_its_definition_is_none() -> None:
    member = put_metric("Temperature", Type.DOUBLE, -79.5, None)
    for definition, names in ((0, ["Freezer/Temperature"]), (1, [])):
        template = protobuf.put_bytes(2, member) + protobuf.put_number(5, definition)
        made = protobuf.put_bytes(1, "Freezer") + protobuf.put_number(3, 77) + protobuf.put_bytes(18, template)
        found = list(walk(read(write(1, [made])).metrics, lambda _alias, _name: None))
        assert [name for name, _, _ in found] == names
        assert all(metric.timestamp == 77 for _, metric, _ in found)


def test_a_data_set_is_shown_with_its_columns_types() -> None:
    cells = protobuf.put_bytes(1, protobuf.put_number(1, 251)) + protobuf.put_bytes(1, protobuf.put_bytes(6, "x"))
    table = protobuf.put_number(1, 2) + protobuf.put_bytes(2, "n") + protobuf.put_bytes(2, "s")
    table += protobuf.put_number(3, Type.INT8) + protobuf.put_number(3, Type.STRING) + protobuf.put_bytes(4, cells)
    made = protobuf.put_bytes(1, "m") + protobuf.put_number(4, Type.DATASET) + protobuf.put_bytes(17, table)
    assert only(write(None, [made])) == Found(told={"columns": ["n", "s"], "rows": [[-5, "x"]]}, structured=True)


# -- topics


@pytest.mark.parametrize(
    "at",
    [
        Topic("lab", Verb.NBIRTH, "edge 1"),
        Topic("lab", Verb.DDATA, "edge?1", "freezer=3&"),
        Topic("", Verb.STATE, "host-1"),
    ],
)
def test_a_topic_there_and_back(at: Topic) -> None:
    assert topic(str(at)) == at


@pytest.mark.parametrize(
    "text",
    ["", "lab/x", "spBv1.0/lab/NBIRTH", "spBv1.0/lab/NBIRTH/e/d", "spBv1.0/lab/DDATA/e", "spBv1.0//NDATA/e",
     "spBv1.0/lab/XDATA/e", "spBv1.0/lab/STATE/e", "spAv1.0/lab/NDATA/e"],
)  # fmt: skip
def test_what_is_no_sparkplug_topic(text: str) -> None:
    assert topic(text) is None


def test_the_state_topic_of_version_2_2() -> None:
    assert topic("STATE/host") == Topic("", Verb.STATE, "host")


def test_a_payload_of_nothing_is_nothing() -> None:
    assert read(b"") == Payload()
    assert math.isnan(float(str(scalar(Holder.DOUBLE, (13, 1, struct.pack("<d", math.nan)), Type.DOUBLE).value)))
