"""Sparkplug B 3.0: topics and payloads, read within bounds and written.

Facts from the Sparkplug 3.0 specification, chapters 4 (topics) and 6 (payloads), and its protobuf definition. What a
value means depends on its datatype, which DATA messages leave to the birth: `drivers.kit.sparkplug_values`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from drivers.kit.exchange import DecodeError
from drivers.kit.observation import NOTHING, Json
from drivers.kit.protobuf import Field, bytes_of, fields, number_of, put_bytes, put_number, text_of
from drivers.kit.sparkplug_values import HOLDERS, Holder, Type, scalar

NAMESPACE: Final = "spBv1.0"
BDSEQ, REBIRTH = "bdSeq", "Node Control/Rebirth"
COMPRESSED: Final = "SPBV1.0_COMPRESSED"
MOST_UNPACKED: Final = 4 * 1024 * 1024  # bytes of a compressed payload
MOST_METRICS: Final = 20_000  # of one payload, members of templates included
DEEPEST: Final = 8  # templates within templates
MOST_PROPERTIES: Final = 100


class Verb(StrEnum):
    NBIRTH, NDEATH, NDATA, NCMD = "NBIRTH", "NDEATH", "NDATA", "NCMD"
    DBIRTH, DDEATH, DDATA, DCMD = "DBIRTH", "DDEATH", "DDATA", "DCMD"
    STATE = "STATE"

    @property
    def of_device(self) -> bool:
        return self.value[0] == "D"

    @property
    def birth(self) -> bool:
        return self.value.endswith("BIRTH")

    @property
    def data(self) -> bool:
        return self.value.endswith("DATA")

    @property
    def command(self) -> bool:
        return self.value.endswith("CMD")


_VERBS: Final = {str(verb): verb for verb in Verb}


@dataclass(frozen=True, slots=True)
class Topic:
    """`spBv1.0/GROUP/VERB/NODE[/DEVICE]`; a host's STATE has its id as node and no group."""

    group: str
    verb: Verb
    node: str
    device: str = ""

    def __str__(self) -> str:
        if self.verb is Verb.STATE:
            return f"{NAMESPACE}/STATE/{self.node}"
        end = f"/{self.device}" if self.device else ""
        return f"{NAMESPACE}/{self.group}/{self.verb}/{self.node}{end}"


