"""The instrument's side where it is asked: each question has its answer, told when it is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from drivers.kit.exchange import Event, Received, Send
from drivers.kit.lines import Lines

BETWEEN: Final = b"\x1f"  # between a question's name and its answer in what is offered
QUEUED: Final = 10_000


class Answering:
    """Answers the questions it knows with what was offered last. A `Speaker`.

    `questions`: what is asked, without its end -> the question's name. An offered message holds an answer a line, each
    `name BETWEEN answer`. Every offered message is told once, in order, as its questions come; after the last one that
    is told again, and before the first nothing. A message is delivered when all that it answers has been asked for.
    """

    confirms = False

    def __init__(self, questions: Mapping[bytes, str], *, end: bytes = b"\r\n", bare: bool = False) -> None:
        self._bare = max(map(len, questions)) if bare else 0  # how much of what came may be the beginning of one
        self._heard = bytearray()
        self._questions = {question.rstrip(b" "): name for question, name in questions.items()}
        self._end = end
        self._lines = Lines(max_line=256)
        self._new: dict[str, deque[bytes]] = {name: deque(maxlen=QUEUED) for name in self._questions.values()}
        self._current: dict[str, bytes] = {}
        self._told = dict.fromkeys(self._questions.values(), 0)
        self._waiting: list[str] = []  # asked before there was anything to say
        self._offered: set[str] = set()

    @property
    def deadline(self) -> float | None:
        """Nothing is ever due."""
        return None

    @property
    def delivered(self) -> int:
        """Messages all of whose answers were asked for."""
        return min((self._told[name] for name in self._offered), default=0)

    @property
    def idle(self) -> bool:
        """True when everything offered was told."""
        return not any(self._new[name] for name in self._offered)

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """Take the answers of one message."""
        for line in message.split(b"\n"):
            name, _, answer = line.partition(BETWEEN)
            known = name.decode("ascii", "replace")
            if known in self._new:
                self._offered.add(known)
                self._new[known].append(answer)
        waiting, self._waiting = self._waiting, []
        for name_ in waiting:
            yield from self._tell(name_, b"")

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Questions; what is no question is not answered."""
        if self._bare:
            for byte in (data[index : index + 1] for index in range(len(data))):
                yield from self._hear(byte)
            return
        for event in self._lines.receive(data, now):
            name = self._questions.get(event.raw.rstrip(b"\r\n ")) if isinstance(event, Received) else None
            if name is None:
                yield Send(b"", event.raw)
            else:
                yield from self._tell(name, event.raw)

    def _hear(self, byte: bytes) -> Iterator[Event]:
        """One byte more of a question without an end."""
        self._heard += byte
        name = next((name for ask, name in self._questions.items() if self._heard.endswith(ask)), None)
        if name is None:
            del self._heard[: -self._bare]
            yield Send(b"", byte)
        else:
            self._heard.clear()
            yield from self._tell(name, byte)

    def tick(self, now: float) -> Iterator[Event]:
        """Nothing is ever due."""
        return iter(())

    def close(self) -> Iterator[Event]:
        """The link is gone; what was asked is forgotten."""
        self._waiting.clear()
        self._heard.clear()
        for event in self._lines.close():
            yield Send(b"", event.raw)

    def _tell(self, name: str, raw: bytes) -> Iterator[Event]:
        if self._new[name]:
            self._current[name] = self._new[name].popleft()
            self._told[name] += 1
        answer = self._current.get(name)
        if answer is None:
            self._waiting.append(name)
            del self._waiting[:-16]
            yield Send(b"", raw)
        else:
            yield Send(answer + self._end, raw)
