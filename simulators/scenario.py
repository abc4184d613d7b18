"""A bench from a TOML file: instruments, and what happens to them when."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulators.instrument import Instrument, Plan

SHIPPED = Path(__file__).parent / "scenarios"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Happening(_Strict):
    """At so many seconds, something happens to an instrument's model."""

    at: float = Field(ge=0)
    instrument: str
    event: str


class Placed(_Strict):
    """One instrument on the bench. `device` holds what the gateway's `[[devices]]` table says besides its link."""

    id: str
    driver: str
    link: str  # pty, tcp, mqtt or folder: the bench gives the address
    model: str = ""
    rate: float = 1.0
    seed: int = 1
    speed: float = 1.0
    options: dict[str, Any] = Field(default_factory=dict)
    faults: dict[str, float] = Field(default_factory=dict)
    device: dict[str, Any] = Field(default_factory=dict)


class Scenario(_Strict):
    """A whole bench."""

    title: str = ""
    instruments: tuple[Placed, ...] = Field(min_length=1)
    events: tuple[Happening, ...] = ()
    alarms: tuple[dict[str, Any], ...] = ()


def load(path: Path) -> Scenario:
    """Read a scenario. Errors: LookupError, saying what is wrong."""
    try:
        return Scenario.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise LookupError(f"{path}: {error}") from error


class Bench:
    """Runs a scenario's instruments, each where `links` says."""

    def __init__(self, scenario: Scenario, links: Mapping[str, str], ledgers: Path | None = None) -> None:
        self.scenario = scenario
        self.instruments = {
            placed.id: Instrument(
                Plan(
                    driver=placed.driver,
                    link=links[placed.id],
                    model=placed.model,
                    options=placed.options,
                    rate=placed.rate,
                    speed=placed.speed,
                    seed=placed.seed,
                    faults=placed.faults,
                    device=placed.id,
                    ledger=ledgers / f"{placed.id}.ndjson" if ledgers else None,
                )
            )
            for placed in scenario.instruments
        }

    async def run(self, tell: Callable[[str], None] = lambda _text: None) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, instrument in self.instruments.items():
                tell(f"{name}: {instrument.address}")
                group.create_task(instrument.run(), name=f"simulator:{name}")
            for happening in self.scenario.events:
                group.create_task(self._happen(happening))

    async def _happen(self, happening: Happening) -> None:
        await asyncio.sleep(happening.at)
        self.instruments[happening.instrument].model.happen(happening.event)
