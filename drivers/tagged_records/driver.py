"""Instruments whose fields carry their names: which tag says what is declared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from drivers.kit.declare import Driver, Evidence, Identity, Message
from drivers.kit.exchange import DecodeError, Exchange, Reason, Speaker
from drivers.kit.facts import Item, as_sent, drawn_facts, make
from drivers.kit.observation import Draft, Json, Kind
from drivers.kit.pages import Paged, Pages, crc16
from drivers.kit.printed import ANY_RECORDS, believed, enclose, repeated, texts
from drivers.kit.printed import host as listening
from drivers.kit.printed import instrument as printing
from drivers.kit.regular import compiled
from drivers.tagged_records.options import Group, TaggedRecordsOptions
from drivers.tagged_records.variants import VARIANTS

MOST_FIELDS: Final = 5000  # of one message
MOST_TEXT: Final = 200  # characters of a field that is kept as an attribute

Field = tuple[str, str]  # a tag and what it says


def host(options: TaggedRecordsOptions) -> Exchange:
    """The gateway's side: it listens, and acknowledges where that is declared."""
    page = options.page
    if page is None:
        return listening(options)
    return Pages(
        re.compile(page.last.encode("latin-1")),
        check=page.wrong,
        says=page.answer,
        reply=f"{page.kept}\r".encode() if page.kept else b"",
        refusal=f"{page.refused}\r".encode() if page.refused else b"",
        max_page=options.longest,
        quiet=options.quiet,
    )


def decode(message: Message, options: TaggedRecordsOptions) -> Iterator[Draft]:
    """A draft a result. DecodeError where a field has no tag, or the message is of no declared kind."""
    for text in _texts(message, options):
        told, fields = _fields(text, options)
        if not _wanted(told, fields, options):
            continue
        yield from believed(message, _drafts(told, fields, options))


def _texts(message: Message, options: TaggedRecordsOptions) -> list[str]:
    """The messages' texts. Errors: DecodeError."""
    if options.page is None:
        return texts(message, options)
    try:
        return [message.data.decode(options.encoding).strip("\r\n\0")]
    except UnicodeDecodeError as error:
        what = f"not {options.encoding}: {error.reason} at byte {error.start}. Declare `encoding`."
        raise DecodeError(what, Reason.ENCODING) from None


def _fields(text: str, options: TaggedRecordsOptions) -> tuple[dict[str, str], list[Field]]:
    """What the head says, and the fields. Errors: DecodeError."""
    told: dict[str, str] = {}
    if options.folded:
        text = text.replace(options.folded, "")
    if options.head:
        match = compiled(options.head).match(text)
        if match is None:
            raise DecodeError(f"it does not begin as declared: {text[:40]!r}")
        told = {name: said for name, said in match.groupdict().items() if said is not None}
        text = text[match.end() :]
    fields = []
    for piece in re.split(f"[{re.escape(options.separators)}]+", text):
        if not piece.strip(" \0\x1d"):
            continue
        fields.append(_field(piece, options))
        if len(fields) > MOST_FIELDS:
            raise DecodeError(f"more than {MOST_FIELDS} fields")
    return told, fields


def _field(piece: str, options: TaggedRecordsOptions) -> Field:
    if options.tag_width:
        tag, said = piece[: options.tag_width], piece[options.tag_width :]
        if not re.fullmatch(r"[A-Za-z0-9]+", tag):
            raise DecodeError(f"{piece[:20]!r} has no tag")
        return tag, said
    tag, _, said = piece.partition(options.tag_end)
    return tag.strip(), said


def _wanted(told: dict[str, str], fields: list[Field], options: TaggedRecordsOptions) -> bool:
    """Whether the message is of a kind that has results. DecodeError where its kind is not known."""
    if not options.results:
        return True
    kind = told.get("frame", told.get("kind", "")).strip()
    if options.kind_tag:
        kind = next((said.strip() for tag, said in fields if tag == options.kind_tag), "")
    if kind in options.ignored:
        return False
    if kind not in options.results:
        raise DecodeError(f"{kind[:20]!r} is no kind of message that is declared")
    return True


def _drafts(told: dict[str, str], fields: list[Field], options: TaggedRecordsOptions) -> Iterator[Draft]:
    begins = {group.begins: group for group in options.groups}
    grouped = {tag for group in options.groups for tag in group.names}
    extra: dict[str, Json] = {}
    runs: list[tuple[Group, dict[str, str]]] = []
    singles: list[dict[str, str]] = []
    ended = False
    for tag, said in fields:
        ended = ended or bool(options.singles and options.singles.until and _is(options.singles.until, tag))
        if tag in begins:
            runs.append((begins[tag], dict(told)))
        name = runs[-1][0].names.get(tag) if runs else None
        if name:
            runs[-1][1][name] = said
        if tag in options.facts:  # of what follows; of the result that is being told only where it is a tag of it
            told[options.facts[tag]] = said
            if name:
                runs[-1][1][options.facts[tag]] = said
        elif name:
            continue
        elif (found := _single(tag, said, options)) is not None and not ended:
            singles.append(found)
        elif tag not in options.hidden and tag not in grouped and said.strip() and not ended:
            extra.setdefault(tag, said.strip()[:MOST_TEXT])
    for group, facts in runs:
        yield from _made(facts, group.item, options, extra)
    for facts in singles:
        yield from _made({**told, **facts}, options.singles.item if options.singles else Item(), options, extra)


