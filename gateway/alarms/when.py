"""What a `when` table may say: one condition, and what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from drivers.kit.durations import Duration
from gateway.alarms.expression import MOST_TEXT, read
from gateway.pulse import SIGNS


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


CONDITIONS: Final = (
    "above",
    "below",
    "rises",
    "falls",
    "deviates",
    "expression",
    "silent",
    "unchanged",
    "equals",
    "fault",
    "invalid",
    "positive",
    "positives",
    "lot_expires",
    "quarantine",
    "behind",
)
LIMITS = ("above", "below")
SHARES = ("invalid", "positive")

# What is said besides a condition: to which it belongs.
BELONGS: Final = {
    "clear_below": ("above", "deviates"),
    "clear_above": ("below",),
    "statistic": LIMITS,
    "covered": ("statistic",),
    "out_for": LIMITS,
    "gap": ("statistic", "out_for"),
    "within": ("rises", "falls", "quarantine", "positives", "statistic", "out_for"),
    "from": ("deviates",),
    "fresh": ("deviates", "expression"),
    "of_last": SHARES,
    "per": SHARES,
    "over_baseline": SHARES,
    "baseline": ("over_baseline",),
    "gateway": LIMITS,
}
# What a condition cannot do without, and an example of it.
NEEDS: Final = {
    "rises": 'within = "10m"',
    "falls": 'within = "10m"',
    "quarantine": 'within = "1h"',
    "positives": 'within = "1d"',
    "statistic": 'within = "1h"',
    "out_for": 'within = "1d"',
    "deviates": 'from = "setpoint"',
}
REFERENCE = re.compile(r"(?:([a-z0-9][a-z0-9._-]{0,62})/)?([^/{}*?\s][^/{}*?]{0,199})")


class When(Strict):
    """One condition, and what it is about. Exactly one of CONDITIONS (above and below may stand together)."""

    device: str = Field("*", description="device ids, with * and ?")
    quantity: str = Field("*", description="quantities, with * and ?")
    sink: str = Field("*", description="sink ids, for `behind`")
    gateway: str | None = Field(None, description="a sign of the gateway itself, with above or below")
    above: float | None = None
    below: float | None = None
    clear_below: float | None = Field(None, description="deadband of `above` and `deviates`")
    clear_above: float | None = Field(None, description="deadband of `below`")
    delay: Duration = Field(0.0, alias="for", description="only when it has lasted so long")
    clear_for: Duration = Field(0.0, description="over only when it has been over for so long")
    statistic: Literal["mean", "min", "max", "sd", "mkt"] | None = Field(
        None, description="above and below are about this, of the values `within`; mkt: mean kinetic temperature"
    )
    covered: float = Field(0.5, gt=0, le=1, description="share of the window `statistic` must have seen")
    out_for: Duration | None = Field(None, gt=0, description="above or below for so long in all, `within`")
    gap: Duration | None = Field(
        None, gt=0, description="samples further apart say nothing of between; else 5 minutes, or 3 usual periods"
    )
    rises: float | None = Field(None, gt=0, description="rises by so much `within`")
    falls: float | None = Field(None, gt=0)
    within: Duration | None = Field(None, gt=0, description="window of what is counted or compared over time")
    deviates: float | None = Field(None, gt=0, description="differs by more than so much `from`")
    from_: float | str | None = Field(
        None, alias="from", description="a number, a quantity of the same device, or DEVICE/QUANTITY"
    )
    fresh: Duration = Field(600.0, gt=0, description="inputs further apart in time are not compared")
    expression: str | None = Field(None, max_length=MOST_TEXT, description="see docs/alarms.md")
    silent: Duration | None = Field(None, description="nothing received for so long")
    unchanged: Duration | None = Field(None, description="received, and always the same, for so long")
    invalid: float | None = Field(None, gt=0, le=1, description="share of invalid results")
    positive: float | None = Field(None, gt=0, le=1, description="share of positive results among the decided ones")
    of_last: int = Field(20, ge=2, le=1000, description="results a share is of")
    per: Literal["lot"] | None = Field(None, description="only results of the same lot as the newest")
    over_baseline: float | None = Field(None, ge=1, description="and the share is so many times the one before")
    baseline: int = Field(200, ge=10, le=2000, description="results before the last ones, for `over_baseline`")
    positives: int | None = Field(None, ge=1, le=1000, description="so many positive results `within`")
    lot_expires: Duration | None = Field(None, description="a lot in use is expired, or will be within so long")
    fault: bool | None = Field(None, description="the device reports a fault")
    equals: str | bool | float | None = Field(None, description="the value is this")
    quarantine: int | None = Field(None, ge=1, description="so many messages not understood `within`")
    behind: Duration | None = Field(None, description="a sink has not delivered for so long")

    @field_validator("expression")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None:
            read(text)
        return text

    @field_validator("from_")
    @classmethod
    def _reference(cls, other: float | str | None) -> float | str | None:
        if isinstance(other, str) and not REFERENCE.fullmatch(other):
            raise ValueError(f'{other!r} is no quantity. Write a number, "setpoint" or "freezer-4/temperature".')
        return other

    @model_validator(mode="after")
    def _one_condition(self) -> When:
        given = [name for name in CONDITIONS if getattr(self, name) is not None]
        if not given:
            raise ValueError(f"says no condition. Write one of {', '.join(CONDITIONS)}.")
        if len(given) > 1 and set(given) not in ({"above", "below"}, {"rises", "falls"}):
            raise ValueError(f"says {' and '.join(given)} at once. Write one alarm for each.")
        said = [*given, *(name for name in BELONGS if self._says(name))]
        for name in said:
            if name in BELONGS and not set(BELONGS[name]) & set(said):
                raise ValueError(f"{name} belongs to {' or '.join(BELONGS[name])}. Write that, or leave {name} out.")
            if name in NEEDS and not self._says(NEEDS[name].split(" ")[0]):
                raise ValueError(f"{name} needs {NEEDS[name].split(' ')[0]}. Write {NEEDS[name]}.")
        self._sound()
        return self

    def _says(self, key: str) -> bool:
        """True where `key` stands there and means something."""
        name = "from_" if key == "from" else key
        return bool(getattr(self, name) != type(self).model_fields[name].default)

    def _sound(self) -> None:
        """What is said fits together."""
        if self.gateway is not None and self.gateway not in SIGNS:
            raise ValueError(f"gateway is one of {', '.join(SIGNS)}, with above or below.")
        limit = self.above if self.above is not None else self.deviates
        if self.clear_below is not None and limit is not None and self.clear_below > limit:
            raise ValueError("clear_below belongs to above and is not greater than it.")
        if self.clear_above is not None and self.below is not None and self.clear_above < self.below:
            raise ValueError("clear_above belongs to below and is not less than it.")
        if self.statistic and self.out_for is not None:
            raise ValueError("says statistic and out_for at once. Write one alarm for each.")
        if self.out_for is not None and self.within is not None and self.out_for > self.within:
            raise ValueError("out_for is longer than within. Write a longer within.")
        if self.out_for is not None and (self.clear_below is not None or self.clear_above is not None):
            raise ValueError("out_for counts time, which has no deadband. Leave clear_below and clear_above out.")
        if self.deviates is not None and _many(self.quantity):
            raise ValueError('deviates is about one quantity. Write quantity = "temperature".')
        if self.expression is not None and _many(self.device) and all(d for d, _ in read(self.expression).inputs):
            raise ValueError("expression says no quantity of its own device. Write device = the id of one of them.")

    def devices(self) -> Iterator[tuple[str, str]]:
        """The devices named one by one, with the key that names each."""
        if not _many(self.device):
            yield "device", self.device
        if isinstance(self.from_, str) and "/" in self.from_:
            yield "from", self.from_.split("/")[0]
        for device, _ in read(self.expression).inputs if self.expression else ():
            if device:
                yield "expression", device


def _many(pattern: str) -> bool:
    """True where it may stand for more than one name."""
    return any(mark in pattern for mark in "*?[")


def reference(text: str, device: str) -> tuple[str, str]:
    """ "setpoint" or "freezer-4/temperature" as device and quantity, seen from `device`."""
    named, _, quantity = text.rpartition("/")
    return named or device, quantity
