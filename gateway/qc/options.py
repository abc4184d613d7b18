"""What the tables of quality control may say: controls, and checks of patients' results."""

from __future__ import annotations

import difflib
from datetime import date
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, field_validator, model_validator

from drivers.kit.durations import Duration
from gateway.qc.westgard import RULES, USUAL, Form
from gateway.units import is_ucum

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", description="lower-case letters, digits, - . _")]
Finite = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Positive = Annotated[StrictFloat, Field(gt=0, allow_inf_nan=False)]
Glob = Annotated[str, Field(min_length=1, max_length=200)]

SECTIONS: Final = ("controls", "lockouts", "delta_checks", "critical_values", "moving_averages", "run_checks")


class Check(BaseModel):
    """What every table has: a name, and the results it is about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Id
    device: Glob = Field("*", description="device ids, with * and ?")
    quantity: Glob = Field(description="the quantity as observations name it")


class _WithUnit(Check):
    unit: str | None = Field(None, description="UCUM; results in another unit are converted, or left out")

    @field_validator("unit")
    @classmethod
    def _known_unit(cls, unit: str | None) -> str | None:
        if unit is not None and not is_ucum(unit):
            raise ValueError(f'{unit!r} is not UCUM. Write "mmol/L", "10*9/L", "%" or the like.')
        return unit


class ControlOptions(_WithUnit):
    """One control material at one level: how it is recognised, what it must give, what follows when it does not."""

    quantity: str = Field(pattern=r"^[^*?\[\]]{1,200}$", description="the quantity as observations name it: one, no *")
    level: str = Field("", max_length=60, description="what people call the level; the id where empty")
    lot: str = Field("", max_length=60, description="of the material; a new one begins the counters anew")
    lot_expiry: date | None = Field(None, description="last day it may be used")
    specimen: Glob | None = Field(None, description="specimen ids it is measured under; not given: any of kind qc")
    target: Finite | None = None
    sd: Positive | None = Field(None, description="standard deviation in the laboratory's own hands")
    statistics: Literal["given", "own", "cumulative"] = Field(
        "given", description="own: from its first 20 points over 10 days; cumulative: from all accepted ones since"
    )
    expect: Literal["positive", "negative", "valid"] | None = Field(None, description="of a qualitative control")
    rules: tuple[str, ...] = Field(USUAL, description="Westgard's rules that are looked at")
    warn: tuple[str, ...] = Field((), description="those of them that only warn; 1-2s and 7-T always do")
    r4s: Form = Field("strict", description="range: two of a run more than 4 SD apart")
    together: Duration = Field(1800.0, ge=1, description="points without a run belong to one within so long")
    hold: bool = Field(False, description="results of the test are preliminary while it is rejected or due")
    due: Duration | None = Field(None, description="it must have been accepted within so long before a result")
    tea: Positive | None = Field(None, description="total allowable error in percent, for the sigma metric")
    true_value: Finite | None = Field(None, description="of the material, for the bias; the target where not given")

    @field_validator("rules", "warn")
    @classmethod
    def _known_rules(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for name in given:
            if name not in RULES:
                near = difflib.get_close_matches(name, RULES, 1, 0.5)
                hint = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(RULES)}."
                raise ValueError(f"{name!r} is no rule. {hint}")
        return given

    @model_validator(mode="after")
    def _fits(self) -> ControlOptions:
        if (self.target is None) != (self.sd is None):
            raise ValueError("target and sd belong together. Write both, or statistics without them.")
        if self.expect and (self.target is not None or self.statistics != "given"):
            raise ValueError("expect is for a qualitative control, which has no target. Write one of the two.")
        if not self.expect and self.target is None and self.statistics == "given":
            raise ValueError('says not what it must give. Write target and sd, statistics = "own", or expect.')
        if unused := set(self.warn) - set(self.rules):
            raise ValueError(f"warn names {', '.join(sorted(unused))}, which is not among the rules. Add it there.")
        return self

    @property
    def name(self) -> str:
        """The level as people call it."""
        return self.level or self.id


class LockoutOptions(Check):
    """Rapid tests: results of an expired lot, or while a control with `due` is due, are marked."""

    quantity: Glob = "*"
    lockout: Literal["mark", "hold"] = Field("mark", description="hold: they are preliminary until a person releases")


class DeltaOptions(_WithUnit):
    """A change since the same patient's (else specimen's) former result. Exactly one limit."""

    absolute: Positive | None = Field(None, description="in the unit")
    percent: Positive | None = Field(None, description="of the former result")
    rate: Positive | None = Field(None, description="in the unit, per day")
    within: Duration = Field(7 * 86_400.0, description="older results are not compared")

    @model_validator(mode="after")
    def _one_limit(self) -> DeltaOptions:
        given = [name for name in ("absolute", "percent", "rate") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"says {' and '.join(given) or 'no limit'}. Write one of absolute, percent, rate.")
        return self


class CriticalOptions(_WithUnit):
    """Limits beyond which somebody must be told at once."""

    low: Finite | None = Field(None, description="below it")
    high: Finite | None = Field(None, description="above it")

    @model_validator(mode="after")
    def _limits(self) -> CriticalOptions:
        if self.low is None and self.high is None:
            raise ValueError("says no limit. Write low, high or both.")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("low is not below high. Turn them round.")
        return self


class AverageOptions(_WithUnit):
    """An exponentially weighted moving average of patients' results (patient-based quality control)."""

    target: Finite
    limit: Positive = Field(description="the average is out when further from the target than this")
    weight: Annotated[StrictFloat, Field(gt=0, le=1)] = Field(0.05, description="of the newest result")
    low: Finite | None = Field(None, description="lower results count as this")
    high: Finite | None = Field(None, description="higher results count as this")
    warm_up: int = Field(20, ge=1, le=10_000, description="results before it is judged")


class RunOptions(Check):
    """A run of PCR is valid when its blank is not detected, its positive control is, and each well's internal
    control is valid."""

    quantity: Glob = "*"
    blank: Glob = Field(description="specimen ids of the no-template control")
    positive: Glob = Field(description="specimen ids of the positive control")
    internal: Glob | None = Field(None, description="quantity of the internal control, the same in every well")
    hold: bool = Field(True, description="results are preliminary until the run is valid")
