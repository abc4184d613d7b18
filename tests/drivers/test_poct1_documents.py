"""Documents cut at their root's end tag: wherever the stream is cut, whatever stands between them, after any damage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.kit.exchange import Event, Reason, Received, Rejected, Send
from drivers.kit.poct1_messages import ROOTS
from drivers.kit.xml_documents import Documents

ONE = b'<HEL.R01><HDR><HDR.control_id V="1"/></HDR></HEL.R01>'
TWO = b'<?xml version="1.0" encoding="utf-8"?>\n<OBS.R01 a=\'"\'><!-- <DST.R01> --><SVC V="a>b"/>x'
TWO += b"<![CDATA[</OBS.R01>]]></OBS.R01 >"
THREE = b"<KPA.R01/>"


class Keeps:
    """Answers every document with its size."""

    deadline: float | None = None

    def receive(self, document: bytes, now: float) -> Iterator[Event]:
        yield Received(document, str(len(document)).encode())

    def tick(self, now: float) -> Iterator[Event]:
        return iter(())

    def close(self) -> Iterator[Event]:
        return iter(())


def cutter(**options: int) -> Documents:
    return Documents(Keeps(), begins=ROOTS, refuse=lambda raw, _now: b"no %d" % len(raw), **options)


def feed(pieces: Iterable[bytes], documents: Documents | None = None) -> list[Event]:
    documents = documents or cutter()
    events = [event for piece in pieces for event in documents.receive(piece, 1.0)]
    return [*events, *documents.close()]


def whole(events: Iterable[Event]) -> list[bytes]:
    return [event.raw for event in events if isinstance(event, Received)]


def told(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, Send)]


def used(events: Iterable[Event]) -> bytes:
    return b"".join(event.raw for event in events)


def test_several_documents_in_one_read() -> None:
    events = feed([ONE + TWO + b"\r\n" + THREE + ONE])
    assert whole(events) == [ONE, TWO, THREE, ONE]
    assert next(event.reply for event in events if isinstance(event, Received)) == str(len(ONE)).encode()


def test_a_document_is_there_with_its_last_byte() -> None:
    documents = cutter()
    for document in (ONE, TWO, THREE):
        for byte in document[:-1]:
            assert whole(documents.receive(bytes([byte]), 1.0)) == []
        assert whole(documents.receive(document[-1:], 1.0)) == [document]


BETWEEN = [b"", b"\r\n \t", b"\xef\xbb\xbf", b"\x1b", b"\0", b"stray", b"a < b", b"</SVC>", b"<"]
PIECES = st.lists(st.sampled_from([ONE, TWO, THREE, *BETWEEN]), max_size=8)


@given(PIECES, st.lists(st.integers(0, 2000), max_size=12))
def test_the_same_documents_at_any_cut(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    cut = [stream[a:b] for a, b in pairwise(places)]
    once, pieced = feed([stream]), feed(cut)
    assert told(once) == told(pieced)
    assert used(once) == used(pieced) == stream
    singly = feed([stream[n : n + 1] for n in range(len(stream))])
    assert told(singly) == told(once)
    assert used(singly) == stream


@pytest.mark.parametrize("between", BETWEEN, ids=repr)
def test_what_stands_between_documents_hides_none(between: bytes) -> None:
    events = feed([ONE + between + THREE + ONE])
    assert whole(events) == [ONE, THREE, ONE]
    assert used(events) == ONE + between + THREE + ONE


def test_an_escape_byte_and_byte_order_marks_are_no_fault() -> None:
    assert told(feed([b"\xef\xbb\xbf\x1b\r\n" + ONE])) == told(feed([ONE]))


@pytest.mark.parametrize(
    "broken",
    [
        b'<OBS.R01><HDR><HDR.control_id V="9"/></HDR><SV',
        b'<OBS.R01><HDR><HDR.control_id V="9',
        b"<OBS.R01><HDR></HDR></OBS.R0>",
        b"<x",
    ],
    ids=repr,
)
def test_a_document_broken_off_is_refused_and_the_next_is_read(broken: bytes) -> None:
    for following in (ONE, TWO):
        events = feed([broken + following])
        assert whole(events) == [following]
        (refused,) = [event for event in events if isinstance(event, Rejected)]
        assert (refused.raw, refused.reason in (Reason.INCOMPLETE, Reason.FRAMING)) == (broken, True)


def test_damage_inside_stays_inside() -> None:
    damaged = [
        b'<OBS.R01><HDR><HDR.control_id V="9/></HDR><SVC></SVC></OBS.R01>',
        b"<OBS.R01><A></B></OBS.R01>",
        b"<OBS.R01><<<</OBS.R01>",
        b"<OBS.R01><A b=\"'></A></OBS.R01>",
    ]
    for one in damaged:
        assert whole(feed([one + ONE])) == [one, ONE]  # whoever reads it refuses it


def test_a_document_type_goes_with_its_document() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'
    assert whole(feed([bomb + ONE])) == [bomb, ONE]


def test_a_root_may_hold_its_own_name_where_nothing_is_known_of_roots() -> None:
    nested = b"<x><x/><x></x></x>"
    assert whole(feed([nested + nested], Documents(Keeps()))) == [nested, nested]


def test_a_document_too_long_is_dropped_up_to_the_next() -> None:
    long = b"<OBS.R01>" + b"<NTE V='x'/>" * 40 + b"</OBS.R01>"
    for size in (1, 7, 5000):
        stream = long + ONE + long + TWO
        events = feed([stream[n : n + size] for n in range(0, len(stream), size)], cutter(max_document=200))
        assert whole(events) == [ONE, TWO]
        assert used(events) == stream
        assert [event.reason for event in events if isinstance(event, Rejected)] == [Reason.TOO_LONG] * 2


def test_memory_is_bounded_whatever_comes() -> None:
    documents = cutter(max_document=1000)
    for flood in (b"<a b='", b"<!--", b"<?x ", b"<OBS.R01>", b"stray"):
        events: list[Event] = list(documents.receive(flood, 1.0))
        for _ in range(100):
            events += documents.receive(b"-" * 100, 1.0)
            assert len(documents._held) < 2000
        events += documents.close()
        assert used(events) == flood + b"-" * 10_000


def test_silence_gives_an_unfinished_document_up() -> None:
    documents = cutter()
    assert list(documents.receive(ONE[:20], 5.0)) == []
    assert documents.deadline == 35.0
    assert list(documents.tick(34.0)) == []
    (refused,) = documents.tick(35.0)
    assert refused == Rejected(ONE[:20], Reason.INCOMPLETE, b"no 20", "the document was not ended")
    assert whole(documents.receive(ONE, 36.0)) == [ONE]
    assert documents.deadline is None


@given(
    st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([ONE, b"<", b"<!--", b"<?xml ", b'"', b">", b"<a "])))
)
@example([b"<!", b"-", b"-", b"--", b">"])
def test_garbage_ends_in_events(pieces: list[bytes]) -> None:
    assert used(feed(pieces)) == b"".join(pieces)
    assert used(feed(pieces, cutter(max_document=64))) == b"".join(pieces)
