"""Prometheus metrics, read from the running parts when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from gateway.pulse import SIGNS

if TYPE_CHECKING:
    from gateway.views import AppViews
    from gateway.web.queries import Standing


class GatewayMetrics(Collector):
    """One scrape's worth of the gateway."""

    def __init__(self, views: AppViews, standing: Standing) -> None:
        self._views, self._standing = views, standing

    def collect(self) -> Iterator[Metric]:
        journal = self._views.journal
        yield CounterMetricFamily("assaygate_journal_commits", "Commits since start", journal.commits)
        yield CounterMetricFamily("assaygate_journal_commit_seconds", "Time spent committing", journal.commit_seconds)
        yield GaugeMetricFamily("assaygate_journal_failing", "1 while nothing can be committed", bool(journal.trouble))
        yield GaugeMetricFamily("assaygate_journal_raw_id", "Last raw row that ends a message", journal.raws.at)
        yield GaugeMetricFamily("assaygate_journal_seq", "Last observation", journal.observations.at)
        yield GaugeMetricFamily("assaygate_quarantined", "Messages not understood", self._standing.quarantined)
        cursors = GaugeMetricFamily("assaygate_cursor", "How far a reader of the journal has come", labels=("reader",))
        for name, seq in self._standing.cursors.items():
            cursors.add_metric([name], seq)
        yield cursors
        yield from self._devices()
        yield from self._sinks()
        for name, value in self._views.signs.items():
            yield GaugeMetricFamily(SIGNS[name].metric, SIGNS[name].meaning, value)
        alarms = GaugeMetricFamily("assaygate_alarms", "Alarms that are not normal", labels=("priority", "state"))
        counts: dict[tuple[str, str], int] = {}
        for alarm in self._views.open_alarms():
            key = (alarm["priority"], alarm["state"])
            counts[key] = counts.get(key, 0) + 1
        for labels, count in counts.items():
            alarms.add_metric(labels, count)
        yield alarms
        yield GaugeMetricFamily("process_resident_memory_bytes", "Resident memory", _resident())

    def _devices(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("assaygate_device_up", "1 while the link is connected or listening", labels=("device",))
        said = CounterMetricFamily("assaygate_device_messages", "Whole messages since start", labels=("device",))
        refused = CounterMetricFamily("assaygate_device_refused", "Refused on the wire since start", labels=("device",))
        clock = GaugeMetricFamily(
            "assaygate_device_clock_offset_seconds", "How far the instrument's clock is ahead", labels=("device",)
        )
        last = GaugeMetricFamily(
            "assaygate_device_last_received_seconds", "Unix time of the last byte", labels=("device",)
        )
        for device in self._views.devices():
            name = [device["id"]]
            up.add_metric(name, device["state"] in ("connected", "listening"))
            said.add_metric(name, device["messages"])
            refused.add_metric(name, device["refused"])
            if device["last_received"] is not None:
                last.add_metric(name, device["last_received"])
            if device["clock_offset"] is not None:
                clock.add_metric(name, device["clock_offset"])
        yield from (up, said, refused, clock, last)

    def _sinks(self) -> Iterator[Metric]:
        behind = GaugeMetricFamily("assaygate_sink_behind", "Observations not delivered yet", labels=("sink",))
        late = GaugeMetricFamily("assaygate_sink_behind_seconds", "Age of the oldest of them", labels=("sink",))
        refused = GaugeMetricFamily("assaygate_sink_refused", "Observations the store would not have", labels=("sink",))
        for sink in self._views.sinks():
            behind.add_metric([sink["id"]], sink["behind"])
            late.add_metric([sink["id"]], sink["behind_seconds"])
            refused.add_metric([sink["id"]], sink["refused"])
        yield from (behind, late, refused)


def _resident() -> float:
    """Bytes of memory in use, from /proc (0 where there is none)."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * 4096.0


def text(views: AppViews, standing: Standing) -> bytes:
    """The exposition format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(GatewayMetrics(views, standing))
    return generate_latest(registry)
