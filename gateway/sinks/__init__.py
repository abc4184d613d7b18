"""Sinks: readers of the journal that deliver observations to the outside, each at its own pace."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.journal.store import Journal
    from gateway.links.options import BrokerOptions
    from gateway.sinks.options import SinkOptions
    from gateway.sinks.state import Sink


def build(options: SinkOptions, journal: Journal, site: str, brokers: Iterable[BrokerOptions]) -> Sink:
    """The sink a `[[sinks]]` table asks for. What it needs is imported here, when it is configured.

    Errors: StopIteration (no such broker: the configuration has checked that).
    """
    if options.type == "influxdb":
        from gateway.sinks.influxdb import InfluxSink

        return InfluxSink(options, journal, site)
    if options.type == "mqtt":
        from gateway.sinks.mqtt import MqttSink

        broker = next(broker for broker in brokers if broker.id == options.broker)
        return MqttSink(options, broker, journal, site)
    from gateway.sinks.ndjson import NdjsonSink

    return NdjsonSink(options, journal)
