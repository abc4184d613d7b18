"""SenML (RFC 8428): packs of measurements in JSON or CBOR, over MQTT or as files."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from drivers.kit.declare import Driver, Evidence, Message, Options
from drivers.kit.exchange import DecodeError, Exchange, Speaker
from drivers.kit.observation import Draft, Json, Kind, Quality
from drivers.kit.payload import slug
from drivers.kit.printer import Printer
from drivers.kit.whole import Whole
from drivers.senml.pack import Record, resolve
from drivers.senml.units import QUANTITIES, UCUM

_DEVICE_ID = re.compile(r"[0-9a-fA-F-]{8,}|\d+|")


class SenmlOptions(Options):
    """Names are resolved ones: base name and name put together."""

    names: dict[str, Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]] = Field(default_factory=dict)
    """Resolved name -> quantity ("urn:dev:ow:10e2073a01080063:temp" = "temperature")."""
    naming: Literal["last", "full"] = "last"
    """Without an entry in `names`, the quantity is the name's last part, or the full name where a pack holds several
    that end alike; "full": the full name always."""
    base_name: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9\-:./_]*)?$")] = "sim/"
    """What a simulated device puts before its names."""


def host(options: SenmlOptions) -> Exchange:
    """The gateway's side: every payload is a pack."""
    return Whole()


def decode(message: Message, options: SenmlOptions) -> Iterator[Draft]:
    """One draft a record. DecodeError where RFC 8428 rejects the pack: then none of it is taken."""
    records = list(resolve(message.data))
    if not records:
        raise DecodeError("the pack holds no measurement")
    quantities = _quantities(records, options)
    for record in records:
        yield _draft(record, quantities[record.name], message.channel)


def _quantities(records: list[Record], options: SenmlOptions) -> dict[str, str]:
    """Resolved name -> quantity; names that would come out alike are told apart by the whole of them."""
    found: dict[str, str] = {}
    alike: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        if record.name not in found:
            found[record.name] = options.names.get(record.name) or _quantity(record, options)
            alike[found[record.name]].add(record.name)
    for names in alike.values():
        if len(names) > 1:
            found |= {name: slug(name) for name in names if name not in options.names}
    return found


def _quantity(record: Record, options: SenmlOptions) -> str:
    if options.naming == "full":
        return slug(record.name)
    last = re.split(r"[/:]", record.name)[-1]
    if _DEVICE_ID.fullmatch(last):
        return QUANTITIES.get(record.unit or "", "value")
    return slug(last)


def _draft(record: Record, quantity: str, topic: str) -> Draft:
    told: dict[str, Json] = {}
    if record.update is not None:
        told["update_time"] = record.update
    test, value, unit = record.name, record.value, UCUM.get(record.unit or "", record.unit)
    if not record.field:  # a sum alone: the value integrated over time
        test, quantity, value = f"{test}#sum", f"{quantity}-sum", record.sum
        unit = None if unit is None else f"{unit}.s"
    elif record.sum is not None:
        told["sum"] = record.sum
    if record.field == "vd":
        told["encoding"] = "base64url"
    quality, why = Quality.GOOD, None
    if isinstance(value, float) and not math.isfinite(value):
        quality, why, value = Quality.BAD, f"sent as {value}", None
    time = f"unix:{_plain(record.time)}" if record.absolute else None
    return Draft(
        kind=Kind.READING,
        test=test,
        quantity=quantity,
        value=value,
        unit=unit if record.field in ("v", "") else None,
        device_time=time,
        age=-record.time if time is None and record.time else None,
        identity=(topic, test, time, str(value)) if time is not None else (),
        quality=quality,
        quality_reason=why,
        attributes=told,
    )


def _plain(number: int | float) -> str:
    """Seconds without an exponent: 1.276020076001e+09 is "1276020076.001"."""
    return str(number) if isinstance(number, int) else f"{number:.6f}".rstrip("0").rstrip(".")


def instrument(options: SenmlOptions) -> Speaker:
    """A simulated device: publishes what it is offered."""
    return Printer()


def encode(drawn: Mapping[str, Any], options: SenmlOptions) -> bytes:
    """A pack of what was drawn, at its time."""
    names = {quantity: name for name, quantity in options.names.items()}
    units = {quantity: unit for unit, quantity in reversed(QUANTITIES.items())}
    pack: list[dict[str, Any]] = []
    for quantity, value in drawn.get("readings", {}).items():
        if value is None:
            continue
        record: dict[str, Any] = {"n": names.get(quantity, f"{options.base_name}{quantity}")}
        if isinstance(value, bool):
            record["vb"] = value
        elif isinstance(value, str):
            record["vs"] = value
        else:
            record["v"] = value
            if quantity in units:
                record["u"] = units[quantity]
        pack.append(record)
    base = {"bt": round(drawn["time"].timestamp(), 3)}
    return json.dumps([{**base, **pack[0]}, *pack[1:]] if pack else [base], separators=(",", ":")).encode()


DRIVER = Driver(
    name="senml",
    maker="any",
    summary="Devices that send SenML (RFC 8428) packs in JSON or CBOR.",
    links=("mqtt", "file"),
    options=SenmlOptions,
    quantities=(),
    host=host,
    decode=decode,
    instrument=instrument,
    encode=encode,
    model="incubator",
    evidence=Evidence.MANUAL,
    sources=("RFC 8428 Sensor Measurement Lists (SenML)", "RFC 8798 Additional Units for SenML"),
    example="""\
[[devices]]
id = "incubator-2"
driver = "senml"
link = { type = "mqtt", broker = "bench", topic = "lab/incubator-2/senml" }
names = { "urn:dev:ow:10e2073a01080063:temp" = "temperature" }
""",
)
