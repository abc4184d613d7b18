"""The language of expressions: it reads as arithmetic and logic do everywhere, knows what it does not know, and says
what is wrong with a line nobody could mean."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarms.expression import MOST_TEXT, ExpressionError, Value, read


def value(text: str, **known: Value) -> bool | None:
    return read(text).evaluate({("", name): one for name, one in known.items()})


NUMBERS: dict[str, Any] = {"a": 2.5, "b": -3.0, "c": 0.0}


numbers = st.recursive(
    st.sampled_from(["1", "2.5", "0", ".5", "1e3", *(f"{{{name}}}" for name in NUMBERS)]),
    lambda part: st.one_of(
        st.tuples(part, st.sampled_from(["+", "-", "*"]), part).map(" ".join),
        part.map("{} / 2".format),
        part.map("({})".format),
        part.map("-{}".format),
        part.map("abs({})".format),
        st.tuples(st.sampled_from(["min", "max"]), part, part).map(lambda said: f"{said[0]}({said[1]}, {said[2]})"),
    ),
    max_leaves=6,
)
truths = st.recursive(
    st.tuples(numbers, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), numbers).map(" ".join),
    lambda part: st.one_of(
        st.tuples(part, st.sampled_from(["and", "or"]), part).map(" ".join),
        part.map("not {}".format),
        part.map("({})".format),
    ),
    max_leaves=6,
)


@given(truths.filter(lambda text: "{" in text and len(text) <= MOST_TEXT))
def test_it_means_what_it_means_in_python(text: str) -> None:
    """Precedence and all."""
    assert value(text, **NUMBERS) is eval(text.translate({ord("{"): " ", ord("}"): " "}), {}, NUMBERS)


@given(st.text(alphabet="{}abc/ 0.5+-*()<>=!andornotmixtrue'\",\n\x00é", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        expression = read(text)
    except ExpressionError:
        return
    assert expression.inputs
    assert expression.evaluate({}) in (True, False, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{x} > 1 and {y} > 1", None),
        ("{x} > 3 and {y} > 1", False),
        ("{x} > 1 or {y} > 1", True),
        ("{x} > 3 or {y} > 1", None),
        ("not {y} > 1", None),
        ("{x} / 0 > 1", None),
        ("{x} + {y} > 1", None),
        ("{x} == 2", True),
        ("{door} == 'CLOSED'", True),
        ("{door} != 'open' and {alarm}", True),
        ("{door} > 1", None),
        ("{door} == 1", None),
        ("{alarm} == true", True),
        ("max({x}, 3) - min({x}, 3) == 1", True),
        ("2 * ({x} + 1) == 6", True),
    ],
)
def test_what_is_not_known_is_not_guessed(text: str, expected: bool | None) -> None:
    assert value(text, x=2.0, door="closed", alarm=True) is expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "column 1: the expression ends too early. "
         "Write a number, a 'text', a {quantity} or an opening parenthesis here."),
        ("{x} = 3", "column 5: '=' is not understood. Write == to compare."),
        ("{x} > 1 && {y} > 1", "column 9: '&' is not understood. Write and."),
        ("temperature > 1", "column 1: 'temperature' is not known. Write {temperature} for a quantity. "
         "Words: abs, min, max, true, false."),
        ("__import__('os')", "column 1: '__import__' is not known. Write {__import__} for a quantity. "
         "Words: abs, min, max, true, false."),
        ("1 < {x} < 3", "column 9: comparisons do not make a chain. Write {x} > 1 and {x} < 3."),
        ("({x} > 1", "column 9: the parenthesis of column 1 is not closed here. Write )."),
        ("{x} > 1)", "column 8: ')' does not follow. Write and, or, or a comparison between the parts."),
        ("{x} > 1 and {x} == 'on'", "column 13: {x} is a text here and a number at column 1. "
         "== compares like with like."),
        ("{x} + 1", "column 1: this is a number, not true or false. Compare it: {temperature} > -70."),
        ("{x} > 1 and 2", "column 13: this is a number, not true or false. Write a comparison on both sides of and."),
        ("{x} > 'one'", "column 7: this is a text, not a number. > is between numbers."),
        ("{Freezer 4/temperature} > 1", "column 1: {Freezer 4/temperature} names no quantity. "
         "Write {temperature} or {freezer-4/temperature}."),
        ("{x} > 'one", "column 7: \"'\" is not understood. The text has no end. Write another ' where it ends."),
        ("min({x}) > 1", "column 1: min is of 2 to 16 numbers. Write min({temperature}, 0)."),
        ("abs {x} > 1", "column 5: abs has no parentheses. Write abs(...)."),
        ("1 > 0", "column 1: it names no quantity, so it never changes. Write {temperature} > -70."),
        ("(" * 60 + "{x} > 1", "column 48: too much inside one another. Write two alarms."),
        ("{x} > 1 and " * 80 + "{x} > 1", "column 1: too much inside one another. Write two alarms."),
        ("x" * 2000, "is longer than 1000 characters. Write two alarms."),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_its_column_and_what_to_write(text: str, told: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        read(text)
    assert str(refused.value) == told


def test_inputs_are_named_in_order_and_once() -> None:
    said = read("{b} > 1 and {freezer-4/sensor 2} > 1 and {b} < 9 and { a } == 1")
    assert said.inputs == (("", "b"), ("freezer-4", "sensor 2"), ("", "a"))
