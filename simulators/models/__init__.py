"""The models by name: what simulated instruments measure."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from drivers.kit.declare import Quantity
from simulators.models.analysers import Cassettes, Chemistry, GeneXpert
from simulators.models.declared import declared
from simulators.models.physics import Balance, Freezer, Incubator, Room
from simulators.models.world import Clock, Drawn, Model

__all__ = ["MODELS", "Clock", "Drawn", "Model", "model"]

MODELS: Final[Mapping[str, Callable[[random.Random], Model]]] = MappingProxyType(
    {
        "freezer": Freezer,
        "fridge": lambda rng: Freezer(rng, 5.0),
        "incubator": Incubator,
        "room": Room,
        "balance": Balance,
        "chemistry": Chemistry,
        "genexpert": GeneXpert,
        "cassettes": Cassettes,
    }
)


def model(name: str, seed: int, quantities: Sequence[Quantity] = ()) -> Model:
    """The named model; without a name one that draws from `quantities`. Errors: LookupError."""
    if not name:
        return declared(random.Random(f"declared/{seed}"), quantities)
    if name not in MODELS:
        raise LookupError(f"no model is called {name!r}. Known are: {', '.join(MODELS)}.")
    return MODELS[name](random.Random(f"{name}/{seed}"))
