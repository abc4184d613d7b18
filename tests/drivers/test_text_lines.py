"""Printed lines: what no pattern fits, or two do, is not read, and makers' signs keep their meaning."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.kit.asking import Asking
from drivers.kit.declare import Identity, Message
from drivers.kit.exchange import DecodeError, Reason, Received, Rejected, Send
from drivers.kit.observation import Draft, Kind, Quality
from drivers.kit.printed import fill
from drivers.kit.regular import safe
from drivers.kit.text_options import TextLinesOptions
from drivers.kit.values import plain_number
from drivers.text_lines.driver import DRIVER

VARIANTS = [variant.name for variant in DRIVER.variants]


def decoded(line: str | bytes, variant: str = "", channel: str = "", **options: Any) -> list[Draft]:
    data = line if isinstance(line, bytes) else line.encode("iso8859-1")
    preset = DRIVER.preset(variant).options if variant else {}
    return list(DRIVER.decode(Message(data, channel), TextLinesOptions.model_validate({**preset, **options})))


def read(line: str | bytes, variant: str = "", channel: str = "", **options: Any) -> Draft:
    (draft,) = decoded(line, variant, channel, **options)
    return draft


# ---- makers' formats, as their manuals print them


LINES: list[tuple[str, str, str | None, str | None, Quality]] = [
    ("sartorius-sbi", "+   255.09 g  \r\n", "+255.09", "g", Quality.GOOD),
    ("sartorius-sbi", "N     +   255.09 g  \r\n", "+255.09", "g", Quality.GOOD),
    ("sartorius-sbi", "   111.255 g  \r\n", "111.255", "g", Quality.GOOD),
    ("sartorius-sbi", "-    0.003 mg \r\n", "-0.003", "mg", Quality.GOOD),
    ("sartorius-sbi", "+  123.5[6]g  \r\n", "+123.56", "g", Quality.GOOD),
    ("sartorius-sbi", "N     +  123.5[6]g  \r\n", "+123.56", "g", Quality.GOOD),
    ("sartorius-sbi", "+      253 pcs\r\n", "+253", "pcs", Quality.GOOD),
    ("sartorius-sbi", "+   255.09 g\r\n", "+255.09", "g", Quality.GOOD),
    ("sartorius-sbi", "N     +   255.09 g\r\n", "+255.09", "g", Quality.GOOD),
    ("sartorius-sbi", "Stat        - -     \r\n", None, None, Quality.BAD),
    ("sartorius-sbi", "+   255.09    \r\n", "+255.09", None, Quality.UNCERTAIN),
    ("sartorius-sbi", "Stat       H  \r\n", None, None, Quality.BAD),
    ("sartorius-sbi", "      High    \r\n", None, None, Quality.BAD),
    ("sartorius-sbi", "      L       \r\n", None, None, Quality.BAD),
    ("sartorius-sbi", "Stat      Cal.Ext.  \r\n", None, None, Quality.BAD),
    ("sartorius-sbi", "Stat   Err 54 \r\n", None, None, Quality.BAD),
    ("sartorius-sbi", "Stat     ERR 101    \r\n", None, None, Quality.BAD),
    ("sartorius-sbi", "      --      \r\n", None, None, Quality.BAD),
    ("and-balance", "ST,+00123.45  g\r\n", "+00123.45", "g", Quality.GOOD),
    ("and-balance", "US,-00183.96  g\r\n", "-00183.96", "g", Quality.UNCERTAIN),
    ("and-balance", "ST,+000123.4  %\r\n", "+000123.4", "%", Quality.GOOD),
    ("and-balance", "ST,+0001.278, ct\r\n", "+0001.278", "ct", Quality.GOOD),
    ("and-balance", "QT,+00012345 PC\r\n", "+00012345", "{pcs}", Quality.GOOD),
    ("and-balance", "OL,+9999999.9\r\n", None, None, Quality.BAD),
    ("and-balance", "OL,+999999.9  g\r\n", None, "g", Quality.BAD),
    ("and-balance", "OL,+9999999E+19\r\n", None, None, Quality.BAD),
    ("and-balance", "OL,+9999999E+19,  g\r\n", None, "g", Quality.BAD),
    ("and-scale", "ST,GS,+00012.3kg\r\n", "+00012.3", "kg", Quality.GOOD),
    ("and-scale", "US,NT,-0012.34kg\r\n", "-0012.34", "kg", Quality.UNCERTAIN),
    ("and-scale", "OL,GS,+9999999kg\r\n", None, "kg", Quality.BAD),
    ("and-scale", "QT,GS,+0000025PC\r\n", "+0000025", "{pcs}", Quality.GOOD),
    ("ohaus", "     192.21 g\r\n", "192.21", "g", Quality.GOOD),
    ("ohaus", "     12.345 g     \r\n", "12.345", "g", Quality.GOOD),
    ("ohaus", "       0.01 g ?\r\n", "0.01", "g", Quality.UNCERTAIN),
    ("ohaus", "       0.01 g   00:00:00\r\n", "0.01", "g", Quality.GOOD),
    ("ohaus", "     176.30 g ? 00:00:15\r\n", "176.30", "g", Quality.UNCERTAIN),
    ("ohaus", "     207.80 g TOTAL\r\n", "207.80", "g", Quality.GOOD),
    ("ohaus", "     -12.34 kg     NET\r\n", "-12.34", "kg", Quality.GOOD),
    ("ohaus-rs232", "       12.73 g    ?\r\n", "12.73", "g", Quality.UNCERTAIN),
    ("ohaus-rs232", "        0.85 oz     WET WT\r\n", "0.85", "oz", Quality.GOOD),
    ("ohaus-rs232", "           3 PCS   \r\n", "3", "PCS", Quality.GOOD),
    ("radwag", "        18.5 g  \r\n", "18.5", "g", Quality.GOOD),
    ("radwag", "        18.5 g\r\n", "18.5", "g", Quality.GOOD),
    ("radwag", "?       18.5 kg \r\n", "18.5", "kg", Quality.UNCERTAIN),
    ("radwag", "^     1832.0 g  \r\n", None, "g", Quality.BAD),
    ("radwag", "S    -      8.5 g  \r\n", "-8.5", "g", Quality.GOOD),
    ("radwag", "SI ?       18.5 kg \r\n", "18.5", "kg", Quality.UNCERTAIN),
    ("radwag", "SU   -  172.135 N  \r\n", "-172.135", "N", Quality.GOOD),
    ("radwag", "SUI?       18.5 kg \r\n", "18.5", "kg", Quality.UNCERTAIN),
    ("radwag", "     18.532[1] g  \r\n", "18.5321", "g", Quality.GOOD),
    ("kern", "         0.0 g  \r\n", "0.0", "g", Quality.GOOD),
    ("kern", " -      12.5 kg \r\n", "-12.5", "kg", Quality.GOOD),
    ("kern", "        12.5    \r\n", "12.5", None, Quality.UNCERTAIN),
    ("kern", "         0.0 \r\n", "0.0", None, Quality.UNCERTAIN),
    ("kern", "       Error\r\n", None, None, Quality.BAD),
    ("shimadzu", "S-  186.65g \r", "-186.65", "g", Quality.GOOD),
    ("shimadzu-auw", "U   21.6865g \r", "21.6865", "g", Quality.UNCERTAIN),
    ("shimadzu-auw", "-  21.6865g \r", "-21.6865", "g", Quality.UNCERTAIN),
    ("shimadzu", "S   186.6[5]g \r", "186.65", "g", Quality.GOOD),
    ("shimadzu", "U-      oL     \r", None, None, Quality.BAD),
    ("shimadzu", "     OL     \r", None, None, Quality.BAD),
    ("vibra", "+00123.4 G S\r\n", "+00123.4", "G", Quality.GOOD),
    ("vibra", "-65.4320KG U\r\n", "-65.4320", "KG", Quality.UNCERTAIN),
    ("vibra", "+00000.0 G E\r\n", None, "G", Quality.BAD),
    ("cozir", " Z 00512\r\n", "00512", "[ppm]", Quality.GOOD),
    ("cozir", " Z 00512 z 00530\r\n", "00512", "[ppm]", Quality.GOOD),
    ("cozir", " H 00345 T 01195 Z 00651\r\n", "00651", "[ppm]", Quality.GOOD),
    ("labelled", "Osmolality = 291 mOsm/kg\r\n", "291", "mOsm/kg", Quality.GOOD),
    ("labelled", "T: -3,5 °C\r\n", "-3,5", "°C", Quality.GOOD),
]


@pytest.mark.parametrize(("variant", "line", "value", "unit", "quality"), LINES)
def test_a_makers_line_says_what_its_manual_says(
    variant: str, line: str, value: str | None, unit: str | None, quality: Quality
) -> None:
    draft = read(line, variant)
    assert (draft.value, draft.quality) == (value, quality)
    assert value is None or draft.unit == unit
    assert value is None or plain_number(value, "," if "," in value else ".") is not None
    assert quality is Quality.GOOD or draft.quality_reason


# What becomes of a line that a bad wire has changed: its value as a number where it is called good.
def called_good(line: str, variant: str, channel: str = "") -> set[tuple[str, str]]:
    try:
        drafts = decoded(line, variant, channel)
    except DecodeError:
        return set()
    return {(draft.test, str(draft.value)) for draft in drafts if draft.quality is Quality.GOOD}


GOOD = [row[:2] for row in LINES if row[4] is Quality.GOOD]


@pytest.mark.parametrize(("variant", "line"), [row for row in GOOD if row[0] != "labelled"])
def test_where_columns_are_counted_a_lost_character_is_noticed(variant: str, line: str) -> None:
    true, body = called_good(line, variant), line.rstrip("\r\n")
    assert true
    for place in range(len(body)):
        shorter = body[:place] + body[place + 1 :]
        assert called_good(shorter, variant) <= true, shorter


@pytest.mark.parametrize(("variant", "line"), GOOD)
def test_a_line_that_is_cut_or_glued_to_the_next_is_no_other_value(variant: str, line: str) -> None:
    true, body = called_good(line, variant), line.rstrip("\r\n")
    for place in range(len(body)):
        if variant != "labelled" or not body[place - 1 : place].isdigit():
            assert called_good(body[:place], variant) <= true, body[:place]
    assert not called_good(body + body, variant)
    assert not called_good(body.strip() + body.strip(), variant)


@pytest.mark.parametrize("line", ["+   255.12 \r\n", "+   255.12\r\n", "N     +   255.12 \r\n"])
def test_a_weight_cut_before_its_unit_is_not_one_that_is_not_stable(line: str) -> None:
    with pytest.raises(DecodeError):
        decoded(line, "sartorius-sbi")


@pytest.mark.parametrize("parity", ["even", "odd", "mark"])
@pytest.mark.parametrize(("variant", "line"), [row for row in GOOD if row[1].isascii()])
def test_seven_bits_read_as_eight_are_no_other_value(variant: str, line: str, parity: str) -> None:
    true = called_good(line, variant)
    bit = {"even": (0, 1), "odd": (1, 0), "mark": (1, 1)}[parity]
    sent = "".join(chr(ord(char) | bit[ord(char).bit_count() % 2] << 7) for char in line)
    assert called_good(sent, variant) <= true


@given(
    number=st.decimals(min_value=-999, max_value=9999, places=1) | st.integers(-999, 9999),
    shown=st.sampled_from(["{}", "T={} C", "T: {}", "{} %"]),
)
@pytest.mark.parametrize("variant", ["", "labelled"])
@pytest.mark.parametrize("parity", [0, 1])
def test_a_probe_with_the_wrong_parity_is_not_read_wrongly(
    variant: str, parity: int, number: Decimal | int, shown: str
) -> None:
    line = shown.format(number)
    sent = "".join(chr(ord(char) | ((ord(char).bit_count() + parity) % 2) << 7) for char in line)
    assert called_good(sent, variant) <= called_good(line, variant)


@pytest.mark.parametrize(
    "line", ["12.", "12.\r", "T=12. C", "23.4523.46", "T=23.4T=23.5", "T=23.4 CT=23.5 C", "²3.30", "33´"]
)
@pytest.mark.parametrize("variant", ["", "labelled"])
def test_half_a_number_is_none(variant: str, line: str) -> None:
    assert not called_good(line, variant)


def test_eight_bit_units_are_read_in_the_character_set_that_is_declared() -> None:
    assert read("T: 23.4 °C".encode("cp437"), "labelled", encoding="cp437").unit == "°C"
    assert read("T: 23.4 °C".encode("iso8859-1"), "labelled").unit == "°C"
    assert read("Fe: 12.5 µmol/L".encode(), "labelled", encoding="utf-8").unit == "µmol/L"
    for mistaken in ("T: 23.4 °C".encode("cp437"), "T: 23.4 °C".encode()):  # taken for ISO 8859-1
        with pytest.raises(DecodeError):
            decoded(mistaken, "labelled")


def test_vaisala_says_two_things_and_stars_are_none() -> None:
    humidity, temperature = decoded("RH= 45.2 %RH T= 22.3 'C\r\n", "vaisala-hmt", "air")
    assert [(one.quantity, one.value, one.unit) for one in (humidity, temperature)] == [
        ("humidity", "45.2", "%"),
        ("temperature", "22.3", "Cel"),
    ]
    humidity, temperature = decoded("RH= **** %RH T= 22.3 'C\r\n", "vaisala-hmt", "air")
    assert (humidity.value, humidity.quality, temperature.value) == (None, Quality.BAD, "22.3")


@pytest.mark.parametrize(
    ("variant", "line", "said"),
    [
        ("tps-901", "  7.01pH    25.0oC\r\n", {"ph": "7.01", "temperature": "25.0"}),
        ("tps-901", " -57.3mV    25.0oCm\r\n", {"potential": "-57.3", "temperature": "25.0"}),
        ("tps-901", "  +OVRpH    25.0oC\r\n", {"ph": None, "temperature": "25.0"}),
        ("consort", "0001\t7.34\tpH\t23.7\t2\t13:19:57\t29/01/26\r\n", {"ph": "7.34", "temperature": "23.7"}),
        ("ph-line", "pH 7.01\r\n", {"ph": "7.01"}),
        ("ph-line", "7.012 pH -1.3 mV 25.0 oC ATC\r\n", {"ph": "7.012", "potential": "-1.3", "temperature": "25.0"}),
        ("ph-line", "2026-01-15 09:30 pH 7.000 25.0 °C AR\r\n", {"ph": "7.000", "temperature": "25.0"}),
    ],
)
def test_a_ph_meter_says_its_temperature_in_the_same_line(variant: str, line: str, said: dict[str, str | None]) -> None:
    drafts = decoded(line, variant)
    assert {draft.quantity: draft.value for draft in drafts} == said
    assert all(draft.quality is Quality.BAD for draft in drafts if draft.value is None)
    assert {draft.unit for draft in drafts if draft.value is not None} <= {"[pH]", "mV", "Cel"}


@pytest.mark.parametrize(
    ("variant", "line"),
    [
        ("tps-901", "  7 01pH    25.0oC"),  # not calibrated
        ("tps-901", " 7.01pH    25.0oC"),
        ("consort", "0001\t7.34\tpH\t23.7\t2\t13:19:57"),
        ("ph-line", "17.01pH"),
        ("ph-line", "pH 7.01 25.0"),
        ("ph-line", "pH 7.0125.0 C"),
    ],
)
def test_a_ph_that_may_be_another_is_not_read(variant: str, line: str) -> None:
    with pytest.raises(DecodeError):
        decoded(line, variant)


def test_a_sensors_power_on_value_is_no_measurement() -> None:
    options = DRIVER.trial()
    (after_power_on,) = DRIVER.decode(Message(b"T=85.00 C\r\n"), options)
    (missing,) = DRIVER.decode(Message(b"T=-127.00 C\r\n"), options)
    (warm,) = DRIVER.decode(Message(b"T=84.99 C\r\n"), options)
    assert [one.quality for one in (after_power_on, missing, warm)] == [Quality.UNCERTAIN, Quality.BAD, Quality.GOOD]
    assert missing.value is None


@pytest.mark.parametrize(("digits", "value"), [("0A4F", "26.39"), ("F060", "-40.00"), ("0000", "0.00")])
def test_hexadecimal_hundredths_are_signed(digits: str, value: str) -> None:
    draft = read(f"{{S01{digits}\r\n", "huber-pb", "bath")
    assert (draft.value, draft.attributes["value_as_sent"]) == (value, digits)
    assert read("{S017FFF\r\n", "huber-pb", "bath").quality is Quality.BAD


def test_a_strip_reader_prints_a_specimen_and_its_lines() -> None:
    first = (
        "\x0217/03/30     20:23  \nID# 0223            \n MULTI:PANEL-V      \nBUN      7.4 mmol/L \n"
        "ALP   UNDER <  0.83 \nT-Pro \x1e  82 g/L    \n\x17"
    )
    drafts = decoded(first + "\x02SINGLE:             \nCa      2.91 mmol/L \n\x03", "spotchem-ez")
    assert [(one.test, one.value, one.unit, one.flags) for one in drafts] == [
        ("BUN", "7.4", "mmol/L", ()),
        ("ALP", "<  0.83", None, ()),
        ("T-Pro", "82", "g/L", ("H",)),
        ("Ca", "2.91", "mmol/L", ()),
    ]
    assert {(one.specimen, one.device_time, one.kind) for one in drafts} == {("0223", "17/03/30 20:23", Kind.RESULT)}


def test_a_control_is_no_patients_result() -> None:
    (draft,) = decoded("\x02 ID:QC-1\r\n Date:15-01-2026 10:00\r\n LEU   -      neg\r\n\x03", "urine-strip")
    assert (draft.kind, draft.specimen, draft.interpretation) == (Kind.QC, "QC-1", "negative")


# ---- nothing is guessed


@pytest.mark.parametrize("line", ["CO2 450 ppm", "12.3.4", "-5 2", "1 2", "T=", "", "no number", "1e5", "23.4 C 5"])
def test_a_line_with_no_number_or_several_is_not_read(line: str) -> None:
    with pytest.raises(DecodeError):
        decoded(line + "\r\n")


@pytest.mark.parametrize(("line", "value"), [("23.45", "23.45"), ("T=-3.4 C", "-3.4"), ("+021,3 %", "+021,3")])
def test_a_line_with_one_number_is_read_as_it_was_sent(line: str, value: str) -> None:
    assert read(line).value == value


def test_two_patterns_that_say_different_things_are_not_guessed_between() -> None:
    two = [
        {"match": r"(?P<value>\d+) C", "quantity": "temperature"},
        {"match": r"(?P<value>\d+) [CF]", "quantity": "setpoint"},
    ]
    with pytest.raises(DecodeError, match="several patterns"):
        decoded("37 C", patterns=two)
    assert read("37 F", patterns=two).quantity == "setpoint"


def test_an_unknown_status_is_not_taken_for_good() -> None:
    patterns = [{"match": r"(?P<status>\w+),(?P<value>\d+)", "quantity": "mass"}]
    with pytest.raises(DecodeError, match="unknown status"):
        decoded("ZZ,12", patterns=patterns, statuses={"ST": "good"})


def test_a_line_that_is_declared_to_be_ignored_says_nothing() -> None:
    assert decoded("SI A\r\n", "radwag") == []


def test_a_message_that_was_broken_off_is_uncertain() -> None:
    options = TextLinesOptions.model_validate(dict(DRIVER.preset("spotchem-ez").options))
    data = b"\x0226/01/15     10:00  \nID# 7\nBUN      7.4 mmol/L \n\x17"
    (draft,) = DRIVER.decode(Message(data, sound=False), options)
    assert draft.quality is Quality.UNCERTAIN


def test_bytes_of_another_character_set_are_not_read() -> None:
    with pytest.raises(DecodeError) as caught:
        decoded("23.4 °C".encode("iso8859-1"), encoding="utf-8")
    assert caught.value.reason is Reason.ENCODING


# ---- expressions that could run away


@pytest.mark.parametrize(
    "expression", [r"(a+)+b", r"(a|aa)*b", r"(a?){30}b", r"(?:\d+,?)*x", r".*a.*a.*a.*a.*", r"\s*\s*\s*\s*x"]
)
def test_an_expression_that_can_run_away_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"repeat|choose"):
        safe(expression)
    with pytest.raises(ValidationError):
        TextLinesOptions.model_validate({"patterns": [{"match": expression}]})


@given(line=st.text(alphabet=" 0123456789.,+-gkmRHT=%'C?ABN", max_size=256))
@pytest.mark.parametrize("variant", VARIANTS)
def test_any_line_is_read_or_refused(variant: str, line: str) -> None:
    try:
        decoded(line, variant, "air")
    except DecodeError:
        return


@pytest.mark.parametrize("filling", [" ", "0", "+", "a", "* ", "0 ", ", "])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_long_line_is_refused_before_it_is_matched(variant: str, filling: str) -> None:
    with pytest.raises(DecodeError):
        decoded("\x02" + filling * 4000 + "\r\n\x03", variant)
    with pytest.raises(DecodeError):
        decoded("\x02" + (filling * 128)[:255] + "!\r\n\x03", variant)


# ---- asked


def asked(variant: str) -> tuple[Asking, TextLinesOptions]:
    options = TextLinesOptions.model_validate(dict(DRIVER.preset(variant).options))
    host = DRIVER.host(options)
    assert isinstance(host, Asking)
    return host, options


def test_a_late_answer_is_not_taken_for_another_questions() -> None:
    host, options = asked("julabo")
    questions: list[bytes] = []
    drafts: list[Draft] = []
    answers = {b"status\r": b"03 REMOTE START\r\n", b"in_pv_00\r": b"  37.00\r\n", b"in_pv_02\r": b"  21.50\r\n"}
    pending: list[tuple[float, bytes]] = []
    for step in range(200):
        now = step * 0.5
        events = list(host.tick(now)) if host.deadline is not None and host.deadline <= now else []
        for due, answer in [one for one in pending if one[0] <= now]:
            pending.remove((due, answer))
            events += host.receive(answer, now)
        for event in events:
            if isinstance(event, Send) and event.data:
                questions.append(event.data)
                slow = event.data == b"in_pv_00\r" and questions.count(event.data) == 2
                pending.append((now + (4.0 if slow else 0.5), answers[event.data]))
            elif isinstance(event, Received):
                drafts += DRIVER.decode(Message(event.raw, event.channel), options)
    assert {(one.quantity, one.value) for one in drafts if one.kind is Kind.READING} == {
        ("temperature", "37.00"),
        ("external-temperature", "21.50"),
    }


def test_what_nobody_asked_for_is_refused_unless_a_pattern_knows_it() -> None:
    host, _ = asked("ika-namur")
    assert isinstance(next(iter(host.receive(b"23.5 1\r\n", 0.0))), Rejected)
    balance, _ = asked("ohaus")
    (event, *_) = balance.receive(b"     12.345 g     \r\n", 0.0)
    assert isinstance(event, Received)


def test_questions_must_be_told_apart() -> None:
    line = {"match": r"(?P<value>\d+)", "quantity": "x", "asked": "b"}
    for table in (
        {"ask": [{"name": "a", "send": "A"}, {"name": "a", "send": "B"}]},
        {"ask": [{"name": "a", "send": "A", "sync": "z"}]},
        {"ask": [{"name": "a", "send": "A"}], "patterns": [line]},
        {"ask": [{"name": "a", "send": "A"}], "acknowledge": True},
        {"checksum": "sum8"},
        {"patterns": [{"match": r"(?P<value>\d+)", "items": [{"value": "other"}]}]},
        {"patterns": [{"match": r"(?P<value>\d+)", "quality": "excellent"}]},
        {"patterns": [{"match": r"(?P<value>\d+)", "print": "{value:x}"}]},
        {"encoding": "utf-16"},
    ):
        with pytest.raises(ValidationError):
            TextLinesOptions.model_validate(table)


def test_what_has_its_own_time_is_the_same_when_it_arrives_again() -> None:
    dated = TextLinesOptions.model_validate(dict(DRIVER.preset("spotchem-ez").options))
    assert DRIVER.identity(dated) is Identity.CONTENT
    assert DRIVER.identity(TextLinesOptions()) is Identity.ARRIVAL


ECHO = b"GETMEAS         \r\n\r\n\r"
MEASURED = b"A215 pH,X00001,3.04,OP1,01/15/26  09:30:00,---,CH-1,pH,4.61,pH,111.2, mV,25.0,C,89.1,%,M100,#1\n\r\r> "


@given(cuts=st.sets(st.integers(1, len(ECHO + MEASURED) - 1)))
def test_an_echo_and_a_prompt_say_nothing_at_any_cut(cuts: set[int]) -> None:
    host, options = asked("orion-star")
    assert [event.data for event in host.tick(0.0) if isinstance(event, Send)] == [b"GETMEAS\r"]
    data = ECHO + MEASURED
    edges = [0, *sorted(cuts), len(data)]
    events = [event for begin, end in pairwise(edges) for event in host.receive(data[begin:end], 0.1)]
    events += host.tick(2.0)
    assert b"".join(event.raw for event in events) == data
    assert not [event for event in events if isinstance(event, Rejected)]
    (received,) = (event for event in events if isinstance(event, Received))
    ph, potential, temperature = DRIVER.decode(Message(received.raw, received.channel), options)
    assert [(one.value, one.unit) for one in (ph, potential, temperature)] == [
        ("4.61", "[pH]"),
        ("111.2", "mV"),
        ("25.0", "Cel"),
    ]
    assert ph.device_time == "01/15/26  09:30:00"


def test_a_bath_is_left_alone_between_an_answer_and_the_next_question() -> None:
    host, _ = asked("julabo")
    list(host.tick(0.0))
    list(host.receive(b"03 REMOTE START\r\n", 1.0))
    assert not list(host.tick(1.2))
    assert [event.data for event in host.tick(1.25) if isinstance(event, Send)] == [b"in_pv_00\r"]


def test_a_question_without_an_end_is_heard() -> None:
    options = DRIVER.trial("kern")
    host, balance = DRIVER.host(options), DRIVER.instrument(options)
    list(balance.offer(DRIVER.encode({"time": None, "readings": {"mass": 12.5}}, options), 0.0))
    (question,) = host.tick(0.0)
    assert isinstance(question, Send) and question.data == b"w"
    said = [event.data for event in balance.receive(b"xyw", 0.1) if isinstance(event, Send) and event.data]
    assert [draft.value for draft in DRIVER.decode(Message(said[0]), options)] == ["12.5"]


@pytest.mark.parametrize("number", [f"{whole}.{part}" for whole, part in ((3, "7"), (37, "00"), (120, "5"))])
@pytest.mark.parametrize(("variant", "channel", "tail"), [("julabo", "bath", ""), ("ika-namur", "probe", " 1")])
def test_an_answer_that_was_cut_or_glued_is_no_temperature(variant: str, channel: str, tail: str, number: str) -> None:
    assert read(number + tail, variant, channel).value == number
    for line in (number.partition(".")[0] + tail, number[:2].rstrip(".") + "." + tail, number + number + tail):
        with pytest.raises(DecodeError):
            decoded(line, variant, channel)


def test_a_bath_always_answers_with_two_decimals() -> None:
    assert read("020.00", "lauda", "bath").value == "020.00"
    assert read("ERR_3", "lauda", "bath").quality is Quality.BAD
    for line in ("020.0", "020", "20.000", "020.00020.00"):
        with pytest.raises(DecodeError):
            decoded(line, "lauda", "bath")


def test_lines_that_carry_no_time_of_their_own_count_each_time() -> None:
    reading = {"match": r"(?P<value>\d+) g", "quantity": "mass"}
    timed = {"match": r"(?P<time>\d\d:\d\d:\d\d) (?P<value>\d+) g", "quantity": "mass"}
    for table, identity in (
        ({"patterns": [timed]}, Identity.CONTENT),
        ({"patterns": [timed, reading]}, Identity.ARRIVAL),  # equal weights are two weighings
        ({"patterns": [timed, {"match": "READY", "ignore": True}]}, Identity.CONTENT),
        ({"patterns": [timed], "ask": [{"name": "a", "send": "A"}]}, Identity.ARRIVAL),
        ({"patterns": [{"match": r"(?P<time>[\d:]+)"}, reading], "framing": "blocks"}, Identity.CONTENT),
        ({"patterns": [{"match": r"ID (?P<specimen>\w+)"}, reading], "framing": "blocks"}, Identity.ARRIVAL),
        (
            {"patterns": [{"match": r"ID (?P<specimen>\w+)"}, reading], "framing": "blocks", "acknowledge": True},
            Identity.CONTENT,
        ),
    ):
        assert DRIVER.identity(TextLinesOptions.model_validate(table)) is identity, table


def test_a_page_ends_with_a_form_feed() -> None:
    page: dict[str, Any] = {
        "terminator": "\f",
        "patterns": [
            {"match": r"ID (?P<specimen>\w+)"},
            {"match": r"(?P<test>[A-Z]{3}) +(?P<value>\d+\.\d+)", "kind": "result"},
            {"match": r"-+|Page \d+", "ignore": True},
        ],
    }
    text = "ID A1\r\n-----\r\nCRP   5.1\r\nHGB  12.9\r\nPage 1\r\n\f"
    drafts = decoded(text, **page)
    assert [(one.specimen, one.test, one.value) for one in drafts] == [("A1", "CRP", "5.1"), ("A1", "HGB", "12.9")]
    with pytest.raises(DecodeError):  # the line end between two results was lost
        decoded(text.replace("5.1\r\n", "5.1"), **page)


@pytest.mark.parametrize(
    ("line", "test", "value", "call", "beside"),
    [
        ("*LEU      3+       500 Leu/uL", "LEU", "3+", "positive", "500"),
        (" NIT       -              neg", "NIT", "-", "negative", "neg"),
        (" LEU -       0 CELL/uL", "LEU", "-", "negative", "0"),
        (" NIT -   ", "NIT", "-", "negative", None),
        ("*Vc  +-     0.6 mmol/L", "Vc", "+-", "indeterminate", "0.6"),
        ("PRO ++++2000 mg/dl", "PRO", "++++", "positive", "2000"),
        (" PRO +1", "PRO", "+1", "positive", None),
        (" PRO + 1.0 g/L", "PRO", "+", "positive", "1.0"),
        (" URO Normal3.4 umol/L", "URO", "Normal", "normal", "3.4"),
        (" SG         1.020     ", "SG", "1.020", None, None),
        (" MA          <=10 mg/L", "MA", "<=10", None, None),
        ("S.G >=1.030", "S.G", ">=1.030", None, None),
        ("*BLD   1+  Ca25 Ery/uL", "BLD", "1+", "positive", "Ca25"),
        ("*PRO   Trace", "PRO", "Trace", "indeterminate", None),
        (" LEU   Negative", "LEU", "Negative", "negative", None),
        ("*KET   2+  mmol/L", "KET", "2+", "positive", None),
    ],
)
def test_a_pad_is_its_grade_and_what_that_stands_for(
    line: str, test: str, value: str, call: str | None, beside: str | None
) -> None:
    (draft,) = decoded(f"\x02ID:A1\r\n{line}\r\n\x03", "urine-strip")
    assert (draft.test, draft.value, draft.interpretation) == (test, value, call)
    assert draft.attributes.get("concentration") == beside
    with pytest.raises(DecodeError):
        decoded(f"\x02ID:A1\r\n{line}{line.strip()}\r\n\x03", "urine-strip")


def test_a_date_with_its_year_first_needs_no_order() -> None:
    (draft,) = decoded("\x02\r\nDate:2026-01-15 16:10\r\nNo.000012\r\nID:A1\r\n pH    7.5\r\n\x03", "urine-strip")
    assert (draft.device_time, draft.run, draft.specimen) == ("2026-01-15 16:10", "000012", "A1")


def test_a_limit_without_its_unit_is_given_none() -> None:
    block = "\x0226/01/15     09:31  \r\nID# 12345\r\nBUN   UNDER <  5   \r\nBUN     18 mg/dL  \r\n\x03"
    assert [(one.value, one.unit) for one in decoded(block, "spotchem-ez")] == [("<  5", None), ("18", "mg/dL")]


@pytest.mark.parametrize("encoding", ["gb2312", "utf-8"])
def test_a_colon_in_double_width_is_one(encoding: str) -> None:
    block = "\x02\r\n Date:2026-01-15 10:31\r\n No. 0012\r\n ID：260115118\r\n BLD 1+ 25 Ery/uL\r\n RT  \r\n\x03"
    (draft,) = decoded(block.encode(encoding), "urine-strip")
    assert (draft.specimen, draft.test, draft.value) == ("260115118", "BLD", "1+")


def clinitek(*lines: str) -> list[Draft]:
    text = "".join(f"{line}\r\n" for line in ("", "6510  01.02 2601151349", "007 YELLOW CLEAR", *lines)).encode()
    return decoded(b"\x02" + text + b"%02X\x03" % (sum(text) & 0xFF), "clinitek-50")


def test_a_clinitek_50_says_its_time_in_ten_digits() -> None:
    leu, sg, ubg, blood = clinitek("LEU  NEGATIV        ", "SG   >=1.030", "UBG  0.2 mg/dL", "OBL* Ca 10 Ery/uL   ")
    assert (leu.value, leu.interpretation, leu.run, leu.device_time) == ("NEGATIV", "negative", "007", "26-01-15 13:49")
    assert (sg.value, ubg.value, ubg.unit) == (">=1.030", "0.2", "mg/dL")
    assert (blood.value, blood.unit, blood.flags, blood.quantity) == ("Ca 10", "Ery/uL", ("A",), "blood")


def test_a_clinitek_status_names_every_pad_in_one_line() -> None:
    line = (
        "17,01-15-26,09:31,,S-7,,,,,,YELLOW,CLEAR,GLU,Negative,,BIL,Negative,,KET,Trace,*,SG,1.015,,BLO,Large,*,pH,6.5,,"
        "PRO,100 mg/dL,*,URO,0.2 mg/dL,,NIT,Positive,*,LEU,Negative,,,,,,,,\r"
    )
    found = {draft.test: draft for draft in decoded(line, "clinitek-status")}
    assert {test: draft.interpretation for test, draft in found.items() if draft.interpretation} == {
        **dict.fromkeys(("GLU", "BIL", "LEU"), "negative"),
        **dict.fromkeys(("BLO", "NIT"), "positive"),
        "KET": "indeterminate",
    }
    assert (found["SG"].value, found["pH"].value, found["PRO"].value) == ("1.015", "6.5", "100 mg/dL")
    assert found["NIT"].flags == ("A",) and found["LEU"].flags == () and found["GLU"].specimen == "S-7"
    with pytest.raises(DecodeError):
        decoded(line.replace(",KET,Trace,*", ""), "clinitek-status")


# ---- both roles


@given(value=st.decimals(min_value=0, max_value=999, places=2))
@pytest.mark.parametrize("variant", ["sartorius-sbi", "and-balance", "ohaus", "radwag"])
def test_what_is_printed_is_read(variant: str, value: Decimal) -> None:
    options = DRIVER.trial(variant)
    printed = DRIVER.encode({"time": None, "readings": {"mass": str(value)}}, options).rpartition(b"\x1f")[2]
    (draft,) = DRIVER.decode(Message(printed + b"\r\n"), options)
    assert (Decimal(str(draft.value)), draft.unit, draft.quality) == (value, "g", Quality.GOOD)


def test_a_template_is_filled_and_never_evaluated() -> None:
    assert fill("{value:>8} {unit:<4}|{value:>6.1}", {"value": "1.25", "unit": "g"}) == "    1.25 g   |   1.2"
    assert fill("{value.__class__} {0} {missing}", {"value": 1}) == "{value.__class__} {0} "
    assert re.fullmatch(r"\d+", fill("{value:>05}", {"value": 7})) is not None
