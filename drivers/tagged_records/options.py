"""What a `[[devices]]` table may say about an instrument whose fields carry their names: which tag is what."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated

from pydantic import Field, model_validator

from drivers.kit.declare import Options, Quantity
from drivers.kit.facts import Item, Name, Rules
from drivers.kit.observation import Kind
from drivers.kit.pages import crc16
from drivers.kit.printed import WireOptions
from drivers.kit.regular import Pattern

Tag = Annotated[str, Field(min_length=1, max_length=40)]


class Group(Options):
    """A result made of several tags: it begins with one of them and goes on to the next that begins one."""

    begins: Tag
    names: dict[Tag, Name]
    """Its tags and what they say: test, value, call, unit, status, flags, date ...; other names become attributes."""
    item: Item = Item(kind=Kind.RESULT)


class Said(Options):
    """A line of the conversation that belongs to no page, and the answer to it ("\\1" what a group says)."""

    match: Pattern
    reply: Annotated[str, Field(max_length=200)] = ""


class Page(Options):
    """Messages that are lines up to one that ends them."""

    last: Pattern
    """The line that ends a page."""
    crc: Annotated[int, Field(ge=0, le=9)] = 0
    """The group of `last` that holds the CRC-16 (A001, FFFF) of the lines before, as a decimal number; 0: none."""
    kept: Annotated[str, Field(max_length=80)] = ""
    """The line a page is answered with."""
    refused: Annotated[str, Field(max_length=80)] = ""
    says: tuple[Said, ...] = ()

    def wrong(self, page: bytes, line: bytes) -> str:
        """What is wrong with a page's checksum; "" where nothing is."""
        match = re.fullmatch(self.last, line.decode("latin-1"))
        if not self.crc or match is None:
            return ""
        wanted = crc16(page)
        return "" if match[self.crc].strip() == str(wanted) else f"wanted {wanted}"

    def answer(self, line: bytes) -> bytes | None:
        """What is said to a line of the conversation; None where it is of a page."""
        text = line.decode("latin-1")[:400]
        for one in self.says:
            if match := re.fullmatch(one.match, text):
                return match.expand(one.reply).encode("latin-1") + b"\r" if one.reply else b""
        return None


class Single(Options):
    """Results that are one tag each, with their parts behind it: `WBC;6.9;*;H;1.1;3.0`."""

    parts: tuple[Name | None, ...]
    """What stands behind the tag, in order: value, flags, unit ...; "" is left out."""
    tags: Pattern = r".+"
    """Which tags are results."""
    values: Pattern = r".*"
    """What a value looks like; another tag of the same form is no result."""
    until: Pattern | None = None
    """The tag from which on there are no results any more (curves, matrices)."""
    least: int = Field(1, ge=1, le=40)
    """How many parts a result has at least."""
    width: int = Field(0, ge=0, le=400)
    """How many characters stand behind the tag; with others something was lost, and the message is not read. 0: any."""
    item: Item = Item(kind=Kind.RESULT)


class TaggedRecordsOptions(WireOptions, Rules):
    """A message is taken apart at `separators`; each piece is a tag and what it says."""

    separators: Annotated[str, Field(min_length=1, max_length=8)] = "|\x1e\r\n"
    """Characters that end a field."""
    folded: Annotated[str, Field(max_length=1)] = ""
    """A character that begins each line a long message is folded into, within a field as well; it says nothing."""
    tag_width: int = Field(2, ge=0, le=20)
    """Characters of a tag that what it says follows directly; 0: `tag_end` stands between."""
    tag_end: Annotated[str, Field(max_length=2)] = ""
    head: Pattern | None = None
    """What stands before the first field and belongs to none, with groups named like facts."""
    parts_end: Annotated[str, Field(max_length=2)] = ""
    """What stands between the parts of one field."""
    facts: dict[Tag, Name] = Field(default_factory=dict)
    """Tags that say something of all results of the message."""
    kind_tag: str = ""
    """The tag that says what kind of message it is."""
    results: tuple[str, ...] = ()
    """Which kinds have results; () all."""
    ignored: tuple[str, ...] = ()
    """Which kinds say nothing to us: orders, greetings. Any other kind is not read."""
    groups: tuple[Group, ...] = ()
    singles: Single | None = None
    analytes: tuple[Item, ...] = ()
    """Tests by the name the message gives them."""
    page: Page | None = None
    hidden: tuple[Tag, ...] = ()
    """Tags that are not kept beside the results: who the patient is, curves."""
    print: Annotated[str, Field(max_length=200)] = ""
    """What the simulated instrument's message begins with, before its tags."""
    print_end: Annotated[str, Field(max_length=20)] = ""
    print_width: int = Field(0, ge=0, le=1000)
    """How long the simulated instrument's folded lines are; 0: it does not fold."""
    print_date: Annotated[str, Field(max_length=20)] = "%d/%m/%Y"
    print_time: Annotated[str, Field(max_length=20)] = "%H:%M"

    @model_validator(mode="after")
    def _apart(self) -> TaggedRecordsOptions:
        if not self.tag_width and not self.tag_end:
            raise ValueError('a tag needs a width or an end. Write tag_width = 2, or tag_end = ";".')
        if not self.groups and self.singles is None:
            raise ValueError("nothing makes a result. Declare `groups` or `singles`.")
        return self

    @cached_property
    def by_test(self) -> dict[str, Item]:
        """The analytes by their test."""
        return {item.test: item for item in self.analytes}

    def observed(self) -> tuple[Quantity, ...]:
        """What it observes."""
        return tuple(item.model_copy(update={"kind": Kind.RESULT}).observed() for item in self.analytes)
