"""How HL7 messages are answered (v2.5.1 chapter 2.9): acknowledgements in original and enhanced mode, and "nothing
known" to an analyser that asks for orders.

Only bytes are touched: what is echoed (MSA-2, MSH-11, the query) stays byte for byte what came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import Final, Literal

from drivers.kit.exchange import Event, Reason, Received, Rejected, Send
from drivers.kit.hl7 import texts
from drivers.kit.mllp import Answer

MOST_ANSWERS: Final = 10_000  # to the messages of one payload
_SUCCESS = (b"AL", b"SU")  # of MSH-15 and MSH-16: an answer is wanted when all is well
_NO_ANSWER = (b"NE", b"ER")
_OFFSET = re.compile(rb"[+-]\d{4}\s*$")
_QUERIES = re.compile(rb"QBP|QRY|QSB|QVR|EQQ|SPQ|VQQ|RQQ")
_POINT_OF_CARE = (b"R30", b"R31", b"R32")  # results of point-of-care devices: answered as R33 (v2.5.1 7.3.3 to 7.3.5)
# Chemistry analysers of Mindray's kind: MSH-16 says what a result is of, and is read back with MSA-3 and MSA-6 from an
# MSH that goes as far as theirs.
_SUBJECTS = (b"0", b"1", b"2")
_THEIR_HEADER: Final = 21  # fields
_ACCEPTED = (b"Message accepted", b"", b"", b"0", b"")
_POSITIVE, _NEGATIVE = (b"AA", b"CA"), (b"AE", b"AR", b"CE", b"CR")


@dataclass(frozen=True, slots=True)
class Head:
    """An MSH segment as bytes: `fields[n]` is MSH-n."""

    fields: tuple[bytes, ...]
    mark: bytes  # the field separator
    component: bytes

    def field(self, number: int) -> bytes:
        return self.fields[number] if number < len(self.fields) else b""

    def kind(self, number: int = 1) -> bytes:
        """Component `number` of MSH-9."""
        pieces = self.field(9).split(self.component) if self.component else [self.field(9)]
        return pieces[number - 1].strip().upper() if number <= len(pieces) else b""


def head(message: bytes) -> Head:
    """The fields of a message's first segment, its MSH."""
    line = re.split(rb"[\r\n]", message, maxsplit=1)[0]
    mark = line[3:4]
    cells = line.split(mark, 60)
    return Head((cells[0], mark, *cells[1:]), mark, cells[1][:1] if len(cells) > 1 else b"^")


