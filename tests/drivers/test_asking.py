"""Asking one question at a time: what is due when, and that no answer is taken for another question's."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.asking import AGAIN, PATIENCE, QUIET, TRIES, Asking, LineAnswers, Question, Says
from drivers.kit.exchange import Event, Reason, Received, Rejected, Send


def judge(line: bytes, question: Question | None) -> Says:
    """The answer to "a?" begins with "a"; a line that begins with "!" is news."""
    if line.startswith(b"!"):
        return Says.NEWS
    return Says.ANSWER if question and line[:1] == question.ask[:1] else Says.NOTHING


def numbers(line: bytes, question: Question | None) -> Says:
    """Answers that look alike whatever was asked, but for that of "sync?"."""
    if question is None:
        return Says.NOTHING
    return Says.ANSWER if (line == b"in step") == (question.name == "sync") else Says.NOTHING


SYNC = Question(name="sync", ask=b"sync?", wait=2.0)


def question(name: str, every: float | None = 10.0, wait: float = 2.0, sync: Question | None = None) -> Question:
    return Question(name=name, ask=name.encode() + b"?", every=every, wait=wait, sync=sync)


class Desk:
    """An `Asking` on a clock of its own, and what it did."""

    def __init__(self, *questions: Question, answers: LineAnswers | None = None, **more: object) -> None:
        self.asking = Asking(questions, answers or LineAnswers(judge, end=b"\n"), **more)  # type: ignore[arg-type]
        self.now = 100.0
        self.asked: list[tuple[float, str]] = []
        self.kept: list[tuple[str, bytes]] = []
        self.refused: list[Rejected] = []

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Received):
                self.kept.append((event.channel, event.raw))
            elif isinstance(event, Rejected):
                self.refused.append(event)
            elif event.data:
                self.asked.append((self.now, event.data.decode().strip()))

    def hear(self, data: bytes) -> None:
        self.take(self.asking.receive(data, self.now))
        self.run(self.now)

    def run(self, until: float) -> None:
        while (due := self.asking.deadline) is not None and due <= until:
            self.now = max(self.now, due)
            self.take(self.asking.tick(self.now))
        self.now = until


def test_each_question_is_asked_at_its_own_pace_and_never_two_at_once() -> None:
    desk = Desk(question("a", 10), question("b", 20))
    for at in range(100, 141):
        desk.run(at)
        if desk.asking.waiting:
            desk.hear(desk.asked[-1][1][:1].encode() + b"1\n")
            desk.hear(b"b2\n" if desk.asking.waiting else b"")
    assert [name for _, name in desk.asked] == ["a?", "b?", "a?", "a?", "b?", "a?", "a?", "b?"]
    assert [at for at, _ in desk.asked] == [100, 100, 110, 120, 120, 130, 140, 140]


def test_an_answer_carries_its_question() -> None:
    desk = Desk(question("a"), question("b"))
    desk.run(100)
    desk.hear(b"a 1\n")
    desk.hear(b"b 2\n")
    assert desk.kept == [("a", b"a 1\n"), ("b", b"b 2\n")]


def test_an_unanswered_question_gives_way_and_is_asked_again_in_its_turn() -> None:
    desk = Desk(question("a"), question("b"), rest=0.0)
    desk.run(113)
    assert desk.asked == [(100, "a?"), (102, "b?"), (110, "a?"), (112, "b?")]


def test_what_comes_after_its_time_is_refused_and_answers_nothing() -> None:
    desk = Desk(question("a"), question("b"))
    desk.run(102)
    desk.hear(b"a 1\n")  # too late, in the silence before b is asked
    assert desk.kept == []
    assert [(event.raw, event.reason) for event in desk.refused] == [(b"a 1\n", Reason.UNCLAIMED)]
    desk.run(104)
    assert desk.asked[-1] == (104, "b?")


def test_a_late_answer_is_never_taken_for_that_of_the_next_question() -> None:
    a, b = question("a", sync=SYNC), question("b", sync=SYNC)
    desk = Desk(a, b, answers=LineAnswers(numbers, end=b"\n"))
    desk.run(104)
    assert [name for _, name in desk.asked] == ["a?", "sync?"]
    desk.hear(b"1\n")  # of a
    desk.hear(b"in step\n")
    desk.hear(b"2\n")  # of b
    assert desk.kept == [("sync", b"in step\n"), ("b", b"2\n")]
    assert [event.raw for event in desk.refused] == [b"1\n"]


def test_what_brings_back_into_step_is_asked_once_then_nothing_until_all_answers_are_old() -> None:
    desk = Desk(question("a", sync=SYNC), question("b", sync=SYNC))
    desk.run(106 + 2 * PATIENCE - 0.1)
    assert desk.asked == [(100, "a?"), (104, "sync?")]
    desk.hear(b"s\n")  # its own answer, late: it may be anybody's by now
    assert len(desk.asked) == 2
    desk.run(106 + 2 * PATIENCE)
    assert desk.asked[2] == (106 + 2 * PATIENCE, "b?")


def test_what_brings_back_into_step_is_never_asked_while_its_like_is_open() -> None:
    """The first of two answers would be taken for the second, and leave room for something in between."""
    desk = Desk(question("sync", sync=SYNC), question("b", sync=SYNC))
    desk.run(102 + 2 * PATIENCE - 0.1)
    assert desk.asked == [(100, "sync?")]
    desk.run(102 + 2 * PATIENCE)
    assert desk.asked[1:] == [(102 + 2 * PATIENCE, "b?")]


def test_others_on_the_wire_are_asked_while_one_is_out_of_step() -> None:
    desk = Desk(question("a", sync=SYNC), question("b"))
    for at in range(100, 130):
        desk.run(at)
        if desk.asked[-1][1] == "b?" and desk.asking.waiting:
            desk.hear(b"b\n")
    said = [(100, "a?"), (104, "b?"), (104, "sync?"), (114, "b?"), (116, "a?"), (120, "sync?"), (124, "b?")]
    assert desk.asked == said


def test_what_is_asked_once_is_given_up_after_some_tries() -> None:
    desk = Desk(question("a", None), question("b", None))
    desk.run(100)
    desk.hear(b"a\n")
    desk.run(100 + AGAIN * (TRIES + 2))
    assert [name for _, name in desk.asked] == ["a?", *["b?"] * TRIES]
    assert desk.asking.deadline is None


def test_the_wire_is_silent_between_an_answer_and_the_next_question() -> None:
    desk = Desk(question("a"), question("b"), gap=0.5)
    desk.run(100)
    desk.hear(b"a 1\n")
    desk.hear(b"a 1\n")  # its repeat meets no question
    assert len(desk.asked) == 1
    assert [event.raw for event in desk.refused] == [b"a 1\n"]
    desk.run(100.5)
    assert desk.asked[-1] == (100.5, "b?")


def test_what_lay_there_before_the_question_does_not_answer_it() -> None:
    desk = Desk(question("a", 10, 4.0))
    desk.run(100)
    desk.hear(b"a 1\n")
    desk.run(109.5)
    desk.hear(b"a 1")
    desk.run(110.5)
    assert desk.asked[-1] == (110.5, "a?")
    desk.hear(b"99\na 2\n")
    assert desk.kept == [("a", b"a 1\n"), ("a", b"a 2\n")]
    assert [event.raw for event in desk.refused] == [b"a 1", b"99\n"]


def test_an_answer_that_stops_is_not_finished_by_what_comes_later() -> None:
    desk = Desk(question("a"), rest=0.0)
    desk.run(100)
    desk.hear(b"a 1.2")
    desk.run(110)
    desk.hear(b"a5\na 1.25\n")
    assert desk.kept == [("a", b"a 1.25\n")]


def test_news_is_kept_and_leaves_the_question_open() -> None:
    desk = Desk(question("a"))
    desk.run(100)
    desk.hear(b"! power on\n")
    assert desk.asking.waiting
    desk.hear(b"a 1\n! door\n")
    assert desk.kept == [("", b"! power on\n"), ("a", b"a 1\n"), ("", b"! door\n")]


def test_silence_gives_up_what_nobody_asked_for() -> None:
    desk = Desk(question("a", 1000))
    desk.run(100)
    desk.hear(b"a 1\n")
    desk.hear(b"garbage")
    desk.run(100 + QUIET)
    assert [event.raw for event in desk.refused] == [b"garbage"]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6))
def test_any_bytes_come_out_once_and_the_same_at_any_cut(data: bytes, cuts: list[int]) -> None:
    def feed(pieces: list[bytes]) -> list[Event]:
        asking = Asking([question("a")], LineAnswers(judge, end=b"\n", longest=64), gap=1.0)
        events = list(asking.tick(100.0))
        for piece in pieces:
            events += asking.receive(piece, 100.0)
        return [*events, *asking.close()]

    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(bounds)]
    whole = feed([data])
    assert b"".join(event.raw for event in whole) == data
    assert feed(pieces) == whole
    assert feed([data[n : n + 1] for n in range(len(data))]) == whole
    assert not [event for event in whole if isinstance(event, Send) and event.data][1:]
