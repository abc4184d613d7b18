"""Numbers, words and times as instruments write them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.observation import Interpretation
from drivers.kit.values import TimeOrder, device_time, number, plain_number
from drivers.kit.words import PHRASES, interpret


@pytest.mark.parametrize(
    ("text", "comparator", "value", "unit", "note"),
    [
        ("12.40", None, "12.40", None, None),
        ("+12.3", None, "12.3", None, None),
        ("-80", None, "-80", None, None),
        ("−80", None, "-80", None, None),
        (".5", None, "0.5", None, None),
        ("<0.5", "<", "0.5", None, None),
        ("< 20", "<", "20", None, None),
        (">8", ">", "8", None, None),
        (">=200", ">=", "200", None, None),
        ("≤5", "<=", "5", None, None),
        ("&lt; 3", "<", "3", None, None),
        ("1.2E+05", None, "120000", None, None),
        ("226 x 10*4", None, "2260000", None, None),
        ("2.52E+3 (3.40)", None, "2520", None, "3.40"),
        ("1.70E+05 cp/mL", None, "170000", "cp/mL", None),
        ("<0.5 mg/L", "<", "0.5", "mg/L", None),
        ("37°C", None, "37", "°C", None),
        ("<3.4mg/mmol", "<", "3.4", "mg/mmol", None),
        ("0.5ng/mL", None, "0.5", "ng/mL", None),
        ("12.4 %", None, "12.4", "%", None),
        ("*12.3", None, "12.3", None, "*"),
        ("* <0.5", "<", "0.5", None, "*"),
        ("12.3*", None, "12.3", None, "*"),
        ("12 L", None, "12", None, "L"),  # low, or litres: no unit is claimed
    ],
)
def test_a_number_is_read_with_what_stands_around_it(
    text: str, comparator: str | None, value: str, unit: str | None, note: str | None
) -> None:
    found = number(text)
    assert found is not None
    assert (found.comparator, found.value, found.unit, found.note) == (comparator, Decimal(value), unit, note)


@pytest.mark.parametrize(
    "text",
    [
        "60,96",
        "161,152",
        "*",
        "*12*",
        "**12.3",
        "* POS",
        "1:80",
        "5-10",
        "1+",
        "+",
        "-",
        "5.",
        "1 234",
        "1_000",
        "0x10",
        "NaN",
        "Infinity",
        "1E400",
        "٥",
        "> Titer max",
        "Detected <LLOQ",
        "2A",
        "1A/2B",
        "12mg",
        "",
        "<",
        "< >5",
        "--5",
        "1e5e5",
    ],
)
def test_what_does_not_fit_exactly_is_no_number(text: str) -> None:
    assert number(text) is None


def test_signs_are_read_by_declaration_only() -> None:
    assert plain_number("60,96", ",") == Decimal("60.96")
    assert plain_number("161,152", ".", ",") == 161152
    assert plain_number("161,152", ",") == Decimal("161.152")
    assert plain_number("1.234.567,5", ",", ".") == Decimal("1234567.5")
    assert plain_number("1\u202f234", ",", " ") == plain_number("1 234", ",", " ") == 1234
    assert plain_number("16,15", ".", ",") is None  # no thousands
    assert plain_number("60.96", ",") is None


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    for decimal, thousands in ((".", None), (",", "."), (".", ",")):
        number(text, decimal, thousands)
    interpret(text)
    device_time(text)
    device_time(text, "dmy")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_a_plain_number_is_what_it_says(value: Decimal) -> None:
    assert plain_number(str(value)) == value


# ---- words

CALLS = {
    Interpretation.POSITIVE: [
        "POS (+)",
        "Presumptive Positive",
        "阳性",
        "弱阳性",
        "阳性(+)",
        "مثبت",
        "SARS-CoV-2 POSITIVE",
    ],
    Interpretation.NEGATIVE: ["NEG(-)", "Neg", "阴性", "منفی", "TARGET 1 NEGATIVE", "not positive", "NÉGATIF"],
    Interpretation.DETECTED: ["DETECTED", "MTB DETECTED LOW", "MTB Trace DETECTED", "检出", "Detected <LLOQ"],
    Interpretation.NOT_DETECTED: [
        "NOT DETECTED",
        "Not  Detected",
        "NON DÉTECTÉ",
        "NON DÉTECTÉ",
        "未检出",
        "not_detected",
        "Target Not Detected",
        "Rif Resistance NOT DETECTED",
        "undetectable",
        "NOTDETECTED",
    ],
    Interpretation.REACTIVE: ["Reactive", "weakly reactive", "فعال"],
    Interpretation.NON_REACTIVE: ["Non-Reactive", "NON REACTIVE", "nonreactive", "غیر فعال"],
    Interpretation.INDETERMINATE: ["Indeterminate", "equivocal", "Rif Resistance INDETERMINATE"],
    Interpretation.INVALID: [
        "Invalid",
        "ERROR",
        "NO RESULT",
        "NO RESULT - REPEAT TEST",
        "无效",
        "غلط",
        "invalid: control line",
    ],
}


@pytest.mark.parametrize(("text", "meaning"), [(text, meaning) for meaning, texts in CALLS.items() for text in texts])
def test_a_call_means_what_it_says(text: str, meaning: Interpretation) -> None:
    assert interpret(text) is meaning


@pytest.mark.parametrize(
    "text",
    [
        "MTB DETECTED; Rif Resistance NOT DETECTED",
        "pos/neg",
        "positive?",
        "isn't detected",
        "cannot be detected",
        "No virus detected",
        "HIV not yet detected",
        "detected: no",
        "neither detected",
        "Internal control detected",
        "Positive control negative",
        "A^NEG^NEG^ccee^K-^NEG",
        "O Rh POS",
        "AB NEG",
        "غیر مثبت",
        "مثبت نہیں",
        "non-négatif",
        "ValueNotSet",
        "Titer",
        "A",
        "+",
        "Trace",
        "",
    ],
)
def test_a_call_that_is_unknown_or_doubtful_has_no_meaning(text: str) -> None:
    assert interpret(text) is None


AFFIRMED = [
    phrase
    for phrase in (
        *PHRASES[Interpretation.POSITIVE],
        *PHRASES[Interpretation.DETECTED],
        *PHRASES[Interpretation.REACTIVE],
    )
    if phrase.isascii()
]


@given(st.sampled_from(["not", "non", "no", "never", "pas", "cannot be"]), st.sampled_from(AFFIRMED), st.booleans())
def test_a_negated_call_is_never_an_affirmed_one(negation: str, phrase: str, upper: bool) -> None:
    text = f"{negation} {phrase}"
    assert interpret(text.upper() if upper else text) not in (
        Interpretation.POSITIVE,
        Interpretation.DETECTED,
        Interpretation.REACTIVE,
    )


# ---- times


@pytest.mark.parametrize(
    ("text", "order", "iso", "precision"),
    [
        ("20260115", None, "2026-01-15T00:00:00", "day"),
        ("2026011509", None, "2026-01-15T09:00:00", "hour"),  # strptime would say 05:00:09 on the first
        ("202601150928", None, "2026-01-15T09:28:00", "minute"),
        ("20260115092830", None, "2026-01-15T09:28:30", "second"),
        ("20260115092830.1234-0500", None, "2026-01-15T09:28:30.123400-05:00", "second"),
        ("20150924162038- 0500", None, "2015-09-24T16:20:38-05:00", "second"),
        ("20260115 092830", None, "2026-01-15T09:28:30", "second"),
        ("20260115T092830Z", None, "2026-01-15T09:28:30+00:00", "second"),
        ("2026-01-15 09:28", None, "2026-01-15T09:28:00", "minute"),
        ("2026/01/15 09:28:30", None, "2026-01-15T09:28:30", "second"),
        ("2026.1.5", None, "2026-01-05T00:00:00", "day"),
        ("2026-01-15T09:28:30+05:00", None, "2026-01-15T09:28:30+05:00", "second"),
        ("20260115240000", None, "2026-01-16T00:00:00", "second"),
        ("20260115092860", None, "2026-01-15T09:28:59", "second"),
        ("03/04/2026 09:28", "dmy", "2026-04-03T09:28:00", "minute"),
        ("03/04/2026 09:28", "mdy", "2026-03-04T09:28:00", "minute"),
        ("3.4.26 12:05:01 AM", "dmy", "2026-04-03T00:05:01", "second"),
    ],
)
def test_a_time_is_read_by_its_length(text: str, order: TimeOrder | None, iso: str, precision: str) -> None:
    read = device_time(text, order)
    assert read is not None
    assert (read.local.isoformat(), read.precision) == (iso, precision)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "202601",
        "1768466910",
        "1768466910123",
        "20261315",
        "20260230",
        "20260115250000",
        "03/04/2026 09:28",
        "2026/01.15",
        "2026/13/15",
        "20260115092830+2500",
        "20260115092830+0560",
        "15-JAN-2026",
        "00000000",
    ],
)
def test_what_is_no_time_is_not_guessed(text: str) -> None:
    assert device_time(text) is None


def test_thirteen_in_the_morning_is_no_time() -> None:
    assert device_time("01/15/2026 13:28 AM", "mdy") is None


@given(st.datetimes(min_value=datetime.fromisoformat("1000-01-01"), timezones=st.just(UTC)))
def test_a_time_written_out_is_read_back(moment: datetime) -> None:
    whole = moment.replace(microsecond=0)
    for form in ("%Y%m%d%H%M%S+0000", "%Y-%m-%dT%H:%M:%SZ"):
        read = device_time(whole.strftime(form))
        assert read is not None
        assert read.local == whole
