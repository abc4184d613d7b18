"""Instrument drivers: bytes and meaning, no I/O. A driver is imported when it is used, not before."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.kit.declare import Driver

BUILT_IN = {
    "astm": "drivers.astm.driver:DRIVER",
    "genexpert": "drivers.genexpert.driver:DRIVER",
    "lateral-flow": "drivers.lateral_flow.driver:DRIVER",
    "mqtt-json": "drivers.mqtt_json.driver:DRIVER",
    "mt-sics": "drivers.mt_sics.driver:DRIVER",
    "senml": "drivers.senml.driver:DRIVER",
}


def names() -> list[str]:
    """Every driver that can be named in a configuration, built in or installed beside us."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group="assaygate.drivers"))})


def load(name: str) -> Driver:
    """The driver called `name`; KeyError if there is none."""
    target = BUILT_IN.get(name)
    if target is None:
        (point, *_rest) = entry_points(group="assaygate.drivers", name=name) or (None,)
        if point is None:
            raise KeyError(name)
        target = point.value
    module, _, attribute = target.partition(":")
    driver: Driver = getattr(import_module(module), attribute)
    return driver
