"""SCPI and IEEE-488.2 on the wire: what is asked when, what answers it, and the simulator's side."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from drivers.kit.asked import Asked
from drivers.kit.asking import Asking, LineAnswers, Question, Says
from drivers.kit.exchange import Event, Received, Send
from drivers.kit.lines import Lines
from drivers.scpi.options import QueryOption, ScpiOptions

IDN, ERROR = "*IDN?", "SYST:ERR?"
GAP: Final = 0.05  # seconds between an answer and the next query: what slow instruments want
DRAINED: Final = 32  # errors read in a row; a queue that is longer goes on at the next occasion
ERRORS: Final = 20  # a simulated instrument's queue

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
FAULT = re.compile(r'([+-]?\d{1,5})\s*,\s*"(.*)"')  # an answer to SYST:ERR?


class Judge:
    """Whether a line answers the open question. After a lost answer only that of `ERROR` (or `IDN`) brings back into
    step, so nothing that looks like one is ever taken for a measurement."""

    def __init__(self, options: ScpiOptions, error: Question | None) -> None:
        self._error = error  # asks the error queue
        self._patterns: dict[str, list[re.Pattern[str]]] = {}
        for query in options.queries:
            own = self._patterns.setdefault(query.ask, [])
            if query.pattern is not None:
                own.append(re.compile(query.pattern))
        self._words = {query.ask for query in options.queries if query.map or query.pattern or query.kind != "reading"}
        self._identity = ""
        self._drained = 0

    def __call__(self, line: bytes, question: Question | None) -> Says:
        """Of a line without its end."""
        text = line.decode("latin-1")
        if question is None:
            return Says.NOTHING
        if question.name == ERROR:
            return Says.ANSWER if FAULT.fullmatch(text) else Says.NOTHING
        if question.name == IDN:
            if not is_identity(text):
                return Says.NOTHING
            self._identity = text
            return Says.ANSWER
        patterns = self._patterns.get(question.name)
        if patterns:
            return Says.ANSWER if all(pattern.fullmatch(text) for pattern in patterns) else Says.NOTHING
        other = FAULT.fullmatch(text) if self._error else text == self._identity or is_identity(text)
        return Says.NOTHING if other else Says.ANSWER

    def then(self, line: bytes, question: Question) -> tuple[Question, ...]:
        """An error leads to the next one of the queue, an answer without a number to the first."""
        text = line.decode("latin-1")
        if self._error is None:
            return ()
        if question.name == ERROR:
            found = FAULT.fullmatch(text)
            empty = found is None or int(found[1]) == 0
            self._drained = 0 if empty or self._drained >= DRAINED else self._drained + 1
            return (self._error,) if self._drained else ()
        if question.name == IDN or question.name in self._words or NUMBER.match(text):
            return ()
        return (self._error,)


def is_identity(text: str) -> bool:
    """Maker, model, serial number, firmware: with commas between, and not only numbers."""
    parts = text.split(",")
    return len(parts) > 1 and not FAULT.fullmatch(text) and not all(NUMBER.fullmatch(part.strip()) for part in parts)


def host(options: ScpiOptions) -> Asking:
    """The gateway's side."""
    wait = options.timeout
    error = Question(name=ERROR, ask=ERROR.encode(), wait=wait) if options.errors else None
    sync = error or (Question(name=IDN, ask=IDN.encode(), wait=wait) if options.identify else None)
    questions = [
        Question(name=name, ask=name.encode(), wait=wait, sync=sync)
        for name, asked in ((IDN, options.identify), (ERROR, options.errors))
        if asked
    ]
    for ask, every in paces(options).items():
        questions.append(Question(name=ask, ask=ask.encode(), every=every, wait=wait, sync=sync))
    judge = Judge(options, error)
    return Asking(questions, LineAnswers(judge, end=options.terminator.encode(), then=judge.then), gap=GAP)


def paces(options: ScpiOptions) -> dict[str, float]:
    """Every different query and how often it is asked: as often as anything it answers wants."""
    found: dict[str, float] = {}
    for query in options.queries:
        every = query.poll or options.poll
        found[query.ask] = min(every, found.get(query.ask, every))
    return found


class Instrument(Asked):
    """A simulated instrument: answers queries from what it was last offered. A `Speaker`.

    What is offered is a JSON object of queries and their answers. Before the first one nothing was measured: 9.91E37.
    """

    def __init__(self, options: ScpiOptions) -> None:
        super().__init__(paces(options))
        self._lines = Lines(max_line=1024)
        self._end = options.terminator.encode()
        self._errors: deque[str] = deque(maxlen=ERRORS)

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Queries."""
        for event in self._lines.receive(data, now):
            if not isinstance(event, Received):
                yield Send(b"", event.raw)
                continue
            answer = self._answer(event.raw.strip().decode("ascii", "replace"))
            yield Send(answer.encode() + self._end if answer else b"", event.raw)

    def close(self) -> Iterator[Event]:
        """The link is gone."""
        for event in self._lines.close():
            yield Send(b"", event.raw)

    def _answer(self, query: str) -> str:
        plain = query.upper()
        if plain == IDN:
            return "ASSAYGATE,SIMULATED,SIM0000001,1.0"
        if plain in (ERROR, "SYSTEM:ERROR?", "SYST:ERR:NEXT?"):
            return self._errors.popleft() if self._errors else '0,"No error"'
        if query not in self._asked_for:
            full = len(self._errors) == ERRORS - 1
            self._errors.append('-350,"Queue overflow"' if full else '-113,"Undefined header"')
            return ""
        answer = self.answer(query)
        return "9.91E37" if answer is None else str(answer)


def offered(readings: Mapping[str, object], queries: tuple[QueryOption, ...]) -> bytes:
    """What `Instrument.offer` takes, made of quantities and their values."""
    answers: dict[str, list[str]] = {}
    for query in queries:
        row = answers.setdefault(query.ask, [])
        place = (query.index or 1) - 1
        row += ["+0.00000000E+00"] * (place + 1 - len(row))
        row[place] = _written(readings.get(query.quantity), query)
    return json.dumps({ask: ",".join(row) for ask, row in answers.items()}).encode()


def _written(value: object, query: QueryOption) -> str:
    if query.map:
        return next((sent for sent, word in query.map.items() if word == value), "")
    if isinstance(value, int | float):
        return f"{float(value):+.8E}"
    return "9.91E37" if value is None else f'"{value}"'
