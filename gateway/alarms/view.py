"""One open alarm as people and programs see it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AlarmView:
    """Times are RFC 3339 in UTC."""

    id: str  # safe in an address: "freezer-warm.freezer-3.temperature"
    alarm: str  # the configured alarm
    device: str
    quantity: str
    state: str
    priority: str
    title: str
    text: str
    raised: str | None
    cleared: str | None
    acknowledged_at: str | None
    acknowledged_by: str
    comment: str
    shelved_until: str | None
    shelved_by: str
    shelve_reason: str
    value: float | str | bool | None
    limit: float | None
    explanation: str
    rule: str  # the condition in words
    consequence: str
    action: str
    respond_by: str | None  # while nobody has acknowledged it
    aside_by: str  # who shelved it or took it out of service, or what suppresses it
    aside_reason: str
