"""One alarm on one device and quantity: its options, its rule and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.alarms.conditions import Condition
from gateway.alarms.options import AlarmOptions
from gateway.alarms.states import Life
from gateway.alarms.view import AlarmView


@dataclass(slots=True)
class Instance:
    """One alarm on one device and quantity."""

    options: AlarmOptions
    device: str
    quantity: str
    condition: Condition
    life: Life = field(default_factory=Life)

    @property
    def id(self) -> str:
        return ".".join(part for part in (self.options.id, self.device, self.quantity) if part)

    def view(self) -> AlarmView:
        life, options, condition = self.life, self.options, self.condition
        when = options.when
        limit = when.above if when.above is not None else when.below
        return AlarmView(
            id=self.id,
            alarm=options.id,
            device=self.device,
            quantity=self.quantity,
            state=str(life.state),
            priority=str(options.priority),
            title=options.title or options.id,
            text=options.text,
            raised=_rfc3339(life.raised),
            cleared=_rfc3339(life.cleared),
            acknowledged_at=_rfc3339(life.acknowledged),
            acknowledged_by=life.by,
            comment=life.comment,
            shelved_until=_rfc3339(life.shelved_until),
            shelved_by=life.shelved_by,
            shelve_reason=life.reason,
            value=condition.value,
            limit=limit,
            explanation=condition.explanation,
        )


def _rfc3339(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
