"""Meters, loggers and temperature monitors that speak SCPI or IEEE-488.2, asked by declared queries."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from drivers.kit.declare import Driver, Evidence, Identity, Message, Quantity
from drivers.kit.exchange import DecodeError, Reason, Speaker
from drivers.kit.observation import Draft, Kind, Quality
from drivers.kit.values import MOST_CHARACTERS, number
from drivers.scpi.conversation import ERROR, FAULT, IDN, NUMBER, Instrument, host, offered
from drivers.scpi.dialects import VARIANTS
from drivers.scpi.options import QueryOption, ScpiOptions

INFINITY, NAN = Decimal("9.9E37"), Decimal("9.91E37")  # SCPI-1999 volume 1, 7.2.1.4 and 7.2.1.5
CLASSES: Final = {"1": "command", "2": "execution", "3": "device", "4": "query"}  # -1xx to -4xx, 21.8
PARTS: Final = (("model", 1), ("serial-number", 2), ("software", 3))  # of *IDN?, IEEE 488.2 10.14


def decode(message: Message, options: ScpiOptions) -> Iterator[Draft]:
    """What one answer says: of `Message.channel`, its query. DecodeError where it is no answer to it."""
    try:
        text = message.data.decode("ascii").strip(" \t\r\n\0\x11\x13")
    except UnicodeDecodeError as error:
        raise DecodeError(f"not ASCII: {error.reason} at byte {error.start}", Reason.ENCODING) from None
    if not text:
        raise DecodeError("an empty answer")
    if message.channel == IDN:
        yield from _identity(text)
    elif message.channel == ERROR:
        yield from _error(text)
    else:
        queries = [query for query in options.queries if query.ask == message.channel]
        if not queries:
            raise DecodeError(f"{message.channel[:80]!r} is not among the declared queries", Reason.UNCLAIMED)
        for query in queries:
            yield _draft(_part(text, query), query)


def _identity(text: str) -> Iterator[Draft]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4:
        yield Draft(kind=Kind.STATUS, test=IDN, quantity="identity", value=text)
        return
    for name, place in PARTS:
        told = {"maker": parts[0]} if name == "model" else {}
        yield Draft(kind=Kind.STATUS, test=f"{IDN} {place + 1}", quantity=name, value=parts[place], attributes=told)


def _error(text: str) -> Iterator[Draft]:
    """An entry of the error queue; none where it is empty."""
    found = FAULT.fullmatch(text)
    if found is None:
        raise DecodeError(f"not an entry of an error queue: {text[:80]!r}")
    code = int(found[1])
    if not code:
        return
    kind = CLASSES.get(str(-code)[0]) if -500 < code < -99 else None
    yield Draft(
        kind=Kind.EVENT,
        test=ERROR,
        quantity="error",
        value=found[2],
        flags=(str(code),),
        attributes={"code": code, **({"class": kind} if kind else {})},
    )


def _part(text: str, query: QueryOption) -> str:
    """The text of one value. DecodeError where the answer has another form."""
    if query.pattern is not None:
        match = re.fullmatch(query.pattern, text)
        if match is None:
            raise DecodeError(f"does not match the pattern declared: {text[:80]!r}")
        text = (match[1] or "") if match.re.groups else text
    parts = text.split(",")
    if query.index is not None:
        if query.index > len(parts):
            raise DecodeError(f"{len(parts)} values where number {query.index} is declared")
        return parts[query.index - 1].strip()
    if len(parts) > 1 and all(NUMBER.fullmatch(part.strip()) for part in parts):
        raise DecodeError(f"{len(parts)} values. Declare which by `index`.")
    return text


def _draft(text: str, query: QueryOption) -> Draft:
    plain = text.strip('"').strip()
    if query.map is not None:
        known = plain in query.map
        why = None if known else f"what {plain[:40]!r} means is not declared"
        return _made(query, query.map.get(plain, plain), Quality.GOOD if known else Quality.UNCERTAIN, why)
    if len(plain) <= MOST_CHARACTERS and NUMBER.fullmatch(plain):
        return _number(plain, query)
    if query.kind == "reading" and number(plain) is None:
        why = "no number" if plain else "an empty answer"
        return _made(query, plain or None, Quality.UNCERTAIN if plain else Quality.BAD, why)
    return _made(query, plain or None, Quality.GOOD, None)


def _number(plain: str, query: QueryOption) -> Draft:
    """A number as sent, NR1, NR2 or NR3."""
    value = Decimal(plain)
    if abs(value) == INFINITY:
        flag = ">" if value > 0 else "<"
        return _made(query, None, Quality.BAD, f"{plain} is SCPI's infinity: out of range", (flag,))
    if value == NAN:
        return _made(query, None, Quality.BAD, f"{plain} is SCPI's not-a-number: nothing was measured")
    if any(value == Decimal(str(code)) for code in query.invalid):
        return _made(query, None, Quality.BAD, f"{plain} means that nothing was measured")
    if query.low is not None and value < Decimal(str(query.low)):
        return _made(query, plain, Quality.BAD, f"not plausible: below {query.low:g}")
    if query.high is not None and value > Decimal(str(query.high)):
        return _made(query, plain, Quality.BAD, f"not plausible: above {query.high:g}")
    return _made(query, plain, Quality.GOOD, None)


def _made(
    query: QueryOption, value: str | None, quality: Quality, why: str | None, flags: tuple[str, ...] = ()
) -> Draft:
    return Draft(
        kind=Kind(query.kind),
        test=query.ask if query.index is None else f"{query.ask} {query.index}",
        quantity=query.quantity,
        value=value,
        unit=query.unit,
        quality=quality,
        quality_reason=why,
        flags=flags,
    )


def observes(options: ScpiOptions) -> tuple[Quantity, ...]:
    """What the configuration declares."""
    return tuple(
        Quantity(
            name=query.quantity,
            unit=query.unit,
            kind=Kind(query.kind),
            low=query.low,
            high=query.high,
            step=0.001,
            words=tuple(query.map.values()) if query.map else (),
            field=query.ask,
        )
        for query in options.queries
    )


def instrument(options: ScpiOptions) -> Speaker:
    """A simulated instrument."""
    return Instrument(options)


def encode(drawn: Mapping[str, Any], options: ScpiOptions) -> bytes:
    """The answers to every declared query."""
    return offered(drawn["readings"], options.queries)


DRIVER = Driver(
    name="scpi",
    maker="any",
    summary="Meters, loggers and temperature monitors that speak SCPI or IEEE-488.2, asked by declared queries.",
    links=("tcp", "serial"),
    options=ScpiOptions,
    quantities=(),
    host=host,
    decode=decode,
    instrument=instrument,
    encode=encode,
    observes=observes,
    variants=VARIANTS,
    identity=lambda _options: Identity.ARRIVAL,
    link_settings={"baudrate": 9600, "bytesize": 8, "parity": "none", "stopbits": 1},
    evidence=Evidence.MANUAL,
    sources=(
        "SCPI Consortium, SCPI-1999 Syntax and Style, Command Reference",
        "IEEE 488.2-1992, Standard Codes, Formats, Protocols and Common Commands",
    ),
    example="""\
[[devices]]
id = "meter-1"
driver = "scpi"
link = { type = "tcp", host = "192.168.1.20", port = 5025 }
poll = "10s"
queries = [
  { ask = "MEAS:TEMP? TC,K", quantity = "temperature", unit = "Cel", low = -100.0, high = 200.0 },
]
""",
)
