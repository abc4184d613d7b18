"""What `[[alarms]]` tables may say."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from drivers.kit.durations import Duration
from gateway.alarms.when import Strict, When
from gateway.notify.options import Escalation


class Priority(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class AlarmOptions(Strict):
    """One alarm: when, how grave, who is told."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    when: When
    priority: Priority = Priority.MEDIUM
    title: str = Field("", description="what people read; the id where empty")
    text: str = Field("", description="consequence and what to do")
    consequence: str = Field("", description="what happens if nobody acts")
    action: str = Field("", description="what to do: move samples to freezer 4")
    response: Duration | None = Field(None, gt=0, description="within so long somebody has to act")
    latch: bool = Field(False, description="once raised it stays until a person resets it")
    notify: tuple[str, ...] = ()
    escalate: tuple[Escalation, ...] = Field((), description="who is told next while nobody has acknowledged")
    remind: Duration | None = Field(None, ge=60, description="told again after so long, until it is acknowledged")


class SuppressionOptions(Strict):
    """While one thing is so, certain alarms of the same device are not raised: a door that is open, a parent alarm.
    It ends by itself: monitoring goes on all the while, and what is still so at the end is raised."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    when: When | None = Field(None, description="a condition; its device is the one whose alarms are suppressed")
    alarm: str | None = Field(None, description="or an alarm of the same device (or of none) that is active")
    suppresses: tuple[str, ...] = Field(min_length=1, description="alarm ids, with * and ?")
    devices: str | None = Field(
        None, description="alarms of these devices too, with * and ?; the same device where left out"
    )
    at_most: Duration = Field(gt=0, le=86_400, description="after so long the alarms are raised all the same")
    after: Duration = Field(
        0.0, ge=0, le=86_400, description="goes on for so long after its cause: a freezer has to cool"
    )
    reason: str = Field("", description="what people read; the id where empty")

    @model_validator(mode="after")
    def _one_cause(self) -> SuppressionOptions:
        if (self.when is None) == (self.alarm is None):
            raise ValueError('needs one cause. Write when = { ... } or alarm = "an alarm\'s id".')
        return self
