"""An observation: what an instrument said, in one shape for every instrument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from drivers.kit.observation import NOTHING, Comparator, Kind, Quality, Status, Value

MOST_TEXT: Final = 4096  # characters of a value
MOST_NAME: Final = 400  # of a specimen, a code and the like, where an observation is too large
CORRECTS: Final = "corrects"  # the attribute that names the seq an observation stands for
MOST_BYTES: Final = 65_536  # of an observation's JSON


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


def bounded(observation: Observation) -> tuple[Observation, bytes]:
    """The observation and its JSON; what is too large for a row, or no text, is cut and said so."""
    try:
        body = observation.to_json()
    except (TypeError, RecursionError):
        body = b""
    if 0 < len(body) <= MOST_BYTES:
        return observation, body
    observation = _cut(observation)
    return observation, observation.to_json()


def _cut(observation: Observation) -> Observation:
    """The raw message keeps what this leaves out."""
    own = {
        name: _clean(value)
        for name, value in observation.attributes.items()
        if name in ("value_as_sent", "unit_as_sent", "rule", "quality_reason", "time_precision", "clock_offset_s")
    }
    o = observation
    return replace(
        o,
        quantity=_clean(o.quantity),
        value=_clean(o.value, MOST_TEXT),
        code=_clean(o.code),
        unit=_clean(o.unit),
        interpretation=_clean(o.interpretation),
        flags=tuple(_clean(flag) for flag in o.flags[:32]),
        specimen=_clean(o.specimen),
        patient=_clean(o.patient),
        operator=_clean(o.operator),
        lot=_clean(o.lot),
        lot_expiry=_clean(o.lot_expiry),
        run=_clean(o.run),
        device_time=_clean(o.device_time),
        attributes={**own, "attributes_cut": True},
    )


def _clean(value: Any, most: int = MOST_NAME) -> Any:
    """A text JSON can carry, no longer than that."""
    return value[:most].encode("utf-8", "replace").decode() if isinstance(value, str) else value
