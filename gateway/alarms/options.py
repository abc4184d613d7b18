"""What `[[alarms]]` tables may say."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from gateway.alarms.when import Strict, When


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
    notify: tuple[str, ...] = ()
