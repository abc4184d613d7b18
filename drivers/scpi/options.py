"""What a `[[devices]]` table may say about the queries an instrument is asked."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from drivers.kit.declare import Options
from drivers.kit.durations import Duration


def _query(text: str) -> str:
    text = text.strip()
    if not text.isascii() or not text.isprintable() or ";" in text:
        raise ValueError(f"{text!r} is not one query. Write printable ASCII without a semicolon, one query an entry.")
    if "?" not in text:
        raise ValueError(f'{text!r} is a command: nothing would answer it, and it might change settings. Ask "...?".')
    return text


def _pattern(text: str) -> str:
    try:
        compiled = re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}.") from None
    if compiled.groups > 1:
        raise ValueError(f"{text!r} has {compiled.groups} groups. One is the value; write (?:...) for the others.")
    return text


class QueryOption(Options):
    """One thing to ask for."""

    ask: Annotated[str, Field(max_length=200), AfterValidator(_query)]
    """The query: "MEAS:TEMP? (@101)". Several entries may share one query, each with its `index`."""
    quantity: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)
    unit: str | None = Field(None, min_length=1)
    poll: Duration | None = Field(None, gt=0)
    """How often it is asked; by default the device's `poll`."""
    index: int | None = Field(None, ge=1, le=1000)
    """Which of several values with commas between, counted from 1."""
    pattern: Annotated[str, Field(max_length=200), AfterValidator(_pattern)] | None = None
    """A regular expression the whole answer must match; its group is the value. Another answer is refused."""
    map: dict[str, str] | None = Field(None, min_length=1, max_length=200)
    """What answers mean: { "0" = "closed", "1" = "open" }."""
    invalid: Annotated[tuple[float, ...], Field(max_length=50)] = ()
    """Numbers that are no measurements, besides 9.9E37 and 9.91E37."""
    low: float | None = Field(None, allow_inf_nan=False)
    """Below this a reading is not plausible, so bad; with `high` what the simulator draws from."""
    high: float | None = Field(None, allow_inf_nan=False)
    kind: Literal["reading", "status", "event"] = "reading"

    @model_validator(mode="after")
    def _one_way(self) -> QueryOption:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("`low` is not below `high`.")
        return self


class ScpiOptions(Options):
    """Every query is one line, and its answer is read before the next one is asked."""

    poll: Duration = Field(10.0, gt=0)
    """How often every query is asked that does not say otherwise."""
    timeout: Duration = Field(5.0, gt=0)
    """How long an answer may take."""
    terminator: Literal["\n", "\r\n", "\r"] = "\n"
    """What ends our queries. Answers may end in CR, LF or both."""
    identify: bool = True
    """Ask "*IDN?" once, on connecting."""
    errors: bool = True
    """Ask "SYST:ERR?" on connecting and whenever something went unanswered, until the queue is empty. Instruments of
    IEEE-488.2 without SCPI have no such query: then "*IDN?" brings question and answer back into step."""
    queries: Annotated[tuple[QueryOption, ...], Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _told_apart(self) -> ScpiOptions:
        names = [query.quantity for query in self.queries]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name!r} is declared twice. Call one of them otherwise.")
        for query in self.queries:
            same = [other for other in self.queries if other.ask == query.ask]
            if len(same) > 1 and any(other.index is None and other.pattern is None for other in same):
                raise ValueError(f"{query.ask!r} is asked for several things. Give each its `index`.")
            if query.ask.upper() in ("*IDN?", "SYST:ERR?"):
                raise ValueError(f"{query.ask!r} is asked by itself. See `identify` and `errors`.")
        return self