class Answering:
    """What is inside MLLP's blocks on the gateway's side: each payload is kept, then answered. An `Exchange`.

    A payload with an MSH is kept and accepted whatever it says, because what it says is read later, from the journal;
    one without is rejected (AR). `enhanced` "follow" answers as MSH-15 and MSH-16 ask, "original" always with one
    application acknowledgement. `queries` "answer" tells an analyser that asks for orders that there are none.
    """

    deadline: float | None = None

    def __init__(
        self,
        *,
        zone: tzinfo = UTC,
        enhanced: Literal["follow", "original"] = "follow",
        queries: Literal["answer", "ignore"] = "answer",
    ) -> None:
        self._zone = zone
        self._follow = enhanced == "follow"
        self._queries = queries == "answer"
        self._count = 0

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """One payload."""
        messages = list(islice(texts(data), MOST_ANSWERS))
        if not messages:
            yield Rejected(data, Reason.UNREADABLE, self.refuse(data, now), "no MSH segment")
            return
        if re.match(rb"ACK|MCF", head(messages[0]).kind()):
            yield Send(b"", data)  # an acknowledgement is never acknowledged
            return
        answers = [answer for message in messages for answer in self._answers(message, now)]
        yield Received(data, answers[0] if answers else b"")
        for answer in answers[1:]:
            yield Send(answer)

    def tick(self, now: float) -> Iterator[Event]:
        """Nothing is ever due."""
        return iter(())

    def close(self) -> Iterator[Event]:
        """Nothing is ever unfinished."""
        return iter(())

    def refuse(self, beginning: bytes, now: float) -> bytes:
        """The rejection of a payload that is not read, by what its beginning tells."""
        known = next(texts(beginning), b"")
        text = b"message too long" if known else b"no MSH segment"
        known = known or b"MSH|^~\\&"
        return self._acknowledgement(head(known), b"AR", now, text)

    def _answers(self, message: bytes, now: float) -> Iterator[bytes]:
        """The messages that answer one message, in their order."""
        asked = head(message)
        accept, application = asked.field(15).strip().upper(), asked.field(16).strip().upper()
        known = (*_SUCCESS, *_NO_ANSWER)
        enhanced = self._follow and (accept in known or application in known)
        if _is_response(message):
            return
        query = self._query(asked, message, now)
        if enhanced and accept in _SUCCESS:
            yield self._acknowledgement(asked, b"CA", now)
        if query is not None:
            if self._queries:
                yield query
        elif not enhanced or application in _SUCCESS:
            yield self._acknowledgement(asked, b"AA", now)

    # ---- acknowledgements

    def _reply(self, asked: Head, kind: bytes, now: float) -> bytes:
        """The MSH of an answer: sender and receiver change places, the rest is as it came."""
        at = datetime.fromtimestamp(now, UTC)
        self._count += 1
        own = f"AG{int(now * 1000):X}-{self._count}".encode()
        if _OFFSET.search(asked.field(7)):
            when = at.strftime("%Y%m%d%H%M%S+0000")
        else:
            when = at.astimezone(self._zone).strftime("%Y%m%d%H%M%S")
        version = asked.field(12) or b"2.5.1"
        cells = [b"MSH", asked.field(2), asked.field(5), asked.field(6), asked.field(3), asked.field(4)]
        cells += [when.encode(), b"", kind, own, asked.field(11) or b"P", version, b"", b"", b"", b"", b""]
        cells += [asked.field(18), b"", b"", asked.field(21)]
        if asked.field(16).strip() in _SUBJECTS:
            cells[15] = asked.field(16)
        least = _THEIR_HEADER if _reads_all(asked) or asked.kind() == b"QRY" else 0
        while not cells[-1] and len(cells) > least:
            cells.pop()
        return asked.mark.join(cells) + b"\r"

    def _acknowledgement(self, asked: Head, code: bytes, now: float, text: bytes = b"") -> bytes:
        trigger = asked.kind(2)
        if asked.kind() == b"ORU" and trigger in _POINT_OF_CARE:
            trigger = b"R33"
        parts = [b"ACK", trigger, b"ACK"] if trigger and _structured(asked) else [b"ACK", trigger]
        kind = asked.component.join(part for part in parts if part)
        mark = asked.mark
        rest = _ACCEPTED if code == b"AA" and _reads_all(asked) else (text,) if text else ()
        answer = self._reply(asked, kind, now) + mark.join((b"MSA", code, asked.field(10), *rest)) + b"\r"
        if code != b"AR":
            return answer
        c = asked.component
        error = (b"ERR", b"", c.join((b"MSH", b"1")), c.join((b"100", b"Segment sequence error", b"HL70357")), b"E")
        return answer + mark.join((*error, b"", b"", b"", text)) + b"\r"

    # ---- queries

    def _query(self, asked: Head, data: bytes, now: float) -> bytes | None:
        """ "Nothing known", where the message asks for orders; None where it does not."""
        mark, c = asked.mark, asked.component
        msa = mark.join((b"MSA", b"AA", asked.field(10))) + b"\r"
        if asked.kind() in (b"QRY", b"ORM"):
            return self._old_query(asked, data, now)
        line = _segment(data, b"QPD", mark)
        if not _QUERIES.fullmatch(asked.kind()) or line is None:
            return None
        cells = line.split(mark)
        name, tag = cells[1] if len(cells) > 1 else b"", cells[2] if len(cells) > 2 else b""
        trigger = asked.kind(2)
        if trigger in (b"Z01", b"Z03"):  # Cepheid's own: "OK" and no orders behind it
            kind, status = c.join((b"RSP", b"Z02")), b"OK"
        else:
            response = b"K" + trigger[1:] if trigger[:1] == b"Q" else trigger or b"K11"
            structure = b"RSP_K11" if asked.kind(3) == b"QBP_Q11" else b"RSP_" + response  # IHE: QBP^WOS^QBP_Q11
            kind, status = c.join((b"RSP", response, structure)), b"NF"
        return self._reply(asked, kind, now) + msa + mark.join((b"QAK", tag, status, name)) + b"\r" + line + b"\r"

    def _old_query(self, asked: Head, data: bytes, now: float) -> bytes | None:
        """Queries of version 2.3: QRY^Q02 (chemistry analysers), and an ORM^O01 that asks (ORC-1 is RF)."""
        mark, c = asked.mark, asked.component
        if asked.kind() == b"ORM":
            order = (_segment(data, b"ORC", mark) or b"").split(mark)
            if len(order) < 2 or order[1].strip().upper() != b"RF":
                return None
            msa = mark.join((b"MSA", b"AR", asked.field(10))) + b"\r"
            return self._reply(asked, c.join((b"ORR", b"O02")), now) + msa
        query = _segment(data, b"QRD", mark)
        if query is None:
            return None
        if asked.kind(2) == b"R02":  # EDAN's blood counts ask for results, and read orders there
            asking = (query, *filter(None, (_segment(data, b"QRF", mark),)))
            msa = mark.join((b"MSA", b"AA", asked.field(10), *_ACCEPTED))
            return self._reply(asked, c.join((b"ORF", b"R04")), now) + b"\r".join((msa, *asking)) + b"\r"
        rows = (
            mark.join((b"MSA", b"AA", asked.field(10), *_ACCEPTED)),
            mark.join((b"ERR", b"0", b"")),
            mark.join((b"QAK", b"SR", b"NF", b"")),
        )
        return self._reply(asked, c.join((b"QCK", asked.kind(2))), now) + b"\r".join(rows) + b"\r"