def _is(pattern: str, text: str) -> bool:
    return compiled(pattern).fullmatch(text[:MOST_TEXT]) is not None


def _single(tag: str, said: str, options: TaggedRecordsOptions) -> dict[str, str] | None:
    """The facts of a field that is a result; None where it is none. Errors: DecodeError."""
    single = options.singles
    if single is None or not _is(single.tags, tag):
        return None
    if single.width and len(said) != single.width:
        raise DecodeError(f"{len(said)} characters behind {tag[:20]!r} where {single.width} are declared")
    pieces = [said]
    if options.parts_end:
        pieces = said.split(None if options.parts_end == " " else options.parts_end)
    if len(pieces) < single.least:
        return None
    facts = {"test": tag}
    for name, piece in zip(single.parts, pieces, strict=False):
        if name:
            plain = piece.strip()
            facts[name] = f"{facts[name]} {plain}".strip() if name == "flags" and name in facts else plain
    return facts if _is(single.values, facts.get("value", "")) else None


def _made(
    facts: dict[str, str], item: Item, options: TaggedRecordsOptions, extra: Mapping[str, Json]
) -> Iterator[Draft]:
    known = options.by_test.get(facts.get("test", "").strip())
    if known is not None:
        item = known.model_copy(update={"kind": item.kind, "nothing": {**item.nothing, **known.nothing},
                                        "attached": known.attached or item.attached,
                                        "comma": known.comma or item.comma})  # fmt: skip
    draft = make(facts, item, options, extra)
    if draft is not None:
        yield draft


# ---- the instrument's side


def instrument(options: TaggedRecordsOptions) -> Speaker:
    """A simulated instrument's side."""
    if options.page is not None and options.page.kept:
        return Paged(options.page.kept.encode(), options.page.refused.encode())
    return printing(options)


def encode(drawn: Mapping[str, Any], options: TaggedRecordsOptions) -> bytes:
    """One message of all results."""
    text = _text(drawn, list(drawn.get("results", ())), options) + options.print_end
    if options.folded and options.print_width:
        width = options.print_width - 1
        text = "".join(options.folded + text[at : at + width] for at in range(0, len(text), width))
    if options.page is None:
        return enclose(text, options)
    data = text.encode(options.encoding, "replace")
    return data + f"END_RESULT;{crc16(data)}\r".encode()


def _text(drawn: Mapping[str, Any], results: list[Mapping[str, Any]], options: TaggedRecordsOptions) -> str:
    told = drawn_facts(drawn)
    ending = options.separators[0]
    said = [(tag, _printed(name, told, options)) for tag, name in options.facts.items()]
    for result in results:
        item = options.by_test.get(str(result.get("test")), Item(kind=Kind.RESULT))
        facts = {**told, **result, "value": as_sent(result.get("value"), item), "call": result.get("interpretation")}
        facts["status"] = next(iter(options.statuses), "")
        if options.singles is None:
            group = options.groups[-1] if not item.words else options.groups[0]
            said += [(tag, _printed(name, facts, options)) for tag, name in group.names.items()]
        else:
            parts = [_printed(name or "", facts, options) for name in options.singles.parts]
            said.append((str(result.get("test")), options.parts_end.join(parts).rjust(options.singles.width)))
    return options.print + "".join(f"{tag}{options.tag_end}{text}{ending}" for tag, text in said)


def _printed(name: str, facts: Mapping[str, Any], options: TaggedRecordsOptions) -> str:
    fact = facts.get(name)
    if fact is None or isinstance(fact, list | tuple):
        return ""
    if name in ("date", "time"):
        return str(fact.strftime(options.print_time if name == "time" else options.print_date))
    return str(fact)


def _identity(options: TaggedRecordsOptions) -> Identity:
    names = {*options.facts.values(), *(name for group in options.groups for name in group.names.values())}
    return repeated(names, acknowledged=options.acknowledge or (options.page is not None and bool(options.page.kept)))


DRIVER = Driver(
    name="tagged-records",
    summary="Instruments that send fields with their names, as `rtTSH|qn1.23|` or `WBC;6.9;*`.",
    **ANY_RECORDS,
    options=TaggedRecordsOptions,
    observes=TaggedRecordsOptions.observed,
    host=host,
    decode=decode,
    instrument=instrument,
    encode=encode,
    variants=VARIANTS,
    identity=_identity,
    evidence=Evidence.RECORDING,
    recordings=("github.com/senaite/senaite.astm src/senaite/astm/tests/data/mini_vidas.txt",),
    sources=("bioMerieux, VIDAS PC user's manual, chapter 10: Bidirectional Computer Interface",),
    example="""\
[[devices]]
id = "reader-1"
driver = "tagged-records"
link = { type = "serial", port = "/dev/serial/by-id/usb-FTDI_FT232R-if00-port0", baudrate = 9600 }
time_format = "dmy"
framing = "blocks"
start = "{"
end = "}"
separators = ","
tag_width = 0
tag_end = "="
facts = { ID = "specimen", D = "date", T = "time" }
groups = [ { begins = "TEST", names = { TEST = "test", VAL = "value", U = "unit" } } ]
analytes = [ { test = "CRP", quantity = "crp", unit = "mg/L", low = 0.5, high = 200.0, step = 0.1 } ]
""",
)
