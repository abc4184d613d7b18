"""OPC UA variables by subscription, among them those of LADS devices (OPC 30500-1). Nothing is written or called.

The link delivers every change as one JSON object: `node` (as it was asked for, or the browse path it was found at),
`value`, `type`, `status` and `code` (the StatusCode by name and number), `source_time`, `server_time`, `unit` and
`unit_id` (EngineeringUnits), `overflow` where the server's queue had run over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from drivers.kit.declare import Driver, Evidence, Message, Quantity, Variant
from drivers.kit.exchange import DecodeError, Event, Exchange, Send, Speaker
from drivers.kit.observation import Draft, Json, Kind, Quality, Value
from drivers.kit.payload import finite, load
from drivers.kit.printer import Printer
from drivers.kit.whole import Whole
from drivers.opcua import lads
from drivers.opcua.options import NodeOption, OpcUaOptions
from drivers.opcua.units import CODES, UNECE, code

MAX_MESSAGE: Final = 1 << 20
MOST_TEXT: Final = 500
SUBSCRIBE: Final = b"subscribe"
BROWSE: Final = b"browse "
SEMANTICS: Final = 0x4000  # of a StatusCode: what the value means is not what it meant before


class Host(Whole):
    """Asks the link for its variables once it is open; then every change is a message."""

    def __init__(self, options: OpcUaOptions) -> None:
        super().__init__(max_message=MAX_MESSAGE)
        self._options = options
        self.deadline = 0.0

    def tick(self, now: float) -> Iterator[Event]:
        """What is to be subscribed: nodes by name, LADS devices by looking for them."""
        if self.deadline is None:
            return
        self.deadline = None
        options = self._options
        for node in options.nodes:
            yield Send(SUBSCRIBE, channel=node.node)
        if options.lads:
            request = json.dumps(lads.wanted(options.lads_device), separators=(",", ":"))
            yield Send(BROWSE + request.encode(), channel=lads.DEVICE_SET)


class Variables(Printer):
    """A simulated server: every line of a message is a variable's change, on its own channel."""

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """The changes of one message, in order."""
        self._delivered += 1
        for line in message.splitlines():
            yield Send(line, channel=_text(json.loads(line).get("node")) or "")


def decode(message: Message, options: OpcUaOptions) -> Iterator[Draft]:
    """One draft a change. DecodeError where it is no change, or of a node nobody declared."""
    change = load(message.data)
    if not isinstance(change, dict):
        raise DecodeError("no object: a change of a variable is one")
    node = _text(change.get("node")) or message.channel
    declared = next((one for one in options.nodes if one.node == node), None)
    quantity, kind = _named(node, declared, options)
    value, quality, why = _value(change, declared, node)
    attributes = _attributes(change)
    if isinstance(value, str) and value != change.get("value"):
        attributes["value_as_sent"] = _short(change.get("value"))
    sent = _text(change.get("source_time"))
    yield Draft(
        kind=kind,
        test=node,
        quantity=quantity,
        value=value,
        unit=_unit(change, declared) if not isinstance(value, bool) else None,
        code=declared.code if declared else None,
        device_time=sent or _text(change.get("server_time")),
        identity=(node, sent, json.dumps(change.get("value"), sort_keys=True), quality) if sent else _arrival(change),
        quality=quality,
        quality_reason=why,
        attributes=attributes,
    )


def _arrival(change: Mapping[str, Json]) -> tuple[str, ...]:
    """Without a time of the source: the server's, or nothing."""
    at = _text(change.get("server_time"))
    return (str(change.get("node")), "server", at, json.dumps(change.get("value"), sort_keys=True)) if at else ()


def _named(node: str, declared: NodeOption | None, options: OpcUaOptions) -> tuple[str, Kind]:
    if declared:
        return declared.quantity, declared.kind
    if options.lads:
        if node == lads.DEVICE_SET:
            return "device-set", Kind.STATUS
        if found := lads.named(node, options.lads_device):
            return found
    raise DecodeError(f"nobody declared the node {node[:200]!r}")


def _value(change: Mapping[str, Json], declared: NodeOption | None, node: str) -> tuple[Value, Quality, str | None]:
    """The value as sent or as its word, how good it is, and why not better."""
    quality, why = _status(change)
    value = change.get("value")
    if value is None:
        return None, Quality.BAD, why or "no value"
    if isinstance(value, dict | list):
        return _short(value), _worse(quality), "; ".join(filter(None, (why, "not a single value")))
    if not finite(value):
        return None, Quality.BAD, "; ".join(filter(None, (why, f"sent as {value}")))
    if declared and declared.map:
        word = declared.map.get(json.dumps(value) if not isinstance(value, str) else value)
        if word is None:
            return value, _worse(quality), "; ".join(filter(None, (why, "a value that `map` does not have")))
        return word, quality, why
    if declared is None and node.endswith("/DeviceHealth") and isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value < len(lads.HEALTH):
            return lads.HEALTH[value], quality, why
        return value, _worse(quality), "; ".join(filter(None, (why, "no DeviceHealth that is known")))
    return value, quality, why


