"""What a `[[devices]]` table may say about an OPC UA server's variables."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from drivers.kit.declare import Options
from drivers.kit.observation import Kind

_NODE_ID: Final = re.compile(
    r"(nsu=[^;\x00-\x1f]+;|ns=\d{1,5};)?(i=\d{1,10}|s=[^\x00-\x1f]+|g=[0-9a-fA-F-]{36}|b=[A-Za-z0-9+/=]+)"
)
_PATH: Final = re.compile(r"(/([^/&\x00-\x1f]|&[^\x00-\x1f])+)+")


def _node(text: str) -> str:
    if not (_NODE_ID.fullmatch(text) or _PATH.fullmatch(text)):
        raise ValueError(
            f'{text[:80]!r} is no node. Write "nsu=http://maker/;s=Chamber.Temperature", "ns=2;i=5" or the names '
            'below Objects, "/DeviceSet/Incubator/Temperature".'
        )
    return text


class NodeOption(Options):
    """One variable that is observed."""

    node: Annotated[str, Field(max_length=500), AfterValidator(_node)]
    """"nsu=URI;s=NAME" (the namespace by its URI: its number may change when the server restarts), "ns=2;i=5", or the
    browse names below Objects: "/DeviceSet/Incubator/Temperature"; "&/" is a slash within a name."""
    quantity: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    unit: str | None = None
    """Goes before the unit the server says (EngineeringUnits)."""
    kind: Kind = Kind.READING
    code: str | None = None
    """A code like "loinc:94558-4"."""
    map: dict[str, str] = Field(default_factory=dict)
    """Words for values: { 0 = "closed", 1 = "open" }."""


class OpcUaOptions(Options):
    """With `lads` the functions of OPC 30500-1 devices are found by themselves: "chamber-temperature" is the function
    Temperature of the functional unit Chamber."""

    nodes: Annotated[tuple[NodeOption, ...], Field(max_length=2000)] = ()
    lads: bool = False
    """Subscribe sensor values, control functions' values and targets, states, covers and device health."""
    lads_device: str | None = Field(None, min_length=1, max_length=200)
    """Only this device of the DeviceSet; without it the device's name stands before its quantities."""

    @model_validator(mode="after")
    def _something(self) -> OpcUaOptions:
        names = [node.node for node in self.nodes]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"{twice!r} stands twice in nodes. Write it once.")
        if not self.nodes and not self.lads:
            raise ValueError("nothing to subscribe. Write nodes = [{ node = ..., quantity = ... }] or lads = true.")
        if self.lads_device and not self.lads:
            raise ValueError("lads_device needs lads = true. Write both or neither.")
        return self
