"""What drivers of printing instruments share: how what is printed is framed, declared, heard and simulated."""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from drivers.kit.blocks import CHECKS, Blocks, Greeter, Shape, silent
from drivers.kit.declare import Identity, Message, Options
from drivers.kit.durations import Duration
from drivers.kit.exchange import DecodeError, Exchange, Reason, Speaker
from drivers.kit.lines import ACK, NAK, Lines
from drivers.kit.observation import Draft, Quality
from drivers.kit.printer import Printer
from drivers.kit.regular import Pattern, compiled

QUIET_BYTES: Final = "\r\n\0\x11\x13"
SETTINGS: Final = MappingProxyType({"baudrate": 9600, "bytesize": 8, "parity": "none", "stopbits": 1})
ANY_RECORDS: Final[Mapping[str, Any]] = MappingProxyType(
    {"maker": "any", "links": ("serial", "tcp-listen", "tcp", "file"), "quantities": (), "link_settings": SETTINGS}
)
"""What a driver whose records the configuration declares says of itself."""
_BLANK: Final = re.compile(r"\{([a-z][a-z0-9_]*)(?::([^{}]*))?\}")
_ALIGNED: Final = re.compile(r"([<>^])(0?)(\d{1,3})(\.\d{1,2})?")


def known_encoding(name: str) -> str:
    """The character set's name. ValueError where there is none."""
    try:
        codecs.lookup(name)
        ascii_lines = "A\r\n".encode(name) == b"A\r\n"
    except (LookupError, UnicodeError):
        raise ValueError(f"no character set is called {name!r}. Write one like utf-8, iso8859-1, cp437.") from None
    if not ascii_lines:
        raise ValueError(f"{name!r} does not write line ends as single bytes. Write one like utf-8, cp1252.")
    return name


Marks = Annotated[str, Field(max_length=16)]


class Answered(Options):
    """What is said to a block of this kind, framed as it was: to a question for orders, that there are none."""

    match: Pattern
    reply: Annotated[str, Field(max_length=400)]


class WireOptions(Options):
    """How what is printed comes over the wire."""

    framing: Literal["lines", "blocks"] = "lines"
    """"lines": each ended by `terminator`. "blocks": between `start` and `end`, several lines or fields in one."""
    terminator: Annotated[str, Field(min_length=1, max_length=8)] | None = None
    """What ends a line; undeclared: CR, LF or both. A form feed makes a whole page one message."""
    start: Annotated[str, Field(min_length=1, max_length=16)] = "\x02"
    end: Annotated[str, Field(min_length=1, max_length=16)] = "\x03"
    more: Marks = ""
    """Ends a block whose message goes on in the next ("\\u0017")."""
    trail: Marks = ""
    """What stands behind a block's checksum ("\\u0004")."""
    checksum: Literal["none", "sum8", "xor", "sum8-inside", "unverified"] = "none"
    """"sum8": two hexadecimal digits behind the end; "xor": one byte behind it; "sum8-inside": two digits before it."""
    acknowledge: bool = False
    """Answer what is kept with ACK, a damaged block with NAK."""
    greeted: bool = False
    """The instrument begins with ENQ and ends with EOT."""
    answers: tuple[Answered, ...] = ()
    quiet: Duration = 5.0
    """Silence after which an unfinished line or block is refused."""
    unterminated: Literal["refuse", "take"] = "refuse"
    encoding: Annotated[str, AfterValidator(known_encoding)] = "iso8859-1"
    longest: int = Field(65_536, ge=16, le=1_048_576)
    """Bytes of one message."""

    @model_validator(mode="after")
    def _framed(self) -> WireOptions:
        if self.framing == "lines" and (self.checksum != "none" or self.more or self.greeted or self.answers):
            raise ValueError('a checksum, `more`, `greeted` and `answers` are of blocks. Write framing = "blocks".')
        return self

    @property
    def paged(self) -> bool:
        """Whether a message is a whole page of lines: its terminator is none of theirs."""
        return self.terminator not in (None, "\r", "\n", "\r\n")

    @property
    def shape(self) -> Shape:
        """The blocks."""
        start, end, more, trail = (text.encode("latin-1", "replace") for text in self._marks())
        return Shape(start, end, more, CHECKS.get(self.checksum), trail)

    def _marks(self) -> tuple[str, str, str, str]:
        return self.start, self.end, self.more, self.trail


