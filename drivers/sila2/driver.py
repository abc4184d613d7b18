"""SiLA 2 properties by subscription, or asked for where they cannot be subscribed. No command is ever sent.

The link delivers every value as one JSON object: `property` (as it was asked for, "FEATURE/PROPERTY"), `id` (the fully
qualified one), `value`, and what the feature's definition says of it: `type`, `unit`, `constraints`, of a structure its
`elements`. Where there is no value, `error` says why. Nothing in SiLA says when a property had its value.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.kit.declare import Driver, Evidence, Identity, Message, Quantity
from drivers.kit.exchange import DecodeError, Event, Exchange, Send, Speaker
from drivers.kit.observation import Draft, Json, Quality, Value
from drivers.kit.payload import finite, load, slug
from drivers.kit.printer import Printer
from drivers.kit.whole import Whole
from drivers.sila2.options import PropertyOption, SilaOptions, channel

MAX_MESSAGE: Final = 1 << 20
MOST_TEXT: Final = 500
BROKEN: Final[Mapping[str, Callable[[float, float], bool]]] = MappingProxyType(
    {
        "MinimalInclusive": operator.lt,
        "MinimalExclusive": operator.le,
        "MaximalInclusive": operator.gt,
        "MaximalExclusive": operator.ge,
    }
)


class Host(Whole):
    """Asks the link for its properties once it is open; then every value is a message."""

    def __init__(self, options: SilaOptions) -> None:
        super().__init__(max_message=MAX_MESSAGE)
        self._options = options
        self.deadline = 0.0

    def tick(self, now: float) -> Iterator[Event]:
        """What is to be subscribed, or asked for so often."""
        if self.deadline is None:
            return
        self.deadline = None
        for one in self._options.properties:
            yield Send(b"subscribe %g" % one.period, channel=channel(one))


class Properties(Printer):
    """A simulated server: every line of a message is a property's value, on its own channel."""

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """The values of one message, in order."""
        self._delivered += 1
        for line in message.splitlines():
            yield Send(line, channel=json.loads(line)["property"])


def decode(message: Message, options: SilaOptions) -> Iterator[Draft]:
    """One draft a value, of a structure one an element. DecodeError where nobody declared the property."""
    told = load(message.data)
    if not isinstance(told, dict):
        raise DecodeError("no object: a property's value is one")
    name = _text(told.get("property")) or message.channel
    declared = next((one for one in options.properties if channel(one) == name), None)
    if declared is None:
        raise DecodeError(f"nobody declared the property {name[:200]!r}")
    value, elements = told.get("value"), told.get("elements")
    if not isinstance(value, dict) or not isinstance(elements, dict):
        yield _draft(declared, name, declared.quantity, value, told)
        return
    for part, inner in list(value.items())[:100]:
        described = elements.get(part)
        more = described if isinstance(described, dict) else {}
        yield _draft(declared, f"{name}/{part}", f"{declared.quantity}-{slug(part)}", inner, more)


def _draft(declared: PropertyOption, test: str, quantity: str, sent: Json, told: Mapping[str, Json]) -> Draft:
    value, quality, why = _value(sent, told)
    unit = declared.unit or _text(told.get("unit"))
    return Draft(
        kind=declared.kind,
        test=test,
        quantity=quantity,
        value=value,
        unit=unit if not isinstance(value, bool) else None,
        code=declared.code,
        identity=(),
        quality=quality,
        quality_reason=why,
        attributes={"property": _text(told.get("id")) or test},
    )


def _value(sent: Json, told: Mapping[str, Json]) -> tuple[Value, Quality, str | None]:
    """The value as sent, how good it is, and why not better."""
    if sent is None:
        return None, Quality.BAD, (_text(told.get("error")) or "no value")[:MOST_TEXT]
    if isinstance(sent, dict | list):
        return json.dumps(sent, ensure_ascii=False)[:MOST_TEXT], Quality.UNCERTAIN, "not a single value"
    if not finite(sent):
        return None, Quality.BAD, f"sent as {sent}"
    constraints = told.get("constraints")
    if isinstance(constraints, dict) and isinstance(sent, int | float) and (why := _outside(sent, constraints)):
        return sent, Quality.UNCERTAIN, why
    return sent, Quality.GOOD, None


def _outside(value: float, constraints: Mapping[str, Json]) -> str | None:
    """What the feature promised of the value and does not hold."""
    for name, broken in BROKEN.items():
        said = constraints.get(name)
        try:
            limit = float(said) if isinstance(said, str) else None
        except ValueError:
            continue
        if limit is not None and broken(value, limit):
            return f"outside what its feature allows: {name} {said}"
    return None


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


def host(options: SilaOptions) -> Exchange:
    """The gateway's side: it says what is wanted, and every value is a message."""
    return Host(options)


def instrument(options: SilaOptions) -> Speaker:
    """A simulated server's values."""
    return Properties()


def encode(drawn: Mapping[str, Any], options: SilaOptions) -> bytes:
    """A line for every declared property that was drawn."""
    readings: Mapping[str, Any] = drawn.get("readings", {})
    kinds = {bool: "Boolean", int: "Integer", float: "Real"}
    lines = []
    for one in options.properties:
        if one.quantity in readings:
            value = readings[one.quantity]
            told = {"property": channel(one), "value": value, "type": kinds.get(type(value), "String")}
            lines.append(json.dumps(told | ({"unit": one.unit} if one.unit else {}), separators=(",", ":")))
    return "\n".join(lines).encode()


def observes(options: SilaOptions) -> tuple[Quantity, ...]:
    """The declared properties."""
    return tuple(
        Quantity(name=one.quantity, unit=one.unit, code=one.code, kind=one.kind, field=channel(one))
        for one in options.properties
    )


DRIVER = Driver(
    name="sila2",
    maker="any",
    summary="SiLA 2 servers: observable properties subscribed, others polled; units from their features. Reads only.",
    links=("sila",),
    options=SilaOptions,
    quantities=(),
    host=host,
    decode=decode,
    instrument=instrument,
    encode=encode,
    observes=observes,
    identity=lambda _options: Identity.ARRIVAL,
    evidence=Evidence.MANUAL,
    sources=(
        "SiLA 2 Part (A) 1.1: properties, constraints, SiLA Service",
        "SiLA 2 Part (B) 1.1: mapping to gRPC and Protocol Buffers",
    ),
    example="""\
[[devices]]
id = "incubator-4"
driver = "sila2"
link = { type = "sila", host = "10.20.0.40", port = 50052, root_certificate = "/etc/assaygate/incubator-4.pem" }
properties = [
  { feature = "TemperatureController", property = "CurrentTemperature", quantity = "temperature", unit = "K" },
]
""",
)
