"""How a device's values are read: the keys every `[[devices]]` table has."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from drivers.kit.declare import Identity
from drivers.kit.durations import Duration
from drivers.kit.observation import Interpretation, Kind
from gateway.units import converter, from_text, is_ucum


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def loinc_check_digit(code: str) -> int:
    """The digit after the dash of a LOINC number (mod 10, doubling from the right)."""
    total = 0
    for place, digit in enumerate(reversed(code.partition("-")[0])):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return -total % 10


def _checked(unit: str) -> str:
    if not is_ucum(unit):
        near = from_text(unit)
        raise ValueError(f"{unit!r} is not a UCUM unit. {f'Write {near!r}.' if near else 'See https://ucum.org.'}")
    return unit


class TestMap(_Strict):
    """What one of an instrument's tests is."""

    quantity: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9-]{0,99}$", description="lower-case-with-hyphens")
    loinc: str | None = Field(None, pattern=r"^\d{1,7}-\d$")
    code: str | None = Field(None, description='a code of another system, "local:abc"')
    from_unit: str | None = Field(
        None, description="what the instrument's unit means, UCUM, where it says it badly or not"
    )
    unit: str | None = Field(None, description="convert to this UCUM unit")
    molar_mass: float | None = Field(None, gt=0, description="g/mol, to convert mass to amount of substance")
    kind: Kind | None = None
    decimal: Literal[".", ","] | None = None
    ignore: bool = Field(False, description="make no observation of this test (its bytes stay in the journal)")

    @field_validator("loinc")
    @classmethod
    def _loinc(cls, code: str | None) -> str | None:
        if code and int(code[-1]) != loinc_check_digit(code):
            raise ValueError(f"{code} is no LOINC number: its check digit would be {loinc_check_digit(code)}.")
        return code

    @field_validator("unit", "from_unit")
    @classmethod
    def _ucum(cls, unit: str | None) -> str | None:
        return unit if unit is None else _checked(unit)

    @model_validator(mode="after")
    def _convertible(self) -> TestMap:
        if self.unit and self.from_unit:
            converter(self.from_unit, self.unit, self.molar_mass)
        return self


class DeviceSettings(_Strict):
    """How any device's values are read: keys of every `[[devices]]` table."""

    timezone: str = Field("UTC", description="of the instrument's clock, where its times carry none")
    identity: Identity | None = Field(None, description='"content" or "arrival"; the driver knows which by default')
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'"] | None = None
    time_format: Literal["ymd", "dmy", "mdy"] | None = Field(None, description="order in times such as 03/04/2026")
    clock_limit: Duration = Field(120.0, description="how far the instrument's clock may be off")
    tests: Mapping[str, TestMap] = Field(default_factory=dict, description="by the instrument's name of the test")
    units: Mapping[str, str] = Field(default_factory=dict, description="the instrument's units in UCUM")
    words: Mapping[str, Interpretation] = Field(default_factory=dict, description="calls only this instrument uses")

    @field_validator("timezone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            near = difflib.get_close_matches(name, available_timezones(), 1, 0.5)
            raise ValueError(
                f"no time zone is called {name!r}. {f'Did you mean {near[0]!r}?' if near else ''}"
            ) from None
        return name

    @field_validator("units")
    @classmethod
    def _units(cls, units: Mapping[str, str]) -> Mapping[str, str]:
        for unit in units.values():
            _checked(unit)
        return units

    @model_validator(mode="after")
    def _signs(self) -> DeviceSettings:
        if self.thousands == self.decimal:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}. Make them different.")
        return self


NO_MAP: Final = TestMap()
