"""What those who may not see patients are shown of an observation. The one place where it is decided."""

from __future__ import annotations

from typing import Any, Final

import orjson

MASK: Final = "***"
# Attributes the gateway itself makes. All others are from the instrument and may say who the patient is.
OWN: Final = frozenset(
    {
        "value_as_sent", "unit_as_sent", "rule", "quality_reason", "time_precision", "clock_offset_s", "attributes_cut",
        "qc", "reviewed", "hold", "released", "status_as_read", "kind_as_read", "corrects", "delta", "critical",
        "moving_average", "run_validity", "qc_failed", "flags_added", "value_note", "interpretation_as_sent", "test",
    }
)  # fmt: skip


def masked(body: bytes) -> bytes:
    """An observation's JSON without the patient and without what the instrument said beside the result."""
    told: dict[str, Any] = orjson.loads(body)
    if told["patient"] is not None:
        told["patient"] = MASK
    told["attributes"] = {name: value for name, value in told["attributes"].items() if name in OWN}
    return orjson.dumps(told)


def entry(listed: dict[str, Any]) -> dict[str, Any]:
    """An entry of the quarantine: its detail may quote the message."""
    return {**listed, "detail": MASK}
