"""What a `[[devices]]` table may say about Sparkplug B."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from drivers.kit.declare import Options
from drivers.kit.durations import Duration
from drivers.kit.observation import Kind

Id = Annotated[str, Field(pattern=r"^[^+/#\x00-\x1f]{1,200}$")]
Datatype = Literal["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64",
                   "Float", "Double", "Boolean", "String"]  # fmt: skip


class MetricOption(Options):
    """One metric that is observed."""

    name: str = Field(min_length=1)
    """As its birth says it: "Temperature", "Chamber/Temperature"."""
    device: Id | None = None
    """Only of this device."""
    quantity: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    unit: str | None = None
    """Where the birth says none (property engUnit)."""
    kind: Kind = Kind.READING
    code: str | None = None
    """A code like "loinc:94558-4"."""
    datatype: Datatype | None = None
    """What a simulated node sends it as."""


class SparkplugOptions(Options):
    """What `group`, `node` and `device` do not fix stands before a discovered quantity: "edge-1-freezer-3-temperature"
    of any node's devices, "freezer-3-temperature" with `node`, "temperature" with `node` and `device`."""

    group: Id | None = None
    """With `node`: asked for its birth as soon as we are connected."""
    node: Id | None = None
    """Only this edge node; other nodes' messages are passed over."""
    device: Id | None = None
    """Only this device of the node (and what the node says of itself)."""
    metrics: Annotated[tuple[MetricOption, ...], Field(max_length=5000)] = ()
    """Metrics whose quantity, unit or kind is not to come from their birth."""
    unknown: Literal["discover", "ignore"] = "discover"
    """What becomes of metrics that are not in `metrics`."""
    rebirth: bool = True
    """Ask nodes for their birth (NCMD Node Control/Rebirth) where something is missing; false: only listen."""
    reorder: Duration = 2.0
    """How long a missing message may still come before a birth is asked for."""
    ask_again: Duration = 30.0
    """A birth is not asked for sooner than this after the last time; unanswered, twice as long each time, up to 1 h."""