def _worse(quality: Quality) -> Quality:
    return Quality.UNCERTAIN if quality is Quality.GOOD else quality


def _status(change: Mapping[str, Json]) -> tuple[Quality, str | None]:
    """A StatusCode's severity (OPC 10000-4, 7.39): its two highest bits; what is neither good nor uncertain is bad."""
    name, number = _text(change.get("status")), change.get("code")
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**32:
        quality = (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD, Quality.BAD)[number >> 30]
        if quality is Quality.GOOD and number & SEMANTICS:
            return Quality.UNCERTAIN, "its unit or range has just changed"
        if quality is not Quality.GOOD and (not name or name == "Good"):
            name = f"{name or 'status'} 0x{number:08X}"
    elif name:
        starts = {"Good": Quality.GOOD, "Uncertain": Quality.UNCERTAIN}
        quality = next((one for start, one in starts.items() if name.startswith(start)), Quality.BAD)
    else:
        return Quality.UNCERTAIN, "no status"
    return quality, None if quality is Quality.GOOD else name


def _unit(change: Mapping[str, Json], declared: NodeOption | None) -> str | None:
    if declared and declared.unit:
        return declared.unit
    sign, number = _text(change.get("unit")), change.get("unit_id")
    if sign:
        return sign
    if isinstance(number, int) and change.get("unit_namespace", UNECE) == UNECE:
        return CODES.get(code(number) or "")
    return None


def _attributes(change: Mapping[str, Json]) -> dict[str, Json]:
    found: dict[str, Json] = {"node": _short(change.get("node"))} if change.get("node") else {}
    if (status := _text(change.get("status"))) and status != "Good":
        found["status"] = status[:MOST_TEXT]
    if change.get("overflow") is True:
        found["overflow"] = True  # changes before this one are missing
    number = change.get("unit_id")
    if isinstance(number, int) and (unit := code(number)):
        found["unece"] = unit
    return found


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


def _short(value: Json) -> str:
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:MOST_TEXT]


def host(options: OpcUaOptions) -> Exchange:
    """The gateway's side: it says what is wanted, and every change is a message."""
    return Host(options)


def instrument(options: OpcUaOptions) -> Speaker:
    """A simulated server's changes."""
    return Variables()


def encode(drawn: Mapping[str, Any], options: OpcUaOptions) -> bytes:
    """A line for every declared variable that was drawn."""
    at = drawn["time"].isoformat().replace("+00:00", "Z")
    readings: Mapping[str, Any] = drawn.get("readings", {})
    lines = []
    for node in options.nodes:
        if node.quantity not in readings:
            continue
        value = readings[node.quantity]
        said = next((key for key, word in node.map.items() if word == value), None)
        change = {
            "node": node.node,
            "value": value if said is None else _as_number(said),
            "status": "Good",
            "code": 0,
            "source_time": at,
            "server_time": at,
        }
        lines.append(json.dumps(change | ({"unit": node.unit} if node.unit else {}), separators=(",", ":")))
    return "\n".join(lines).encode()


def _as_number(text: str) -> Json:
    try:
        found: Json = json.loads(text)
    except ValueError:
        return text
    return found


def observes(options: OpcUaOptions) -> tuple[Quantity, ...]:
    """The declared variables; what LADS devices have is known when they are there."""
    return tuple(
        Quantity(
            name=node.quantity,
            unit=node.unit,
            code=node.code,
            kind=node.kind,
            words=tuple(node.map.values()),
            field=node.node,
        )
        for node in options.nodes
    )


DRIVER = Driver(
    name="opcua",
    maker="any",
    summary="OPC UA servers: subscribed variables with status, time and unit; LADS devices by themselves. Reads only.",
    links=("opcua",),
    options=OpcUaOptions,
    quantities=(),
    host=host,
    decode=decode,
    instrument=instrument,
    encode=encode,
    observes=observes,
    variants=(
        Variant(
            name="lads",
            models=("OPC UA LADS devices (OPC 30500-1)",),
            options={"lads": True},
            note="functions of every functional unit below DeviceSet, device health, states of machines and covers",
        ),
    ),
    evidence=Evidence.MANUAL,
    sources=(
        "OPC 10000-4, Services: 7.11 DataValue, 7.39 StatusCode; OPC 10000-8, 5.6.3 EngineeringUnits",
        "OPC 10000-100, Devices: DeviceSet, DeviceHealthEnumeration",
        "OPC 30500-1, LADS; UA-Nodeset, LADS/Opc.Ua.LADS.NodeIds.csv",
    ),
    example="""\
[[devices]]
id = "incubator-2"
driver = "opcua"
link = { type = "opcua", url = "opc.tcp://10.20.0.30:4840" }
nodes = [
  { node = "nsu=http://maker.example/incubator/;s=Chamber.Temperature", quantity = "temperature", unit = "Cel" },
  { node = "/Incubator/Door", quantity = "door", map = { false = "closed", true = "open" } },
]
""",
)
