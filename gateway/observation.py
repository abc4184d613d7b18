"""An observation: what an instrument said, in one shape for every instrument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from drivers.kit.observation import NOTHING, Comparator, Kind, Quality, Status, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """All fields of the public interface but `seq`, which is the journal's to give. Times are RFC 3339 in UTC."""

    uid: str
    device: str
    kind: Kind
    quantity: str
    code: str | None = None
    value: Value = None
    unit: str | None = None
    comparator: Comparator | None = None
    interpretation: str | None = None
    flags: tuple[str, ...] = ()
    status: Status = Status.FINAL
    specimen: str | None = None
    patient: str | None = None
    operator: str | None = None
    lot: str | None = None
    lot_expiry: str | None = None
    run: str | None = None
    time: str
    device_time: str | None = None
    received: str
    quality: Quality = Quality.GOOD
    raw: int
    attributes: Mapping[str, Any] = field(default_factory=lambda: NOTHING)

    def to_json(self) -> bytes:
        """One JSON object, fields in the interface's order."""
        return orjson.dumps(
            {
                "uid": self.uid,
                "device": self.device,
                "kind": self.kind,
                "quantity": self.quantity,
                "code": self.code,
                "value": self.value,
                "unit": self.unit,
                "comparator": self.comparator,
                "interpretation": self.interpretation,
                "flags": self.flags,
                "status": self.status,
                "specimen": self.specimen,
                "patient": self.patient,
                "operator": self.operator,
                "lot": self.lot,
                "lot_expiry": self.lot_expiry,
                "run": self.run,
                "time": self.time,
                "device_time": self.device_time,
                "received": self.received,
                "quality": self.quality,
                "raw": self.raw,
                "attributes": dict(self.attributes),
            }
        )
