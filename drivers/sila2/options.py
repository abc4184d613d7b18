"""What a `[[devices]]` table may say about a SiLA 2 server's properties."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from drivers.kit.declare import Options
from drivers.kit.durations import Duration
from drivers.kit.observation import Kind


class PropertyOption(Options):
    """One property that is observed."""

    feature: Annotated[
        str, Field(max_length=300, pattern=r"^([a-z][a-z0-9.]*/[a-z][a-z0-9.]*/[A-Z]\w*/v\d+|[A-Z]\w*)$")
    ]
    """"TemperatureController", or the whole identifier where a server has several of that name:
    "org.silastandard/examples/TemperatureController/v1"."""
    property: Annotated[str, Field(max_length=200, pattern=r"^[A-Z]\w*$")]
    quantity: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    unit: str | None = None
    """Goes before the unit the feature says."""
    kind: Kind = Kind.READING
    code: str | None = None
    """A code like "loinc:94558-4"."""
    period: Duration = Field(10.0, ge=0.1, le=86_400)
    """How often a property is asked for that cannot be subscribed."""


class SilaOptions(Options):
    """Values carry no time of their own: they are of when they came."""

    properties: Annotated[tuple[PropertyOption, ...], Field(min_length=1, max_length=500)]

    @field_validator("properties")
    @classmethod
    def _each_once(cls, properties: tuple[PropertyOption, ...]) -> tuple[PropertyOption, ...]:
        names = [channel(one) for one in properties]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"{twice!r} stands twice. Write it once.")
        return properties


def channel(option: PropertyOption) -> str:
    """How the link knows a property."""
    return f"{option.feature}/{option.property}"
