"""Instruments that print lines of text: what each kind of line says is declared by patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import create_model

from drivers.kit.answering import BETWEEN, Answering
from drivers.kit.asking import Asking, Cut, LineAnswers, Question, Says
from drivers.kit.declare import Driver, Evidence, Message, Variant
from drivers.kit.exchange import DecodeError, Event, Exchange, Reason, Received, Rejected, Send, Speaker
from drivers.kit.facts import Item, as_sent, drawn_facts, make
from drivers.kit.observation import Draft, Quality
from drivers.kit.printed import QUIET_BYTES, SETTINGS, believed, blanks, enclose, fill, printed_lines, texts
from drivers.kit.printed import host as listening
from drivers.kit.printed import instrument as printing
from drivers.kit.regular import compiled
from drivers.kit.text_options import PER_ITEM, Line, Reading, TextLinesOptions, printable

__all__ = ["Line", "Reading", "text_driver"]


MOST_LINES: Final = 2000  # of one message
REMNANTS: Final = frozenset(map(chr, (*range(0x80, 0xA0), *range(0xA1, 0xC0))))  # 7-bit characters with an eighth bit
UNITS: Final = frozenset("°µ")  # of them, what may follow a number


@dataclass(frozen=True, slots=True)
class Fit:
    """A line, the pattern it fits, and what its groups say."""

    pattern: Line
    facts: Mapping[str, str]


def host(options: TextLinesOptions) -> Exchange:
    """The gateway's side: it listens, or asks."""
    if not options.ask:
        return listening(options)
    syncs = {name for one in options.ask if (name := one.sync)}
    made: dict[str, Question] = {}
    for one in sorted(options.ask, key=lambda each: each.name not in syncs):
        made[one.name] = Question(
            name=one.name,
            ask=one.send.encode("latin-1", "replace"),
            every=options.poll,
            wait=one.wait,
            sync=made.get(one.sync),
        )
    questions = [made[one.name] for one in options.ask]

    return Asking(questions, _Answers(options), gap=options.pause)


class _Answers:
    """Answers in lines whose blanks count, since they hold columns in their place. An `Answers`."""

    def __init__(self, options: TextLinesOptions) -> None:
        end = options.ask_end.encode("latin-1", "replace")
        self._lines = LineAnswers(lambda _line, _question: Says.ANSWER, end=end, longest=options.longest_line + 2)
        self._prompt = options.prompt.encode("latin-1", "replace")
        self._options = options

    def ask(self, question: Question) -> bytes:
        """The question and its end."""
        return self._lines.ask(question)

    def cut(self, held: bytearray, question: Question | None) -> Cut | None:
        """The first line, or the prompt that stands before it."""
        if self._prompt and held.startswith(self._prompt):
            return Cut(Send(b"", self._prompt))
        cut = self._lines.cut(held, question)
        if cut is None or not isinstance(cut.event, Received):
            return cut
        raw = cut.event.raw
        text = raw.decode(self._options.encoding, "replace")
        fits = _fits(text, self._options, question.name) if question else []
        if any(not fit.pattern.ignore for fit in fits):
            return Cut(Received(raw), answers=True)
        if _fits(text, self._options, ""):
            return Cut(Received(raw))
        why = f"it does not answer {question.name}" if question else "nothing was asked"
        return Cut(Rejected(raw, Reason.UNCLAIMED, detail=why))

    def left(self, raw: bytes, question: Question | None) -> Event:
        """An unfinished line."""
        return self._lines.left(raw, question)


def decode(message: Message, options: TextLinesOptions) -> Iterator[Draft]:
    """A draft a value of every line. DecodeError where a line fits no pattern, or several that differ."""
    told = [line for text in texts(message, options) for line in printed_lines(text)]
    if not told or len(told) > MOST_LINES:
        raise DecodeError(f"{len(told)} lines")
    context: dict[str, str] = {}
    drafts: list[Draft] = []
    for line in told:
        fit = _the_fit(line, options, message.channel)
        if fit.pattern.ignore:
            continue
        if not fit.pattern.readings:
            context |= fit.facts
            continue
        drafts += _drafts(fit, context, options)
    yield from believed(message, drafts)


