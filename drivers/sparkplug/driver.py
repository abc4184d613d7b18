"""Sparkplug B 3.0 over MQTT, as host and as (simulated) edge node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drivers.kit.declare import Driver, Evidence, Message, Quantity, Variant
from drivers.kit.exchange import Exchange, Speaker
from drivers.kit.observation import Draft
from drivers.kit.sparkplug import write
from drivers.kit.sparkplug_values import Type, put_metric
from drivers.sparkplug.host import Host
from drivers.sparkplug.node import TYPES, EdgeNode
from drivers.sparkplug.options import SparkplugOptions
from drivers.sparkplug.read import drafts


def host(options: SparkplugOptions) -> Exchange:
    """The gateway's side: it follows the nodes and asks for births it has missed."""
    return Host(options)


def decode(message: Message, options: SparkplugOptions) -> Iterator[Draft]:
    """One draft a metric; births and deaths are statuses. DecodeError where a metric goes by an unknown alias."""
    return drafts(message, options)


def instrument(options: SparkplugOptions) -> Speaker:
    """A simulated edge node."""
    return EdgeNode(options)


def encode(drawn: Mapping[str, Any], options: SparkplugOptions) -> bytes:
    """A payload whose metrics have names and datatypes: the node makes births and data of it."""
    at = int(drawn["time"].timestamp() * 1000)
    declared = {metric.quantity: metric for metric in options.metrics}
    metrics = []
    for quantity, value in drawn.get("readings", {}).items():
        option = declared.get(quantity)
        name = option.name if option else quantity.replace("-", " ").title()
        datatype = TYPES[option.datatype] if option and option.datatype else _type(value)
        if datatype in (Type.FLOAT, Type.DOUBLE) and isinstance(value, str):
            value = float(value)
        metrics.append(put_metric(name, datatype, value, at, unit=(option and option.unit) or ""))
    return write(at, metrics)


def _type(value: Any) -> Type:
    kinds = {bool: Type.BOOLEAN, int: Type.INT64, float: Type.DOUBLE}
    return kinds.get(type(value), Type.STRING)


def observes(options: SparkplugOptions) -> tuple[Quantity, ...]:
    """The metrics the configuration names."""
    return tuple(
        Quantity(name=metric.quantity, unit=metric.unit, code=metric.code, kind=metric.kind, field=metric.name)
        for metric in options.metrics
    )


DRIVER = Driver(
    name="sparkplug",
    maker="any",
    summary="Sparkplug B 3.0 edge nodes and their devices: births, data by alias, deaths; asks for births it missed.",
    links=("mqtt",),
    options=SparkplugOptions,
    quantities=(),
    host=host,
    decode=decode,
    instrument=instrument,
    encode=encode,
    model="freezer",
    observes=observes,
    variants=(
        Variant(
            name="ignition",
            models=("Ignition with Cirrus Link MQTT Transmission",),
            note="units from the tag property engUnit; members of UDTs by their path",
        ),
        Variant(name="neuron", models=("EMQX Neuron",), note="the Sparkplug B northbound application"),
    ),
    evidence=Evidence.MANUAL,
    sources=(
        "Eclipse Sparkplug Specification 3.0, chapters 4 (topics), 5 (operational behavior), 6 (payloads)",
        "Eclipse Tahu, sparkplug_b.proto",
        "docs.chariot.io, MQTT Transmission: messages published; docs.emqx.com, Neuron: Sparkplug B",
    ),
    example="""\
[[devices]]
id = "freezer-3"
driver = "sparkplug"
link = { type = "mqtt", broker = "bench", topic = "spBv1.0/lab/#" }
group = "lab"
node = "edge-1"
device = "freezer-3"
metrics = [ { name = "Temperature", quantity = "temperature", unit = "Cel" } ]
""",
)