def topic(text: str) -> Topic | None:
    """A topic read; None where it is no Sparkplug topic. `STATE/HOST` is version 2.2's."""
    levels = text.split("/")
    if levels[0] == "STATE" and len(levels) == 2:
        levels = [NAMESPACE, *levels]
    if levels[0] != NAMESPACE:
        return None
    if len(levels) == 3 and levels[1] == "STATE" and levels[2]:
        return Topic("", Verb.STATE, levels[2])
    if len(levels) not in (4, 5) or levels[2] not in _VERBS or not all(levels[1:]):
        return None
    verb = _VERBS[levels[2]]
    if verb is Verb.STATE or verb.of_device != (len(levels) == 5):
        return None
    return Topic(levels[1], verb, levels[3], levels[4] if verb.of_device else "")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as sent. `held` is None where it carries no value."""

    name: str | None = None
    alias: int | None = None
    timestamp: int | None = None  # Unix milliseconds
    datatype: int = 0
    historical: bool = False
    transient: bool = False
    null: bool = False
    properties: Mapping[str, Json] = field(default_factory=lambda: NOTHING)
    about: Mapping[str, Json] = field(default_factory=lambda: NOTHING)  # its metadata
    holder: Holder | None = None
    held: Field | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    timestamp: int | None = None  # Unix milliseconds
    metrics: tuple[Metric, ...] = ()
    seq: int | None = None

    def named(self, name: str) -> Metric | None:
        """The first metric called so."""
        return next((metric for metric in self.metrics if metric.name == name), None)


def read(data: bytes) -> Payload:
    """A payload, unpacked where it is compressed. DecodeError where it is none."""
    found, uuid, body = _payload(data)
    if uuid != COMPRESSED:
        return found
    inner, *_ = _payload(_unpacked(body, found))
    seq = found.seq if inner.seq is None else inner.seq
    return Payload(inner.timestamp or found.timestamp, inner.metrics, seq)


def _payload(data: bytes) -> tuple[Payload, str, bytes]:
    timestamp, seq, uuid, body = None, None, "", b""
    metrics: list[Metric] = []
    for one in fields(data):
        match one[0]:
            case 1:
                timestamp = number_of(one)
            case 2:
                metrics.append(_metric(bytes_of(one)))
                if len(metrics) > MOST_METRICS:
                    raise DecodeError(f"more than {MOST_METRICS} metrics")
            case 3:
                seq = number_of(one)
            case 4:
                uuid = text_of(one)
            case 5:
                body = bytes_of(one)
    return Payload(timestamp, tuple(metrics), seq), uuid, body


def _unpacked(body: bytes, outer: Payload) -> bytes:
    algorithm = outer.named("algorithm")
    said = "DEFLATE"
    if algorithm is not None and algorithm.held is not None and algorithm.holder is Holder.STRING:
        said = text_of(algorithm.held)
    if said not in ("DEFLATE", "GZIP"):
        raise DecodeError(f"compressed by {said[:40]!r}, which is not known")
    unpack = zlib.decompressobj(wbits=31 if said == "GZIP" else 15)
    try:
        found = unpack.decompress(body, MOST_UNPACKED)
    except zlib.error as error:
        raise DecodeError(f"not {said}: {error}") from None
    if not unpack.eof:
        raise DecodeError(f"compressed, and cut short or longer than {MOST_UNPACKED} bytes")
    return found


def _metric(data: bytes) -> Metric:
    name, holder, held = None, None, None
    numbers: dict[int, int] = {}
    properties: Mapping[str, Json] = NOTHING
    about: Mapping[str, Json] = NOTHING
    for one in fields(data):
        number = one[0]
        if number == 1:
            name = text_of(one)
        elif 2 <= number <= 7:
            numbers[number] = number_of(one)
        elif number == 8:
            about = _metadata(bytes_of(one))
        elif number == 9:
            properties = property_set(bytes_of(one))
        elif 10 <= number <= 19:
            holder, held = HOLDERS[number - 10], one
    return Metric(
        name or None,
        numbers.get(2),
        numbers.get(3),
        numbers.get(4, 0) & 0xFFFFFFFF,
        bool(numbers.get(5)),
        bool(numbers.get(6)),
        bool(numbers.get(7)),
        properties,
        about,
        holder,
        held,
    )


_METADATA = {2: "content_type", 6: "file_type", 5: "file_name", 7: "md5", 8: "description"}


def _metadata(data: bytes) -> dict[str, Json]:
    return {_METADATA[one[0]]: text_of(one)[:500] for one in fields(data) if one[0] in _METADATA and one[2]}


def property_set(data: bytes) -> dict[str, Json]:
    """Scalar properties by name; sets within sets are left out. DecodeError where names and values are not as many."""
    names: list[str] = []
    found: list[Json] = []
    for one in fields(data):
        if one[0] == 1:
            names.append(text_of(one))
        elif one[0] == 2:
            datatype, holder, held = 0, None, None
            for part in fields(bytes_of(one)):
                if part[0] == 1:
                    datatype = number_of(part)
                elif 3 <= part[0] <= 8:
                    holder, held = HOLDERS[part[0] - 3], part
            found.append(scalar(holder, held, datatype).value if holder and held else None)
    if len(names) != len(found):
        raise DecodeError(f"a property set of {len(names)} names and {len(found)} values")
    return dict([pair for pair in zip(names, found, strict=True) if pair[1] is not None][:MOST_PROPERTIES])


# ---- metrics by their full name


@dataclass(frozen=True, slots=True)
class Known:
    """What a birth said of a metric."""

    name: str
    datatype: int
    unit: str = ""


Look = Callable[[int | None, str | None], Known | None]
"""What is known of a metric by its alias, or by its full name."""


def walk(metrics: tuple[Metric, ...], look: Look) -> Iterator[tuple[str | None, Metric, Known | None]]:
    """Every metric with its full name ("Freezer/Temperature" of a template's member) and what is known of it.

    The name is None where a metric goes by an alias that nobody knows. Definitions of templates are left out.
    """
    count = 0
    open_ = [(metric, "", 0) for metric in reversed(metrics)]
    while open_:
        metric, prefix, depth = open_.pop()
        count += 1
        if count > MOST_METRICS or depth > DEEPEST:
            raise DecodeError("templates within templates, too deep or too many")
        name = None if metric.name is None else prefix + metric.name
        known = look(metric.alias, name)
        name = name if name is not None or known is None else known.name
        if metric.holder is Holder.TEMPLATE and metric.held is not None and name is not None:
            members = _members(bytes_of(metric.held))
            inherited = [
                member if member.timestamp is not None else replace(member, timestamp=metric.timestamp)
                for member in members
            ]
            open_ += [(member, f"{name}/", depth + 1) for member in reversed(inherited)]
            continue
        yield name, metric, known


def _members(template: bytes) -> list[Metric]:
    members: list[Metric] = []
    for one in fields(template):
        if one[0] == 5 and number_of(one):
            return []  # a definition: defaults, nothing measured
        if one[0] == 2:
            members.append(_metric(bytes_of(one)))
    return members


# ---- writing


def write(timestamp: int | None, metrics: list[bytes], seq: int | None = None) -> bytes:
    """A payload of metrics that are written already."""
    head = b"" if timestamp is None else put_number(1, timestamp)
    return head + b"".join(put_bytes(2, one) for one in metrics) + (b"" if seq is None else put_number(3, seq))


def command(name: str, now: float) -> bytes:
    """An NCMD that sets a Boolean of the node: `Node Control/Rebirth`, say. `now` is Unix seconds."""
    at = max(0, int(now * 1000))
    metric = put_bytes(1, name) + put_number(3, at) + put_number(4, Type.BOOLEAN) + put_number(14, 1)
    return write(at, [metric])
