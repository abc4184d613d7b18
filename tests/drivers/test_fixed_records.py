"""Records of fixed columns: a column that cannot be where it should be is not read, and a masked value is none."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.fixed_records.driver import DRIVER
from drivers.fixed_records.options import FixedRecordsOptions
from drivers.kit.checks import sum8
from drivers.kit.declare import Identity, Message
from drivers.kit.exchange import DecodeError, Reason, Received, Rejected
from drivers.kit.observation import Draft, Kind, Quality

VARIANTS = [variant.name for variant in DRIVER.variants]
COUNTS = "0078004491013210396008820029400333002374*0030012000520000250000700046004253013400121001110*0000"


def preset(variant: str) -> FixedRecordsOptions:
    return FixedRecordsOptions.model_validate(dict(DRIVER.preset(variant).options))


def decoded(body: str, variant: str) -> list[Draft]:
    return list(DRIVER.decode(Message(b"\x02" + body.encode("latin-1") + b"\x03"), preset(variant)))


def counts(specimen: str = "4711", values: str = COUNTS, start: str = "D1U") -> str:
    return f"{start}202601150{specimen:0>15}0000000{values}"


# ---- Sysmex


def test_a_count_has_its_decimal_sign_where_the_table_says_and_its_flags() -> None:
    drafts = {draft.test: draft for draft in decoded(counts(), "sysmex-kx-21n")}
    assert len(drafts) == 19
    assert (drafts["WBC"].value, drafts["WBC"].unit, drafts["WBC"].flags) == ("7.8", "10*3/uL", ())
    assert (drafts["RBC"].value, drafts["RBC"].flags) == ("4.49", ("H",))
    assert (drafts["HGB"].value, drafts["PLT"].value) == ("13.2", "0237")
    assert (drafts["RDW-SD"].flags, drafts["RDW-SD"].quality) == ((">",), Quality.UNCERTAIN)
    assert drafts["WBC"].attributes["value_as_sent"] == "0078"
    assert {draft.specimen for draft in drafts.values()} == {"4711"}
    assert drafts["WBC"].attributes["specimen_as_sent"] == "000000000004711"


@pytest.mark.parametrize("test", ["LYM%", "P-LCR"])
def test_a_masked_value_is_none(test: str) -> None:
    draft = next(draft for draft in decoded(counts(), "sysmex-kx-21n") if draft.test == test)
    assert (draft.value, draft.quality) == (None, Quality.BAD)
    assert str(draft.attributes["printed_value"]).startswith("*")


def test_a_control_that_was_run_as_a_sample_is_a_control() -> None:
    assert {draft.kind for draft in decoded(counts("QC01"), "sysmex-kx-21n")} == {Kind.QC}


def test_a_control_record_and_a_question_are_no_results() -> None:
    assert [draft.kind for draft in decoded("D1C26011500001234", "sysmex-kx-21n")] == [Kind.EVENT]
    assert decoded("R12345", "sysmex-kx-21n") == []


@pytest.mark.parametrize("body", [counts()[:-1], counts() + "0", counts("12345", "0" * 94), "D1U", "", "X1U", "D"])
def test_a_record_of_another_length_or_beginning_is_not_read(body: str) -> None:
    with pytest.raises(DecodeError):
        decoded(body, "sysmex-kx-21n")


def test_a_record_without_a_date_where_one_should_be_is_not_read() -> None:
    with pytest.raises(DecodeError, match="date"):
        decoded(counts().replace("20260115", "  260115"), "sysmex-kx-21n")
    with pytest.raises(DecodeError):
        decoded(counts(), "sysmex-k-1000")


def test_a_date_of_six_digits_is_read_as_its_three_numbers() -> None:
    values = "".join(f"0{n:03}0" for n in range(1, 19))
    drafts = decoded(f"D1U2601150{'12':0>12}000000S{values}", "sysmex-k-1000")
    assert {(one.device_time, one.attributes["date_as_sent"]) for one in drafts} == {("26-01-15", "260115")}
    assert next((one.value, one.unit) for one in drafts if one.test == "RDW") == ("1.5", None)
    assert {one.attributes["rdw_select"] for one in drafts} == {"S"}


def test_digits_that_are_none_are_a_doubtful_text() -> None:
    draft = next(draft for draft in decoded(counts(values="O" + COUNTS[1:]), "sysmex-kx-21n") if draft.test == "WBC")
    assert (draft.value, draft.quality) == ("O078", Quality.UNCERTAIN)


def test_a_pad_that_was_not_read_says_nothing() -> None:
    def pad(status: str, grade: str, amount: str) -> str:
        return f"{status} {grade:>6}{amount:>6}".ljust(32)

    pads = [pad("0", "2+", "1.0"), pad("0", "-", ""), pad("1", "", "")] + [pad("0", "-", "")] * 9
    body = f"{'000000000123':<49}2026/01/15".ljust(69) + "".join(pads)
    drafts = decoded(body.ljust(518), "sysmex-uc-1000")
    assert [(one.test, one.value, one.interpretation) for one in drafts[:2]] == [
        ("URO", "1.0", "positive"),
        ("BLD", None, "negative"),
    ]
    assert "BIL" not in {one.test for one in drafts}
    assert {(one.specimen, one.device_time) for one in drafts} == {("123", "2026/01/15")}


# ---- Beckman


HEAD = f"{'D ':<2}00480100022{'A-17':>20}    E"


def test_the_tests_of_a_specimen_stand_one_after_the_other() -> None:
    drafts = decoded(HEAD + "001   5.4  003 131.0H 005******? ", "beckman-au")
    assert [(one.test, one.value, one.flags, one.quality) for one in drafts] == [
        ("001", "5.4", (), Quality.GOOD),
        ("003", "131.0", ("H",), Quality.GOOD),
        ("005", None, ("?",), Quality.BAD),
    ]
    assert {(one.specimen, one.run, one.attributes["rack"]) for one in drafts} == {("A-17", "0022", "0048")}


@pytest.mark.parametrize("about", ["", "F03205"])
@pytest.mark.parametrize("width", [4, 10, 13, 20, 26])
def test_the_mark_of_the_block_says_how_wide_the_identifier_is(width: int, about: str) -> None:
    specimen = "26010017341"[:width]
    body = f"DH000102U0003{specimen:<{width}}    E{about}001   5.4r 002  88.1ph003   0.9  "
    drafts = decoded(body, "beckman-au")
    assert [(one.specimen, one.test, one.value, one.flags) for one in drafts] == [
        (specimen, "001", "5.4", ("r",)),
        (specimen, "002", "88.1", ("HH",)),
        (specimen, "003", "0.9", ()),
    ]


def test_columns_that_fit_in_several_ways_are_not_read() -> None:
    columns = [{"name": "specimen", "at": [2, 4]}]
    record = {"starts": "D ", "columns": columns, "cells": [{"test": "GLU", "value": [6, 4]}]}
    other = {**record, "cells": [{"test": "UREA", "value": [6, 4]}]}
    options = FixedRecordsOptions.model_validate({"records": [record, other]})
    with pytest.raises(DecodeError, match="in several ways"):
        list(DRIVER.decode(Message(b"\x02D A-17 5.4\x03"), options))


@pytest.mark.parametrize("tail", ["001   5.4 ", "001   5.4  0", " 01   5.4  ", "ABC   5.4  ", "001   5.4  03  131.0H "])
def test_tests_that_are_shifted_are_not_read(tail: str) -> None:
    with pytest.raises(DecodeError):
        decoded(HEAD + tail, "beckman-au")
    with pytest.raises(DecodeError):
        decoded(HEAD[:-1] + "X" + "001   5.4  ", "beckman-au")


@pytest.mark.parametrize("body", ["DB", "DE", "RB", "R 00480100022", "RE"])
def test_what_is_said_around_results_is_no_result(body: str) -> None:
    assert decoded(body, "beckman-au") == []


@pytest.mark.parametrize("body", ["DQ00480100022", "DR001", "DA001"])
def test_controls_blanks_and_calibrations_are_events(body: str) -> None:
    assert [draft.kind for draft in decoded(body, "beckman-au")] == [Kind.EVENT]


def test_a_question_for_orders_is_answered_with_none() -> None:
    options = preset("beckman-au5800")
    host = DRIVER.host(options)
    (event,) = (one for one in host.receive(options.shape.write(b"R 010001010001"), 0.0) if isinstance(one, Received))
    assert event.reply == b"\x06" + options.shape.write(b"SE")


def test_a_second_run_says_that_it_is_one() -> None:
    drafts = decoded("DH" + HEAD[2:] + "001   5.4  ", "beckman-au")
    assert [draft.attributes["record"] for draft in drafts] == ["DH"]


# ---- HIPRO


BLOCK = (
    bytes.fromhex("FF24FF2403") + b"            102  hs-CRP  <0.5    mg/L" + bytes.fromhex("0000000000002041") + b" 102"
)


def test_the_makers_example_is_read_with_its_comparator() -> None:
    block = BLOCK + b"\x59\r\n"
    assert (len(block), sum8(block[3:54])) == (57, 0x59)
    host = DRIVER.host(preset("hipro-a1"))
    (event,) = (one for one in host.receive(block, 0.0) if isinstance(one, Received))
    (draft,) = DRIVER.decode(Message(event.raw), preset("hipro-a1"))
    assert (draft.test, draft.value, draft.unit, draft.specimen) == ("hs-CRP", "<0.5", "mg/L", "102")
    assert (draft.attributes["reference_low"], draft.attributes["reference_high"]) == ("0", "10")


def test_a_block_whose_sum_is_wrong_is_refused() -> None:
    host = DRIVER.host(preset("hipro-a1"))
    (event,) = (one for one in host.receive(BLOCK + b"\x35\r\n", 0.0) if isinstance(one, Rejected))
    assert event.reason is Reason.CHECKSUM
    with pytest.raises(DecodeError):
        list(DRIVER.decode(Message(BLOCK + b"\x35\r\n"), preset("hipro-a1")))


# ---- anything


@given(body=st.binary(max_size=600))
@pytest.mark.parametrize("variant", VARIANTS)
def test_any_bytes_are_read_or_refused(variant: str, body: bytes) -> None:
    options = preset(variant)
    for data in (body, options.shape.write(body), b"\x02" + options.records[0].fill.encode("latin-1") + body + b"\x03"):
        try:
            list(DRIVER.decode(Message(data), options))
        except DecodeError:
            continue


@given(values=st.lists(st.decimals(0, 999, places=1), min_size=3, max_size=3))
def test_what_is_sent_is_read(values: list[Decimal]) -> None:
    options = preset("beckman-au5800")
    tests = ("001", "002", "003")
    results = [{"test": test, "value": str(value)} for test, value in zip(tests, values, strict=True)]
    block = DRIVER.encode({"time": None, "specimen": "S-1", "results": results}, options)
    drafts = list(DRIVER.decode(Message(block), options))
    assert [(one.test, Decimal(str(one.value))) for one in drafts] == list(zip(tests, values, strict=True))


def test_a_value_that_does_not_fit_is_not_cut() -> None:
    options = preset("beckman-au")
    with pytest.raises(ValueError, match="does not fit"):
        DRIVER.encode({"time": None, "results": [{"test": "001", "value": "1234567.8"}]}, options)


def test_without_acknowledgement_or_date_every_record_counts() -> None:
    assert DRIVER.identity(preset("hipro-a1")) is Identity.ARRIVAL
    assert DRIVER.identity(preset("sysmex-kx-21n")) is Identity.CONTENT


@pytest.mark.parametrize(
    "table",
    [
        {"records": []},
        {"records": [{"starts": "A", "cells": [{"value": [0, 0]}]}]},
        {"records": [{"starts": "A", "columns": [{"name": "Specimen", "at": [0, 4]}]}]},
        {"records": [{"starts": "A"}], "sized": {"magic": "FF", "bytes": 10}},
        {"records": [{"starts": "A"}], "sized": {"magic": "FF24", "bytes": 10, "sum_at": 12}},
    ],
)
def test_a_declaration_that_cannot_be_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FixedRecordsOptions.model_validate(table)