def _reads_all(asked: Head) -> bool:
    """Whether an answer is read to its last field: by analysers of Mindray's kind, and by those whose own header
    goes that far with nothing in it (Genrui sends again what is answered with MSA-2 as the last field)."""
    whole = len(asked.fields) > _THEIR_HEADER and asked.field(12).strip().startswith(b"2.3")
    return whole or asked.field(16).strip() in _SUBJECTS


def _structured(asked: Head) -> bool:
    """Whether answers name their structure (MSH-9.3): from version 2.4 on, or where the message did."""
    return bool(asked.kind(3)) or asked.field(12).strip()[:3] not in (b"2.1", b"2.2", b"2.3")


def _segment(data: bytes, name: bytes, mark: bytes) -> bytes | None:
    match = re.search(rb"[\r\n][ \t]*(" + name + re.escape(mark) + rb"[^\r\n]*)", data)
    return match[1] if match else None


def _is_response(data: bytes) -> bool:
    """Whether it answers something: it has an MSA, and is not answered."""
    return re.search(rb"[\r\n]MSA[^A-Za-z0-9\s]", data) is not None


# ---- the instrument's side


def answers(message: bytes, payload: bytes) -> Answer:
    """What a payload says of the message on its way, for `mllp.Delivery`: by MSA-2, and by what MSH-15/16 wait for."""
    sent = next((head(each) for each in texts(message)), None)
    for reply in texts(payload):
        mark = reply[3:4]
        cells: Sequence[bytes] = (_segment(reply, b"MSA", mark) or b"").split(mark)
        if sent is None or len(cells) < 3 or cells[2] != sent.field(10):
            continue
        code = cells[1].strip().upper()
        if code in _NEGATIVE:
            return Answer.REFUSED
        awaited = sent.field(16).strip().upper() in _SUCCESS
        if code in _POSITIVE and not (code == b"CA" and awaited):
            return Answer.ACCEPTED
    return Answer.OTHER
