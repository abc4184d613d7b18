"""Instrument drivers: bytes and meaning, no I/O. A driver is imported when it is used, not before.

A folder here with a `driver.py` is a driver; its name is the folder's with `-` for `_`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.kit.declare import Driver

FOLDER = Path(__file__).parent


@cache
def built_in() -> dict[str, str]:
    """Name -> "module:DRIVER" of every driver here; none is imported."""
    found = sorted(path.parent.name for path in FOLDER.glob("*/driver.py"))
    return {name.replace("_", "-"): f"drivers.{name}.driver:DRIVER" for name in found}


def names() -> list[str]:
    """Every driver that can be named in a configuration, built in or installed beside us."""
    return sorted({*built_in(), *(point.name for point in entry_points(group="assaygate.drivers"))})


def folder(name: str) -> Path:
    """Where the driver called `name` stands, with its cases; KeyError if there is none."""
    module = import_module(_target(name).partition(":")[0])
    return Path(module.__file__ or ".").parent


def load(name: str) -> Driver:
    """The driver called `name`; KeyError if there is none."""
    module, _, attribute = _target(name).partition(":")
    driver: Driver = getattr(import_module(module), attribute)
    return driver


def _target(name: str) -> str:
    target = built_in().get(name)
    if target is None:
        (point, *_rest) = entry_points(group="assaygate.drivers", name=name) or (None,)
        if point is None:
            raise KeyError(name)
        target = point.value
    return target
