"""What a `when` table may say: one condition, and what it is about."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from drivers.kit.durations import Duration
from gateway.pulse import SIGNS


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


CONDITIONS = (
    "above",
    "below",
    "rises",
    "falls",
    "silent",
    "unchanged",
    "invalid",
    "fault",
    "equals",
    "quarantine",
    "behind",
)


class When(Strict):
    """One condition, and what it is about. Exactly one of CONDITIONS (above and below may stand together)."""

    device: str = Field("*", description="device ids, with * and ?")
    quantity: str = Field("*", description="quantities, with * and ?")
    sink: str = Field("*", description="sink ids, for `behind`")
    gateway: str | None = Field(None, description="a sign of the gateway itself, with above or below")
    above: float | None = None
    below: float | None = None
    clear_below: float | None = Field(None, description="deadband of `above`")
    clear_above: float | None = Field(None, description="deadband of `below`")
    delay: Duration = Field(0.0, alias="for", description="only when it has lasted so long")
    rises: float | None = Field(None, gt=0, description="rises by so much `within`")
    falls: float | None = Field(None, gt=0)
    within: Duration | None = Field(None, description="window of rises, falls and quarantine")
    silent: Duration | None = Field(None, description="nothing received for so long")
    unchanged: Duration | None = Field(None, description="received, and always the same, for so long")
    invalid: float | None = Field(None, gt=0, le=1, description="share of invalid results")
    of_last: int = Field(20, ge=2, le=1000, description="results `invalid` counts")
    fault: bool | None = Field(None, description="the device reports a fault")
    equals: str | bool | float | None = Field(None, description="the value is this")
    quarantine: int | None = Field(None, ge=1, description="so many messages not understood `within`")
    behind: Duration | None = Field(None, description="a sink has not delivered for so long")

    @model_validator(mode="after")
    def _one_condition(self) -> When:
        given = [name for name in CONDITIONS if getattr(self, name) is not None]
        if not given:
            raise ValueError(f"says no condition. Write one of {', '.join(CONDITIONS)}.")
        if len(given) > 1 and set(given) != {"above", "below"}:
            raise ValueError(f"says {' and '.join(given)} at once. Write one alarm for each.")
        if self.gateway is not None and (self.gateway not in SIGNS or given[0] not in ("above", "below")):
            raise ValueError(f"gateway is one of {', '.join(SIGNS)}, with above or below.")
        if self.clear_below is not None and (self.above is None or self.clear_below > self.above):
            raise ValueError("clear_below belongs to above and is not greater than it.")
        if self.clear_above is not None and (self.below is None or self.clear_above < self.below):
            raise ValueError("clear_above belongs to below and is not less than it.")
        if given[0] in ("rises", "falls", "quarantine") and self.within is None:
            raise ValueError(f'{given[0]} needs within. Write within = "10m".')
        return self