def host(options: WireOptions) -> Exchange:
    """The gateway's side: it listens, and acknowledges where that is declared."""
    reply, refusal = (ACK, NAK) if options.acknowledge else (b"", b"")
    if options.framing == "lines":
        return Lines(
            terminator=options.terminator.encode("latin-1", "replace") if options.terminator else None,
            max_line=options.longest,
            quiet=options.quiet,
            unterminated=options.unterminated,
            reply=reply,
        )
    shape = options.shape

    def answer(text: bytes) -> bytes:
        said = text.decode(options.encoding, "replace")
        for one in options.answers:
            if compiled(one.match).fullmatch(said[:1000]):
                return shape.write(one.reply.encode(options.encoding, "replace"))
        return b""

    return Blocks(
        shape,
        reply=reply,
        refusal=refusal,
        greeted=options.greeted,
        answer=answer if options.answers else silent,
        max_block=options.longest,
        quiet=options.quiet,
    )


class Unsure(Printer):
    """Waits for ACK as the instrument does; but without a checksum an ACK says only that something arrived."""

    confirms = False


def instrument(options: WireOptions) -> Speaker:
    """A simulated instrument's side."""
    if options.acknowledge and options.greeted:
        return Greeter(confirms=_checked(options))
    if options.acknowledge:
        return Printer(acknowledged=True) if _checked(options) else Unsure(acknowledged=True)
    return Printer()


def _checked(options: WireOptions) -> bool:
    check = CHECKS.get(options.checksum)
    return check is not None and check.compute is not None


def repeated(names: Collection[str], *, acknowledged: bool) -> Identity:
    """Whether a message with these facts is the same one when it arrives again.

    Its own time makes it that, or its date and running number. Without them two true results may look alike, so every
    arrival counts; only where what was not acknowledged is sent again the specimen is taken for enough.
    """
    if {"time", "printed_time"} & set(names) or {"date", "run"} <= set(names) or (acknowledged and "specimen" in names):
        return Identity.CONTENT
    return Identity.ARRIVAL


def enclose(text: str, options: WireOptions) -> bytes:
    """One message as the instrument writes it."""
    data = text.encode(options.encoding, "replace")
    if options.framing == "blocks":
        return options.shape.write(data)
    return data + (options.terminator.encode("latin-1", "replace") if options.terminator else b"\r\n")


def texts(message: Message, options: WireOptions) -> list[str]:
    """What a message says, a text a block. Errors: DecodeError."""
    pieces = options.shape.texts(message.data) if options.framing == "blocks" else [message.data]
    if not pieces:
        raise DecodeError("no whole block", Reason.FRAMING)
    try:
        return [piece.decode(options.encoding) for piece in pieces]
    except UnicodeDecodeError as error:
        what = f"not {options.encoding}: {error.reason} at byte {error.start}. Declare `encoding`."
        raise DecodeError(what, Reason.ENCODING) from None


def believed(message: Message, drafts: Iterable[Draft]) -> Iterator[Draft]:
    """The drafts; of a message that was broken off none is better than uncertain."""
    for draft in drafts:
        if not message.sound and draft.quality is Quality.GOOD:
            yield replace(draft, quality=Quality.UNCERTAIN, quality_reason="the message was broken off")
        else:
            yield draft


def printed_lines(text: str) -> Iterator[str]:
    """The lines of a text that say anything, without their ends; blanks are kept."""
    for line in re.split(r"[\r\n]+", text):
        plain = line.strip(QUIET_BYTES + "\f")
        if plain.strip(" \t"):
            yield plain


# ---- printing: what a template says


def blanks(template: str) -> set[str]:
    """The names in a template's blanks."""
    return {match[1] for match in _BLANK.finditer(template)}


def template(text: str) -> str:
    """A template's text. ValueError where a blank cannot be filled."""
    for match in _BLANK.finditer(text):
        if match[2] and "%" not in match[2] and not _ALIGNED.fullmatch(match[2]):
            raise ValueError(f'{match[0]!r} is no blank. Write "{{value}}", "{{value:>8}}" or "{{time:%Y-%m-%d}}".')
    return text


Template = Annotated[str, Field(max_length=600), AfterValidator(template)]


def fill(text: str, facts: Mapping[str, Any]) -> str:
    """The template with its blanks filled: "{value:>8}" right-aligned, "{value:>8.2}" with two decimals."""

    def one(match: re.Match[str]) -> str:
        fact, form = facts.get(match[1]), match[2] or ""
        if isinstance(fact, datetime):
            return fact.strftime(form) if "%" in form else fact.strftime("%Y-%m-%d %H:%M:%S")
        aligned = _ALIGNED.fullmatch(form)
        said = "" if fact is None else str(fact)
        if aligned is None:
            return said
        where, zero, width, decimals = aligned.groups()
        if decimals and fact is not None:
            said = f"{float(said):.{int(decimals[1:])}f}"
        if where == "<":
            return said.ljust(int(width))
        return said.center(int(width)) if where == "^" else said.rjust(int(width), "0" if zero else " ")

    return _BLANK.sub(one, text)
