"""What the gateway says on its live connection, as far as the view shows it; every text made plain on the way in."""

from __future__ import annotations

from typing import Annotated

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict

from gateway.terminal.words import plain

Plain = Annotated[str, AfterValidator(plain)]


class Said(BaseModel):
    """Fields that a newer gateway adds are no matter."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Device(Said):
    """A device and its link; `clock_offset` in seconds, `last_received` unix seconds."""

    id: Plain
    label: Plain
    room: Plain
    driver: Plain
    link: Plain
    address: Plain
    state: Plain
    detail: Plain
    peers: tuple[Plain, ...]
    messages: int
    refused: int
    clock_offset: float | None
    last_received: float | None

    @property
    def lost(self) -> bool:
        return self.state in ("waiting", "stopped")


class Alarm(Said):
    """An alarm that is not normal. `id` is for addresses and is never shown."""

    id: str
    device: Plain
    quantity: Plain
    state: Plain
    priority: Plain
    title: Plain
    raised: AwareDatetime | None
    acknowledged_by: Plain
    comment: Plain
    shelved_until: AwareDatetime | None
    explanation: Plain
    action: Plain
    text: Plain
    aside_by: Plain
    aside_reason: Plain

    @property
    def aside(self) -> bool:
        return self.state in ("shelved", "suppressed", "out-of-service")

    @property
    def unseen(self) -> bool:
        return self.state.endswith("unacknowledged")


class Seen(Said):
    """An observation."""

    seq: int
    device: Plain
    kind: Plain
    quantity: Plain
    value: bool | int | float | Plain | None
    unit: Plain | None
    comparator: Plain | None
    interpretation: Plain | None
    flags: tuple[Plain, ...]
    status: Plain
    specimen: Plain | None
    time: AwareDatetime
    received: AwareDatetime
    quality: Plain
    raw: int

    @property
    def invalid(self) -> bool:
        """What must never be taken for a result."""
        return self.interpretation == "invalid" or self.quality == "bad" or self.status == "cancelled"


class Store(Said):
    """A sink; `behind` in observations, `behind_seconds` the age of the oldest."""

    id: Plain
    connected: bool
    behind: int
    behind_seconds: float
    last_error: Plain


class Failing(Said):
    part: Plain
    detail: Plain


class Beat(Said):
    """A sign of life; `now` is the gateway's clock in unix seconds."""

    site: Plain
    now: float
    failing: tuple[Failing, ...]
    devices: tuple[Device, ...]
    sinks: tuple[Store, ...]


class Snapshot(Beat):
    """Everything, as of one seq. `sparks`: recent [time, number] by device and quantity."""

    seq: int
    alarms: tuple[Alarm, ...]
    values: tuple[Seen, ...]
    results: tuple[Seen, ...]
    sparks: dict[str, dict[str, list[tuple[float, float]]]]


class Delta(Said):
    items: tuple[Seen, ...]


class Alarms(Said):
    items: tuple[Alarm, ...]


Message = Beat | Snapshot | Delta | Alarms
KINDS: dict[str, type[Message]] = {"beat": Beat, "snapshot": Snapshot, "delta": Delta, "alarms": Alarms}


def read(sent: str | bytes) -> Message | None:
    """One message; None for a kind that this view does not know. Errors: ValueError."""
    data = orjson.loads(sent)
    if not isinstance(data, dict):
        raise ValueError("not an object")
    kind = KINDS.get(str(data.get("type")))
    return kind.model_validate(data) if kind else None
