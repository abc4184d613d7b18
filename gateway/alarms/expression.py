"""Expressions over several quantities: a small language that can be true, false or unknown, and nothing else. Pure.

    {temperature} > -70 and {freezer-4/temperature} > -70 and {door} == 'closed'

It has numbers, 'texts', true and false; {quantity} of the own device and {device/quantity} of another; + - * / and
abs(), min(), max(); == != < <= > >=; and, or, not; parentheses. It is read once into nested functions. What an input
is (number, text, truth) follows from its use. An unknown input makes what depends on it unknown; `false and unknown`
is false, `true or unknown` true. A text equals another whatever its case.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NoReturn

MOST_TEXT: Final = 1000  # characters
MOST_DEEP: Final = 48

Value = float | str | bool
Input = tuple[str, str]  # device ("" for the own) and quantity
Known = Mapping[Input, Value]  # inputs that are not in it are unknown
Evaluate = Callable[[Known], Value | None]

NUMBER, TEXT, TRUTH = "a number", "a text", "true or false"
_TOKEN = re.compile(
    r"""(?P<blank>\s+)|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<text>'[^']*'|"[^"]*")"""
    r"""|(?P<input>\{[^{}]*\})|(?P<word>[A-Za-z_][A-Za-z0-9_-]*)|(?P<sign>==|!=|<=|>=|[-+*/<>(),])"""
)
_INPUT = re.compile(r"\{\s*(?:([a-z0-9][a-z0-9._-]{0,62})/)?([^/{}\s](?:[^/{}]{0,198}[^/{}\s])?)\s*\}")
_INSTEAD: Final = {
    "=": "Write == to compare.",
    "&": "Write and.",
    "|": "Write or.",
    "!": "Write not, or != to compare.",
    "'": "The text has no end. Write another ' where it ends.",
    '"': 'The text has no end. Write another " where it ends.',
    "{": "Write a quantity in braces: {temperature} or {freezer-4/temperature}.",
    "}": "Write a quantity in braces: {temperature} or {freezer-4/temperature}.",
    "%": "There is no remainder; write a share as a number, 0.2.",
    "^": "There are no powers; multiply.",
}


class ExpressionError(ValueError):
    """The expression cannot be read; says where, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that has been read."""

    text: str
    inputs: tuple[Input, ...]  # in order of their first use
    evaluate: Callable[[Known], bool | None]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int  # from 1


@dataclass(frozen=True, slots=True)
class _Node:
    """A part that has been read. `kind` is empty for an input nothing has been asked of yet."""

    kind: str
    column: int
    evaluate: Evaluate
    deep: int = 1
    input: Input | None = None


@lru_cache(maxsize=1024)
def read(text: str) -> Expression:
    """Read an expression. Errors: ExpressionError."""
    if len(text) > MOST_TEXT:
        raise ExpressionError(f"is longer than {MOST_TEXT} characters. Write two alarms.")
    return _Reader(text).whole()


def _wrong(column: int, what: str, instead: str) -> NoReturn:
    raise ExpressionError(f"column {column}: {what}. {instead}")


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            instead = _INSTEAD.get(text[at], "Write numbers, 'texts', {quantities}, + - * / < > == and or not ( ).")
            _wrong(at + 1, f"{text[at]!r} is not understood", instead)
        if match.lastgroup != "blank":
            found.append(_Token(match.lastgroup or "", match[0], at + 1))
        at = match.end()
    return [*found, _Token("end", "", len(text) + 1)]


# ---- what the operators do; every one gives None where it cannot say


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _divide(left: float, right: float) -> float | None:
    return left / right if right else None


def _is(kind: str, value: Value | None) -> bool:
    if isinstance(value, bool):
        return kind == TRUTH
    return isinstance(value, str if kind == TEXT else float | int) and kind != TRUTH


def _on_numbers(act: Callable[..., float | bool | None], parts: list[_Node]) -> Evaluate:
    evaluates = [part.evaluate for part in parts]

    def evaluate(known: Known) -> Value | None:
        values = [one(known) for one in evaluates]
        if not all(_is(NUMBER, value) for value in values):
            return None
        result = act(*values)
        return result if isinstance(result, bool) or result is None else _finite(result)

    return evaluate


