"""A bench from a TOML file: instruments, and what happens to them when."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from drivers.kit import durations
from simulators.faults import Faults
from simulators.instrument import Instrument
from simulators.plan import Plan

SHIPPED = Path(__file__).parent / "scenarios"


def _seconds(given: Any) -> Any:
    return durations.seconds(given) if isinstance(given, str) else given


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0)]
"""Seconds as a number, or as a text with its unit: 90, "90s", "8h"."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Happening(_Strict):
    """At a time after the start, something happens to an instrument: an event, another rate, other faults."""

    at: Seconds  # of scenario time
    instrument: str  # its id; "*": all
    event: str = ""  # of its model, or "resend-run"
    rate: float | None = Field(None, ge=0)  # messages a second; 0: as fast as they are acknowledged
    pause: bool | None = None
    faults: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _something(self) -> Happening:
        if not (self.event or self.faults or self.rate is not None or self.pause is not None):
            raise ValueError("nothing happens. Write event, rate, pause or faults.")
        Faults(self.faults, 0)
        return self


class Placed(_Strict):
    """One instrument on the bench. `device` holds what the gateway's `[[devices]]` table says besides its link."""

    id: str
    driver: str
    link: Literal["pty", "tcp", "tcp-listen", "mqtt", "folder", "opcua", "sila"]  # the bench gives the address
    model: str = ""
    variant: str = ""
    rate: float = 1.0
    seed: int = 1
    speed: float = 1.0
    options: dict[str, Any] = Field(default_factory=dict)
    faults: dict[str, float] = Field(default_factory=dict)
    device: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> Placed:
        Faults(self.faults, 0)
        return self


class Scenario(_Strict):
    """A whole bench. `speed`: how many times faster than life everything goes."""

    title: str = ""
    speed: float = Field(1.0, gt=0)
    lasts: Seconds | None = None  # of scenario time: how long until all that the title says has happened
    instruments: tuple[Placed, ...] = Field(min_length=1)
    events: tuple[Happening, ...] = ()
    alarms: tuple[dict[str, Any], ...] = ()

    @model_validator(mode="after")
    def _placed(self) -> Scenario:
        known = {placed.id for placed in self.instruments}
        for happening in self.events:
            if happening.instrument not in known | {"*"}:
                raise ValueError(f"no instrument is called {happening.instrument!r}. Known are: {', '.join(known)}.")
        return self

    def plan(
        self, placed: Placed, link: str, *, speed: float = 1.0, seed: int = 0, ledgers: Path | None = None
    ) -> Plan:
        """One instrument's plan; `speed` and `seed` over the scenario's own."""
        fast = self.speed * speed
        return Plan(
            driver=placed.driver,
            link=link,
            model=placed.model,
            variant=placed.variant,
            options=placed.options,
            rate=placed.rate * fast,
            speed=placed.speed * fast,
            seed=placed.seed + seed,
            faults=placed.faults,
            device=placed.id,
            ledger=ledgers / f"{placed.id}.ndjson" if ledgers else None,
        )


def load(path: Path) -> Scenario:
    """Read a scenario. Errors: LookupError, saying what is wrong."""
    try:
        return Scenario.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in wrong["loc"])
        raise LookupError(f"{path}: {place or 'scenario'}: {wrong['msg'].removeprefix('Value error, ')}") from error
    except (OSError, tomllib.TOMLDecodeError, LookupError) as error:
        raise LookupError(f"{path}: {error}") from error


class Bench:
    """Runs a scenario's instruments, each where `links` says."""

    def __init__(
        self,
        scenario: Scenario,
        links: Mapping[str, str],
        ledgers: Path | None = None,
        speed: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.scenario = scenario
        self._fast = scenario.speed * speed
        self.instruments = {
            placed.id: Instrument(scenario.plan(placed, links[placed.id], speed=speed, seed=seed, ledgers=ledgers))
            for placed in scenario.instruments
        }

    async def run(self, tell: Callable[[str], None] = lambda _text: None) -> None:
        """Until every instrument is stopped, or cancelled."""
        async with asyncio.TaskGroup() as group:
            others = [group.create_task(self._happen(happening)) for happening in self.scenario.events]
            running = []
            for name, instrument in self.instruments.items():
                tell(f"{name}: {instrument.address}")
                running.append(group.create_task(instrument.run(), name=f"simulator:{name}"))
            await asyncio.gather(*running)
            for other in others:
                other.cancel()

    async def _happen(self, happening: Happening) -> None:
        await asyncio.sleep(happening.at / self._fast)
        for instrument in self._meant(happening.instrument):
            happen(happening, instrument, self._fast)

    def _meant(self, name: str) -> Iterator[Instrument]:
        yield from self.instruments.values() if name == "*" else [self.instruments[name]]


class Subject(Protocol):
    """What something can happen to: an instrument, or its rehearsal."""

    rate: float
    paused: bool

    @property
    def faults(self) -> Faults: ...
    def happen(self, event: str) -> None: ...


def happen(happening: Happening, instrument: Subject, fast: float = 1.0) -> None:
    """Let it happen. Errors: ValueError (no such event)."""
    if happening.rate is not None:
        instrument.rate = happening.rate * fast
    if happening.pause is not None:
        instrument.paused = happening.pause
    for name, rate in happening.faults.items():
        instrument.faults.set(name, rate)
    if happening.event:
        instrument.happen(happening.event)
