"""One alarm on one device and quantity: its options, its rule and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.alarms.conditions import Condition
from gateway.alarms.options import AlarmOptions
from gateway.alarms.states import RINGING, Life, State
from gateway.alarms.view import AlarmView


@dataclass(slots=True)
class Instance:
    """One alarm on one device and quantity."""

    options: AlarmOptions
    device: str
    quantity: str
    condition: Condition
    past: Condition | None = None  # the same rule over readings that came late
    late_since: float | None = None  # since when nothing but late readings came; unix seconds
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
            raised=rfc3339(life.raised),
            cleared=rfc3339(life.cleared),
            acknowledged_at=rfc3339(life.acknowledged),
            acknowledged_by=life.by,
            comment=life.comment,
            shelved_until=rfc3339(life.shelved_until),
            shelved_by=life.aside_by if life.state is State.SHELVED else "",
            shelve_reason=life.reason if life.state is State.SHELVED else "",
            aside_by=life.aside_by,
            aside_reason=life.reason,
            consequence=options.consequence,
            action=options.action,
            respond_by=self._respond_by(),
            rule=condition.rule(),
            value=condition.value,
            limit=limit,
            explanation=condition.explanation,
        )

    def _respond_by(self) -> str | None:
        life, response = self.life, self.options.response
        if response is None or life.raised is None or life.state not in RINGING:
            return None
        return rfc3339(life.raised + response)


def rfc3339(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