def _same(left: Evaluate, right: Evaluate, wanted: bool) -> Evaluate:
    def evaluate(known: Known) -> bool | None:
        one, other = left(known), right(known)
        for kind in (NUMBER, TEXT, TRUTH):
            if _is(kind, one) and _is(kind, other):
                same = str(one).casefold() == str(other).casefold() if kind == TEXT else one == other
                return same is wanted
        return None

    return evaluate


def _either(left: Evaluate, right: Evaluate, decisive: bool) -> Evaluate:
    """`or` where True decides, `and` where False does."""

    def evaluate(known: Known) -> bool | None:
        values = [value if isinstance(value, bool) else None for value in (left(known), right(known))]
        return decisive if decisive in values else None if None in values else not decisive

    return evaluate


def _negated(part: Evaluate) -> Evaluate:
    def evaluate(known: Known) -> bool | None:
        value = part(known)
        return not value if isinstance(value, bool) else None

    return evaluate


ACTS: Final[Mapping[str, Callable[[float, float], float | bool | None]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
FUNCTIONS: Final[Mapping[str, tuple[Callable[..., float], int, int]]] = {
    "abs": (abs, 1, 1),
    "min": (min, 2, 16),
    "max": (max, 2, 16),
}
COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")
BINDING: Final = {"or": 1, "and": 2, **dict.fromkeys(COMPARISONS, 4), "+": 5, "-": 5, "*": 6, "/": 6}
NOT, SIGN = 3, 7  # how strongly `not` and a sign bind to the right


class _Reader:
    """Pratt's top-down precedence: each operator takes to its right what binds more strongly than itself."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0
        self._deep = 0
        self._kinds: dict[Input, tuple[str, int]] = {}  # what an input must be, and the column that says so
        self._inputs: dict[Input, None] = {}

    def whole(self) -> Expression:
        node = self._part(0)
        rest = self._tokens[self._next]
        if rest.kind != "end":
            _wrong(rest.column, f"{rest.text!r} does not follow", "Write and, or, or a comparison between the parts.")
        self._need(node, TRUTH, "Compare it: {temperature} > -70.")
        if not self._inputs:
            _wrong(1, "it names no quantity, so it never changes", "Write {temperature} > -70.")
        evaluate = node.evaluate

        def judged(known: Known) -> bool | None:
            value = evaluate(known)
            return value if isinstance(value, bool) else None

        return Expression(self._text, tuple(self._inputs), judged)

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += token.kind != "end"
        return token

    def _part(self, binding: int) -> _Node:
        self._deep += 1
        node = self._bounded(self._first(self._take()))
        while BINDING.get(self._tokens[self._next].text, 0) > binding:
            node = self._bounded(self._joined(node, self._take()))
        self._deep -= 1
        return node

    def _bounded(self, node: _Node) -> _Node:
        if max(self._deep, node.deep) > MOST_DEEP:
            _wrong(node.column, "too much inside one another", "Write two alarms.")
        return node

    def _first(self, token: _Token) -> _Node:
        """What can begin a part."""
        if token.kind == "number":
            number = float(token.text)
            return _Node(NUMBER, token.column, lambda _: _finite(number))
        if token.kind == "text":
            return _Node(TEXT, token.column, lambda _: token.text[1:-1])
        if token.kind == "input":
            return self._input(token)
        if token.text in ("true", "false"):
            return _Node(TRUTH, token.column, lambda _: token.text == "true")
        if token.text == "(":
            self._bounded_depth(token)
            node = self._part(0)
            self._close(token)
            return node
        if token.text == "not":
            self._bounded_depth(token)
            part = self._need(self._part(NOT), TRUTH, "Write not before a comparison.")
            return _Node(TRUTH, token.column, _negated(part.evaluate), part.deep + 1)
        if token.text in ("-", "+"):
            self._bounded_depth(token)
            part = self._need(self._part(SIGN), NUMBER, "A sign stands before a number.")
            act = operator.neg if token.text == "-" else operator.pos
            return _Node(NUMBER, token.column, _on_numbers(act, [part]), part.deep + 1)
        if token.text in FUNCTIONS:
            return self._function(token)
        if token.kind == "word":
            known = ", ".join((*FUNCTIONS, "true", "false"))
            _wrong(
                token.column, f"{token.text!r} is not known", f"Write {{{token.text}}} for a quantity. Words: {known}."
            )
        what = "the expression ends too early" if token.kind == "end" else f"{token.text!r} is out of place"
        _wrong(token.column, what, "Write a number, a 'text', a {quantity} or an opening parenthesis here.")

    def _bounded_depth(self, token: _Token) -> None:
        if self._deep >= MOST_DEEP:
            _wrong(token.column, "too much inside one another", "Write two alarms.")

    def _close(self, opened: _Token) -> None:
        token = self._take()
        if token.text != ")" or token.kind != "sign":
            _wrong(token.column, f"the parenthesis of column {opened.column} is not closed here", "Write ).")

    def _input(self, token: _Token) -> _Node:
        match = _INPUT.fullmatch(token.text)
        if match is None:
            _wrong(token.column, f"{token.text} names no quantity", "Write {temperature} or {freezer-4/temperature}.")
        key = (match[1] or "", match[2])
        self._inputs.setdefault(key)
        return _Node("", token.column, lambda known: known.get(key), input=key)

    def _function(self, token: _Token) -> _Node:
        act, fewest, most = FUNCTIONS[token.text]
        self._bounded_depth(token)
        opened = self._take()
        if opened.text != "(":
            _wrong(opened.column, f"{token.text} has no parentheses", f"Write {token.text}(...).")
        parts = [self._need(self._part(0), NUMBER, f"{token.text} is of numbers.")]
        while self._tokens[self._next].text == ",":
            self._take()
            parts.append(self._need(self._part(0), NUMBER, f"{token.text} is of numbers."))
        self._close(opened)
        if not fewest <= len(parts) <= most:
            count = "one number" if most == 1 else f"{fewest} to {most} numbers"
            _wrong(
                token.column,
                f"{token.text} is of {count}",
                f"Write {token.text}({{temperature}}{', 0' * (fewest - 1)}).",
            )
        return _Node(NUMBER, token.column, _on_numbers(act, parts), max(part.deep for part in parts) + 1)

    def _joined(self, left: _Node, token: _Token) -> _Node:
        """`left`, the operator, and what binds more strongly on its right."""
        right = self._part(BINDING[token.text])
        deep = max(left.deep, right.deep) + 1
        if token.text in ("and", "or"):
            for part in (left, right):
                self._need(part, TRUTH, f"Write a comparison on both sides of {token.text}.")
            both = _either(left.evaluate, right.evaluate, decisive=token.text == "or")
            return _Node(TRUTH, left.column, both, deep)
        if token.text in COMPARISONS:
            following = self._tokens[self._next]
            if following.kind == "sign" and following.text in COMPARISONS:
                _wrong(following.column, "comparisons do not make a chain", "Write {x} > 1 and {x} < 3.")
        if token.text in ("==", "!="):
            self._alike(left, right, token)
            return _Node(TRUTH, left.column, _same(left.evaluate, right.evaluate, token.text == "=="), deep)
        parts = [self._need(part, NUMBER, f"{token.text} is between numbers.") for part in (left, right)]
        kind = TRUTH if token.text in COMPARISONS else NUMBER
        return _Node(kind, left.column, _on_numbers(ACTS[token.text], parts), deep)

    def _alike(self, left: _Node, right: _Node, token: _Token) -> None:
        for one, other in ((left, right), (right, left)):
            if one.kind:
                self._need(other, one.kind, f"{token.text} compares like with like.")

    def _need(self, node: _Node, kind: str, instead: str) -> _Node:
        """The node, of that kind; an input is taken to be what is asked of it."""
        if node.input is not None:
            said, column = self._kinds.setdefault(node.input, (kind, node.column))
            if said != kind:
                name = "/".join(part for part in node.input if part)
                _wrong(node.column, f"{{{name}}} is {kind} here and {said} at column {column}", instead)
        elif node.kind != kind:
            _wrong(node.column, f"this is {node.kind}, not {kind}", instead)
        return node
