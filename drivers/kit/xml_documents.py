"""XML documents that follow one another on a stream with nothing between them: cut at the root's end tag.

The cut is made by a scanner of tags of our own, not by a parser: it knows the byte a document ends on at once,
however the bytes come (expat may put off a token that came in small pieces), and it finds its way back after damage.
Whether the document is well-formed is for whoever reads it whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Final, NamedTuple

from drivers.kit.exchange import Event, Exchange, Reason, Rejected, Send, Speaker

MOST: Final = 4 * 1024 * 1024  # bytes of one document
QUIET: Final = 30.0  # seconds of silence after which an unfinished document is given up
LONGEST_NAME: Final = 256

# White space, NUL, XON and XOFF, byte order marks, and the ESC some devices send before they hang up.
_BLANK = re.compile(rb"[ \t\r\n\0\x11\x13\x1b\xef\xbb\xbf]+")
_NAME = re.compile(rb"[A-Za-z_:\x80-\xff][-.\w:\x80-\xff]*")
_IN_TAG = re.compile(rb"[<>\"']")
_IN_QUOTES = {b'"': re.compile(rb'["<]'), b"'": re.compile(rb"['<]")}
_SECTIONS = ((b"<!--", b"-->"), (b"<![CDATA[", b"]]>"))
_DECLARATION = re.compile(rb"<\?xml[ \t\r\n]")
_TAIL = 2  # bytes that stay when a document is dropped: the end of a comment, or "/>", may be half there


class _In(Enum):
    TEXT = auto()  # between tags
    OPEN = auto()  # behind a "<" that is not understood yet
    TAG = auto()
    QUOTES = auto()  # in a tag
    SECTION = auto()  # a comment, CDATA or a processing instruction: up to its own end


class _What(Enum):
    BLANK = auto()
    STRAY = auto()  # belongs to no document
    BROKEN = auto()  # a document without its end
    WHOLE = auto()
    LONG = auto()


class _Cut(NamedTuple):
    what: _What
    size: int


class Documents:
    """Cuts what arrives into documents and gives each, whole, to `inner.receive`. An `Exchange`.

    `begins`: names of elements that are only ever roots. One of them, or an XML declaration, within a document means
    that the document was broken off and another begins. `refuse(bytes, now)` is the answer to what is refused here.
    """

    def __init__(
        self,
        inner: Exchange,
        *,
        begins: re.Pattern[bytes] | None = None,
        max_document: int = MOST,
        quiet: float = QUIET,
        refuse: Callable[[bytes, float], bytes] | None = None,
    ) -> None:
        self._inner = inner
        self._begins = begins
        self._max = max(max_document, 64)
        self._quiet = quiet
        self._refuse = refuse or (lambda _raw, _now: b"")
        self._held = bytearray()
        self._due: float | None = None
        self._reset()

    def _reset(self) -> None:
        self._in = _In.TEXT
        self._at = 0  # how much of what is held is scanned
        self._token = 0  # where the tag or section being scanned begins
        self._name = b""
        self._closing = False
        self._quote = b""
        self._ending = b""
        self._begun = False  # a document begins where what is held begins
        self._root = b""
        self._depth = 0  # of elements with the root's name
        self._dropping = False  # the rest of a document that is too long

    @property
    def deadline(self) -> float | None:
        """When silence makes the document that is held an unfinished one, or inner has something due."""
        inner = self._inner.deadline
        return min((due for due in (self._due, inner) if due is not None), default=None)

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived."""
        self._held += data
        while (cut := self._next()) is not None:
            yield from self._carry(cut, now)
        self._due = now + self._quiet if self._held else None

    def tick(self, now: float) -> Iterator[Event]:
        """Silence may have made the held document unfinished; inner's timers."""
        if self._due is not None and now >= self._due:
            yield from self._unfinished("the document was not ended", now)
        if self._inner.deadline is not None and now >= self._inner.deadline:
            yield from self._inner.tick(now)

    def close(self) -> Iterator[Event]:
        """The link is gone."""
        yield from self._unfinished("the link closed within a document", None)
        yield from self._inner.close()

    # ---- what is cut

    def _carry(self, cut: _Cut, now: float) -> Iterator[Event]:
        raw, dropped = bytes(self._held[: cut.size]), self._dropping
        del self._held[: cut.size]
        if cut.what is _What.LONG:
            self._at, self._token, self._dropping = self._at - cut.size, self._token - cut.size, True
        else:
            self._reset()
        if dropped or cut.what is _What.BLANK:
            yield Send(b"", raw)
        elif cut.what is _What.STRAY:
            yield Rejected(raw, Reason.FRAMING, detail="bytes outside a document")
        elif cut.what is _What.BROKEN:
            yield Rejected(raw, Reason.INCOMPLETE, self._refuse(raw, now), "another document began within a document")
        elif cut.what is _What.LONG or len(raw) > self._max:
            detail = f"no end within {self._max} bytes; dropped up to the next document"
            yield Rejected(raw[: self._max], Reason.TOO_LONG, self._refuse(raw, now), detail)
            if raw[self._max :]:
                yield Send(b"", raw[self._max :])
        else:
            yield from self._whole(raw, now)

    def _whole(self, raw: bytes, now: float) -> Iterator[Event]:
        events = list(self._inner.receive(raw, now))
        if not any(event.raw for event in events):
            yield Send(b"", raw)
        yield from events

    def _unfinished(self, why: str, now: float | None) -> Iterator[Event]:
        raw, dropped, begun = bytes(self._held), self._dropping, self._held.startswith(b"<")
        self._held.clear()
        self._reset()
        self._due = None
        if not raw:
            return
        if dropped:
            yield Send(b"", raw)
        elif begun:
            yield Rejected(raw, Reason.INCOMPLETE, b"" if now is None else self._refuse(raw, now), why)
        else:
            yield Rejected(raw, Reason.FRAMING, detail="bytes outside a document")

    # ---- the scanner

    def _next(self) -> _Cut | None:
        """The next cut in what is held; None: more bytes are needed."""
        steps: dict[_In, Callable[[], _Cut | None]] = {
            _In.TEXT: self._text,
            _In.OPEN: self._open,
            _In.TAG: self._tag,
            _In.QUOTES: self._quotes,
            _In.SECTION: self._section,
        }
        while True:
            before = (self._in, self._at)
            cut = steps[self._in]()
            if cut is not None:
                return cut
            if (self._in, self._at) == before:
                return self._full()

    def _full(self) -> _Cut | None:
        """Nothing ends yet: is it too much? While a document is dropped everything scanned goes at once."""
        held = len(self._held)
        if self._in is _In.OPEN:
            return None
        if self._dropping:
            return _Cut(_What.LONG, held - _TAIL) if held > _TAIL else None
        if held < self._max + _TAIL:
            return None
        return _Cut(_What.LONG if self._begun or self._held.startswith(b"<") else _What.STRAY, self._max)

    def _text(self) -> _Cut | None:
        held = self._held
        if not self._begun and not self._at and not self._dropping and (blank := _BLANK.match(held)):
            return _Cut(_What.BLANK, blank.end())
        at = held.find(b"<", self._at)
        if at < 0:
            self._at = len(held)
            return None
        if at and not self._begun and not self._dropping:
            return _Cut(_What.STRAY, at)
        self._token = self._at = at
        self._in = _In.OPEN
        return None

    def _open(self) -> _Cut | None:
        """What a "<" begins."""
        held, token = self._held, self._token
        head = bytes(held[token : token + 9])
        if head.startswith(b"<?"):
            return self._instruction(head)
        for opening, ending in _SECTIONS:
            if head.startswith(opening):
                return self._enter_section(len(opening), ending)
            if opening.startswith(head):
                return None
        self._closing = head.startswith(b"</")
        if head in (b"<", b"</"):
            return None
        name = _NAME.match(held, token + 1 + self._closing)
        if name is None and not head.startswith(b"<!"):
            self._in, self._at = _In.TEXT, token + 1
            return None
        if name and name.end() == len(held) and len(name[0]) < LONGEST_NAME:
            return None
        self._name = name[0] if name else b""
        if self._root and not self._closing and self._begins and self._begins.fullmatch(self._name):
            return _Cut(_What.BROKEN, token)
        self._in, self._at = _In.TAG, name.end() if name else token + 2
        return None

    def _instruction(self, head: bytes) -> _Cut | None:
        within = self._begun or self._dropping
        if within and len(head) < 6 and b"<?xml ".startswith(head):
            return None
        if within and _DECLARATION.match(head):
            return _Cut(_What.BROKEN, self._token)
        return self._enter_section(2, b"?>")

    def _enter_section(self, size: int, ending: bytes) -> _Cut | None:
        self._in, self._at, self._ending = _In.SECTION, self._token + size, ending
        return None

    def _section(self) -> _Cut | None:
        end = self._held.find(self._ending, self._at)
        if end < 0:
            self._at = max(self._at, len(self._held) - _TAIL)
        else:
            self._in, self._at, self._begun = _In.TEXT, end + len(self._ending), True
        return None

    def _tag(self) -> _Cut | None:
        found = _IN_TAG.search(self._held, self._at)
        if found is None:
            self._at = len(self._held)
            return None
        if found[0] == b"<":
            return self._broken_tag(found.start())
        self._at = found.end()
        if found[0] == b">":
            return self._tag_ends(found.end())
        self._in, self._quote = _In.QUOTES, found[0]
        return None

    def _quotes(self) -> _Cut | None:
        found = _IN_QUOTES[self._quote].search(self._held, self._at)
        if found is None:
            self._at = len(self._held)
            return None
        if found[0] == b"<":  # never in a value: a quotation mark was lost
            return self._broken_tag(found.start())
        self._in, self._at = _In.TAG, found.end()
        return None

    def _broken_tag(self, at: int) -> _Cut | None:
        if not self._root and self._name:
            return _Cut(_What.STRAY, at)
        self._in, self._at, self._begun = _In.TEXT, at, True  # a document type holds declarations
        return None

    def _tag_ends(self, end: int) -> _Cut | None:
        self._in, self._begun = _In.TEXT, True
        if not self._name:  # a declaration: <!DOCTYPE ...>
            return None
        if not self._root:
            if self._closing:
                return _Cut(_What.STRAY, end)
            self._root = self._name
        if self._name == self._root:
            empty = self._held[end - 2 : end] == b"/>"
            self._depth += -1 if self._closing else 0 if empty else 1
            if self._depth <= 0:
                return _Cut(_What.WHOLE, end)
        return None


class DocumentsSpeaker(Documents):
    """The same around an exchange that has documents of its own to deliver. A `Speaker`."""

    def __init__(self, inner: Speaker, *, begins: re.Pattern[bytes] | None = None) -> None:
        super().__init__(inner, begins=begins)
        self._speaker = inner

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """Queue one document."""
        return self._speaker.offer(message, now)

    @property
    def delivered(self) -> int:
        """How many offered documents inner knows acknowledged."""
        return self._speaker.delivered

    @property
    def confirms(self) -> bool:
        """Whether `delivered` rests on the peer's word."""
        return self._speaker.confirms

    @property
    def idle(self) -> bool:
        """True when nothing offered still waits."""
        return self._speaker.idle