def _the_fit(line: str, options: TextLinesOptions, channel: str) -> Fit:
    """The one thing a line says. DecodeError."""
    if len(line) > options.longest_line:
        raise DecodeError(f"a line of {len(line)} characters", Reason.TOO_LONG)
    fits = _fits(line, options, channel)
    if not fits:
        raise DecodeError(f"no pattern fits {line[:80]!r}")
    first = fits[0]
    if any(_means(other) != _means(first) for other in fits[1:]):
        raise DecodeError(f"several patterns fit {line[:80]!r} and say different things")
    return first


def _means(fit: Fit) -> tuple[object, ...]:
    """What a fit says, to tell whether two say the same."""
    readings = [(one.value, one.named, one.unit, one.kind) for one in fit.pattern.readings]
    return (dict(fit.facts), readings, fit.pattern.quality, fit.pattern.ignore)


def _fits(line: str, options: TextLinesOptions, channel: str) -> list[Fit]:
    """Every pattern a line fits; where one is of the question it answers, those alone."""
    if len(line) > options.longest_line:
        return []
    line = line.strip(QUIET_BYTES)
    found = []
    for pattern in options.patterns:
        if pattern.asked and pattern.asked != channel:
            continue
        match = compiled(pattern.match).fullmatch(line)
        if match and not _damaged(match, pattern):
            found.append(Fit(pattern, {name: text for name, text in match.groupdict().items() if text is not None}))
    own = [fit for fit in found if fit.pattern.asked]
    return own or found


def _damaged(match: re.Match[str], pattern: Line) -> bool:
    """Whether a character beside a number looks like a digit with a parity bit: then the number is not whole."""
    line = match.string
    for reading in pattern.readings:
        begins, ends = match.span(reading.value) if reading.value in match.groupdict() else (-1, -1)
        if begins < 0 or not any(map(str.isdigit, line[begins:ends])):
            continue
        before, after, next_to = line[max(0, begins - 1) : begins], line[ends : ends + 1], line[ends + 1 : ends + 2]
        if before in REMNANTS or (after in REMNANTS and after not in UNITS):
            return True
        if (
            after in UNITS
            and not (next_to.isascii() and next_to.isalpha())
            and line[begins:ends].lstrip("+-").isdigit()
        ):
            return True  # 20 sent with odd parity reads 2 and a degree
    return False


def _drafts(fit: Fit, context: Mapping[str, str], options: TextLinesOptions) -> Iterator[Draft]:
    readings = fit.pattern.readings
    others = {reading.value for reading in readings}
    for reading in readings:
        ending = f"_{reading.value}"
        facts = {**context, **{name: text for name, text in fit.facts.items() if name not in others}}
        for name in [name for name in facts if name.startswith(tuple(f"{one}_" for one in PER_ITEM))]:
            text = facts.pop(name)
            if name.endswith(ending):
                facts[name.removesuffix(ending)] = text
        facts["value"] = fit.facts.get(reading.value, "")
        item = _item(reading, facts.get("test", "").strip(), options)
        draft = make(facts, item, options, {})
        if draft is not None:
            yield _judged(draft, fit.pattern)


def _item(reading: Reading, test: str, options: TextLinesOptions) -> Item:
    return options.by_test.get(test, reading) if test else reading


def _judged(draft: Draft, pattern: Line) -> Draft:
    """The verdict of the kind of line over that of its value, where it is worse."""
    quality, _, why = pattern.quality.partition(":")
    if quality == "bad":
        told = {**draft.attributes, **({"printed_value": draft.value} if draft.value is not None else {})}
        return replace(draft, value=None, quality=Quality.BAD, quality_reason=why.strip() or None, attributes=told)
    if quality == "uncertain" and draft.quality is Quality.GOOD:
        return replace(draft, quality=Quality.UNCERTAIN, quality_reason=why.strip() or None)
    return draft


# ---- the instrument's side


def instrument(options: TextLinesOptions) -> Speaker:
    """A simulated instrument: it prints, or answers what it is asked."""
    if not options.ask:
        return printing(options)
    questions = {one.send.encode("latin-1", "replace"): one.name for one in options.ask}
    end = options.terminator.encode("latin-1", "replace") if options.terminator else b"\r\n"
    return Answering(questions, end=end, bare=not options.ask_end)


