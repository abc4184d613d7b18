"""Regular expressions people write in a configuration, kept from running away.

Python's `re` tries again where it fails: an expression such as `(a+)+b` makes it try for years, `.*a.*a.*a.*a` for
minutes. What makes that possible is refused when the configuration is read: a repeat or a choice within a repeat, and
more than a few repeats that can be cut off in several places. With a bound on the text's length the time is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from re import _constants, _parser  # type: ignore[attr-defined] # the only way to see what an expression consists of
from typing import Annotated, Any, Final

from pydantic import AfterValidator

LONGEST: Final = 600  # characters of an expression
MANY: Final = 16  # a repeat of more than this has no bound worth the name
MOST_SLIPS: Final = 8  # repeats that what follows can cut off in several places
MOST_SHARED: Final = 3  # of them that a run of one character can be shared out among
ALL: Final = frozenset(range(256))
REPEATS: Final = frozenset({_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT})
CATEGORIES: Final = {
    _constants.CATEGORY_DIGIT: r"\d",
    _constants.CATEGORY_NOT_DIGIT: r"\D",
    _constants.CATEGORY_SPACE: r"\s",
    _constants.CATEGORY_NOT_SPACE: r"\S",
    _constants.CATEGORY_WORD: r"\w",
    _constants.CATEGORY_NOT_WORD: r"\W",
}

Element = tuple[frozenset[int], bool, bool]  # the characters that fit, may be missing, repeats without a bound


def safe(expression: str) -> str:
    """The expression. ValueError where it is none, or could run away."""
    if len(expression) > LONGEST:
        raise ValueError(f"an expression of more than {LONGEST} characters. Write several patterns.")
    try:
        re.compile(expression)
        parsed = _parser.parse(expression)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{expression!r} is not a regular expression: {error}.") from None
    for operation, argument, within in _walk(parsed, within=False):
        if operation in REPEATS and within and argument[0] != argument[1]:
            raise ValueError(f"{expression!r} repeats within a repeat. Write the inner one with a fixed length.")
        if operation is _constants.BRANCH and within:
            raise ValueError(f"{expression!r} chooses within a repeat. Write a class such as [ab], or spell it out.")
    elements = list(_flat(parsed))
    if _slips(elements) > MOST_SLIPS or _shared(elements) > MOST_SHARED:
        raise ValueError(
            f"{expression!r} has too many repeats that can end in several places. Write what they do not hold, "
            r"such as [^;]* before a semicolon or \S+ before a blank."
        )
    return expression


Pattern = Annotated[str, AfterValidator(safe)]


@lru_cache(maxsize=1024)
def compiled(expression: str) -> re.Pattern[str]:
    """The expression, compiled once."""
    return re.compile(expression)


def _walk(parsed: Any, *, within: bool) -> Iterator[tuple[Any, Any, bool]]:
    """Every operation, and whether it stands within one that repeats."""
    for operation, argument in parsed:
        yield operation, argument, within
        for body in _bodies(operation, argument):
            yield from _walk(body, within=within or (operation in REPEATS and argument[1] > 1))


def _bodies(operation: Any, argument: Any) -> list[Any]:
    if operation in REPEATS:
        return [argument[2]]
    if operation is _constants.SUBPATTERN:
        return [argument[3]]
    if operation is _constants.BRANCH:
        return list(argument[1])
    if operation in (_constants.ASSERT, _constants.ASSERT_NOT):
        return [argument[1]]
    return [argument] if operation is _constants.ATOMIC_GROUP else []


def _slips(elements: list[Element]) -> int:
    """How many repeats hold a character that what follows them also takes."""
    count = 0
    for place, (held, _, unbounded) in enumerate(elements):
        if not unbounded:
            continue
        for fits, may_miss, _ in elements[place + 1 :]:
            if held & fits:
                count += 1
                break
            if not may_miss:
                break
    return count


def _shared(elements: list[Element]) -> int:
    """Among how many repeats a run of one character can be shared out: the power its length tells in the time."""
    most = 0
    for character in ALL:
        count = 0
        for fits, may_miss, unbounded in elements:
            if character in fits:
                count += unbounded
                most = max(most, count)
            elif not may_miss:
                count = 0
    return most


def _flat(parsed: Any) -> Iterator[Element]:
    """The elements of an expression one after the other; a choice is taken as what it may begin with."""
    for operation, argument in parsed:
        if operation in REPEATS:
            least, most, body = argument
            inner = list(_flat(body))
            if most == 1:
                yield from ((fits, True, unbounded) for fits, _, unbounded in inner)
            else:
                yield frozenset().union(*(fits for fits, _, _ in inner)), least == 0, most > MANY
        elif operation is _constants.BRANCH:
            ways = [list(_flat(branch)) for branch in argument[1]]
            begins = frozenset().union(*(way[0][0] for way in ways if way))
            yield begins, any(not way or way[0][1] for way in ways), any(one[2] for way in ways for one in way)
        elif operation in (_constants.SUBPATTERN, _constants.ATOMIC_GROUP):
            for body in _bodies(operation, argument):
                yield from _flat(body)
        elif operation not in (_constants.AT, _constants.ASSERT, _constants.ASSERT_NOT):
            yield _fits(operation, argument), operation is _constants.GROUPREF, False


def _fits(operation: Any, argument: Any) -> frozenset[int]:
    """The characters of ISO 8859-1 that one element takes."""
    if operation is _constants.LITERAL:
        return frozenset({argument})
    if operation is _constants.NOT_LITERAL:
        return ALL - {argument}
    if operation is not _constants.IN:
        return ALL
    negated, held = False, set[int]()
    for kind, what in argument:
        if kind is _constants.NEGATE:
            negated = True
        elif kind is _constants.RANGE:
            held |= set(range(what[0], min(what[1], 255) + 1))
        elif kind is _constants.CATEGORY:
            held |= {code for code in ALL if re.match(CATEGORIES[what], chr(code))}
        else:
            held.add(what)
    return ALL - held if negated else frozenset(held)
