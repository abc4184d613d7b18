"""What a `[[devices]]` table may say about an instrument that prints lines: patterns of lines, and what is asked."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from drivers.kit.declare import Identity, Options, Quantity
from drivers.kit.durations import Duration
from drivers.kit.facts import OF_THE_VALUE, Item, Name, Rules, Verdict
from drivers.kit.observation import Kind
from drivers.kit.printed import Template, WireOptions, blanks, repeated
from drivers.kit.regular import Pattern, compiled

PER_ITEM = tuple(name for name in OF_THE_VALUE if name != "value")


class Reading(Item):
    """One value of a line. Groups called `unit_<group>`, `status_<group>` ... are of this value alone."""

    value: Name = "value"
    """The named group of `match` that holds it."""


class Line(Reading):
    """One kind of line: a regular expression of the whole line, with named groups for what is what.

    Groups: value, sign, unit, status, flags, call, comparator; specimen, patient, operator, lot, lot_expiry, run, date,
    time, test, kind; any other name is kept in the attributes. A line without a value says something about the lines
    that follow it in the same message.
    """

    match: Pattern
    asked: str = ""
    """The question it answers, where the line does not say."""
    items: tuple[Reading, ...] = ()
    """The values of a line that has several."""
    quality: Verdict = "good"
    """What a line of this kind says of its values."""
    ignore: bool = False
    """Nothing is made of it."""
    print: Template | None = None
    """How the simulated instrument prints it: "{value:>10} {unit}"."""

    @property
    def readings(self) -> tuple[Reading, ...]:
        """Its values: none in a line that says something about others."""
        if self.items:
            return self.items
        return (self,) if {self.value, "call"} & set(compiled(self.match).groupindex) else ()

    @property
    def prints(self) -> str:
        """Its template, "" where there is none."""
        return self.print or ""

    @model_validator(mode="after")
    def _grouped(self) -> Line:
        groups = set(compiled(self.match).groupindex)
        for item in self.items:
            if item.value not in groups:
                raise ValueError(f"`match` has no group called {item.value!r}. Write (?P<{item.value}>...).")
        return self


class Ask(Options):
    """A question that is asked again and again."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
    send: Annotated[str, Field(min_length=1, max_length=80)]
    """What is sent, without its end."""
    wait: Duration = 3.0
    """How long its answer may take."""
    sync: str = ""
    """The name of a question whose answer looks like no other's. After a missed answer it is asked first, so that no
    late answer is taken for another question's."""


def _apart(questions: tuple[Ask, ...]) -> tuple[Ask, ...]:
    names = [question.name for question in questions]
    for question in questions:
        if names.count(question.name) > 1:
            raise ValueError(f"two questions are called {question.name!r}. Name them apart.")
        if question.sync and question.sync not in names:
            raise ValueError(f"no question is called {question.sync!r}, which {question.name!r} names in `sync`.")
    return questions


class TextLinesOptions(WireOptions, Rules):
    """The defaults read lines with one number in them: `23.45`, `T=23.4 C`, `+021.3 %`."""

    patterns: Annotated[tuple[Line, ...], Field(min_length=1, max_length=200)] = (
        Line(
            match=r"[^\d+,.\x80-\xbf-]*(?P<value>[-+]?\d+(?:[.,]\d+)?)(?![.,])[^\d]*",
            quantity="value",
            low=0.0,
            high=100.0,
            step=0.01,
            print="{value}",
        ),
    )
    """The kinds of lines. A line that fits none, or two that say different things, is not read."""
    analytes: tuple[Item, ...] = ()
    """What the lines may name in their group `test`: units, codes and kinds by `test`."""
    ask: Annotated[tuple[Ask, ...], AfterValidator(_apart), Field(max_length=60)] = ()
    """What the instrument is asked. Without questions it is listened to."""
    poll: Duration = 10.0
    """How often it is asked."""
    ask_end: Annotated[str, Field(max_length=4)] = "\r\n"
    """What ends a question; "" nothing."""
    prompt: Annotated[str, Field(max_length=1)] = ""
    """A character the instrument says when it is ready for a question (">"); it ends no line."""
    pause: Duration = 0.0
    """How long it must be left alone between an answer and the next question."""
    longest_line: int = Field(256, ge=8, le=500)
    """Characters of one line; a longer one is not read."""

    @model_validator(mode="after")
    def _consistent(self) -> TextLinesOptions:
        names = {question.name for question in self.ask}
        for line in self.patterns:
            if line.asked and line.asked not in names:
                raise ValueError(f"a pattern answers {line.asked!r}, but no question in `ask` is called that.")
        if self.ask and (self.framing != "lines" or self.acknowledge):
            raise ValueError(
                'an instrument that is asked answers in lines. Write framing = "lines", acknowledge = false.'
            )
        return self

    @cached_property
    def by_test(self) -> dict[str, Item]:
        """The analytes by their test."""
        return {item.test: item for item in self.analytes}

    @property
    def repeated(self) -> Identity:
        """Whether a message that arrives again is the same one: by what every reading of it has beside it.

        What was asked for is never sent again, whatever its clock says.
        """
        if self.ask:
            return Identity.ARRIVAL
        said = [set(compiled(line.match).groupindex) for line in self.patterns if not line.ignore]
        if self.framing == "blocks" or self.paged:
            return repeated(set().union(*said), acknowledged=self.acknowledge)
        own = [names for names, line in zip(said, self.lines, strict=True) if line.readings]
        every = set(own[0]).intersection(*own[1:]) if own else set[str]()
        return repeated(every, acknowledged=self.acknowledge)

    @property
    def lines(self) -> tuple[Line, ...]:
        """The patterns that say something."""
        return tuple(line for line in self.patterns if not line.ignore)

    def observed(self) -> tuple[Quantity, ...]:
        """What it observes, by its patterns and analytes."""
        items: dict[str, Item] = {}
        for line in self.patterns:
            if line.ignore:
                continue
            for reading in line.readings:
                if not self.analytes or reading.quantity or reading.test:
                    items.setdefault(reading.named, reading)
        for item in self.analytes:
            items.setdefault(item.named, item)
        return tuple(item.observed() for item in items.values() if item.kind in (Kind.READING, Kind.RESULT))


def printable(line: Line, facts: dict[str, Any]) -> bool:
    """Whether the facts fill the template's values."""
    wanted = {reading.value for reading in line.readings}
    return bool(line.prints) and all(facts.get(name) is not None for name in blanks(line.prints) & wanted)