def encode(drawn: Mapping[str, Any], options: TextLinesOptions) -> bytes:
    """What is printed of one drawing: a line a reading, or the lines before and of its results in one message.

    ValueError where no pattern has a `print`.
    """
    told = drawn_facts(drawn)
    lines = list(_result_lines(drawn, told, options) if "results" in drawn else _reading_lines(drawn, told, options))
    if not lines:
        raise ValueError("no pattern can be printed. Give one a `print`.")
    if options.ask:
        encoding = options.encoding
        only = options.ask[0].name
        return b"\n".join(
            (line.asked or only).encode() + BETWEEN + text.encode(encoding, "replace") for line, text in lines
        )
    if options.framing == "blocks" or options.paged:
        return enclose("".join(text + "\r\n" for _, text in lines), options)
    return b"".join(enclose(text, options) for _, text in lines)


def _reading_lines(
    drawn: Mapping[str, Any], told: Mapping[str, Any], options: TextLinesOptions
) -> Iterator[tuple[Line, str]]:
    readings = drawn.get("readings", {})
    for line in options.patterns:
        if "test" in blanks(line.prints):
            for one in options.analytes:
                facts = {**told, "test": one.test, "unit": one.unit, "value": as_sent(readings.get(one.named), one)}
                if facts["value"] is not None:
                    yield line, fill(line.prints, facts)
            continue
        facts = dict(told)
        for reading in line.readings:
            facts[reading.value] = as_sent(readings.get(reading.named), reading)
            facts.setdefault("unit", reading.unit)
        if line.readings and not line.ignore and printable(line, facts):
            yield line, fill(line.prints, facts)


def _result_lines(
    drawn: Mapping[str, Any], told: Mapping[str, Any], options: TextLinesOptions
) -> Iterator[tuple[Line, str]]:
    values = {result.get("quantity"): result.get("value") for result in drawn["results"]}
    for line in options.patterns:
        if line.prints and (line.items or not line.readings) and not line.ignore:
            own = {reading.value: as_sent(values.get(reading.named), reading) for reading in line.items}
            yield line, fill(line.prints, {**told, **own})
    for result in drawn["results"]:
        facts = {**told, **{name: value for name, value in result.items() if value is not None}}
        facts["value"] = result.get("value", result.get("interpretation"))
        facts["call"] = result.get("interpretation")
        printed = _line_of(result, options)
        if printed is not None:
            facts.setdefault("test", result.get("quantity"))
            yield printed, fill(printed.prints, facts)


def _line_of(result: Mapping[str, Any], options: TextLinesOptions) -> Line | None:
    """The line that prints a result: its own, or one that prints any test."""
    able = [line for line in options.patterns if line.prints and line.readings and not (line.items or line.ignore)]
    own = [line for line in able if any(reading.named == result.get("quantity") for reading in line.readings)]
    anyone = [line for line in able if "test" in blanks(line.prints)]
    return next(iter([*own, *anyone]), None)


def text_driver(
    *,
    name: str,
    maker: str,
    summary: str,
    links: tuple[str, ...] = ("serial", "tcp", "tcp-listen", "file"),
    evidence: Evidence = Evidence.MANUAL,
    recordings: tuple[str, ...] = (),
    sources: tuple[str, ...] = (),
    variants: tuple[Variant, ...] = (),
    link_settings: Mapping[str, Any] = SETTINGS,
    example: str = "",
    **options: Any,
) -> Driver:
    """A driver of an instrument that prints lines, from its declaration: `options` are those of `TextLinesOptions`
    (`patterns` above all) as this instrument has them; a configuration may still say otherwise.

    Errors: pydantic's ValidationError where the declaration is not sound.
    """
    sound = TextLinesOptions.model_validate(options)
    fields: dict[str, Any] = {
        key: (field.annotation, getattr(sound, key))
        for key, field in TextLinesOptions.model_fields.items()
        if key in options
    }
    return Driver(
        name=name,
        maker=maker,
        summary=summary,
        links=links,
        options=create_model(f"TextLinesOptions[{name}]", __base__=TextLinesOptions, **fields),
        quantities=(),
        observes=TextLinesOptions.observed,
        host=host,
        decode=decode,
        instrument=instrument,
        encode=encode,
        variants=variants,
        identity=lambda options: options.repeated,
        link_settings=link_settings,
        evidence=evidence,
        recordings=recordings,
        sources=sources,
        example=example or f'[[devices]]\nid = "{name}-1"\ndriver = "{name}"\nlink = {{ type = "{links[0]}" }}\n',
    )
