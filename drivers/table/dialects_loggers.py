"""Data loggers and counters of cells: whose export has which columns."""

from __future__ import annotations

from typing import Any, Final

from drivers.kit.declare import Evidence, Variant

TESTDATA: Final = "github.com/Benchling-Open-Source/allotropy tests/parsers"


def _reading(column: Any, quantity: str, unit: str, low: float, high: float) -> dict[str, Any]:
    return {"value": column, "quantity": quantity, "unit": unit, "low": low, "high": high, "step": 0.5}


LOGGERS: Final = (
    Variant(
        name="easylog",
        models=("Lascar EL-USB-1, EL-USB-2 (EasyLog for Windows)",),
        options={
            "encoding": ["utf-8-sig", "cp1252"],
            "measures": "reading",
            "header": [["Time"], ["Celsius(°C)"]],
            "short_rows": True,
            "time": "Time",
            "fill_down": ["Serial Number"],
            "attributes": {"serial": "Serial Number"},
            "keep_rest": False,
            "results": [
                _reading("Celsius(°C)", "temperature", "Cel", -35.0, 80.0),
                _reading("Humidity(%rh)", "humidity", "%", 0.0, 100.0),
                _reading("Dew Point(°C)", "dew-point", "Cel", -35.0, 80.0),
            ],
        },
        note="the first column is the logger's name and the number of the reading; the serial stands once; °C",
    ),
    Variant(
        name="nucleoview",
        models=("ChemoMetec NucleoCounter NC-200 (NucleoView)",),
        options={
            "format": "pairs",
            "separator": ";",
            "encoding": ["utf-8-sig", "cp1252"],
            "header": [["Image"], ["Viability (%)"]],
            "specimen": "Image",
            "operator": "Operator",
            "time": "Date time",
            "attributes": {"instrument": "Instrument type", "serial": "Instrument s/n", "zone": "Time zone offset"},
            "ignore": ["PC", "Login ID"],
            "results": [
                {"value": "Viability (%)", "quantity": "viability", "unit": "%", "high": 100.0},
                {
                    "value": "Live (cells/ml)",
                    "quantity": "viable-cells",
                    "unit": "{cells}/mL",
                    "high": 5e6,
                    "step": 1e4,
                },
                {"value": "Dead (cells/ml)", "quantity": "dead-cells", "unit": "{cells}/mL", "high": 5e6, "step": 1e4},
                {"value": "Total (cells/ml)", "quantity": "cells", "unit": "{cells}/mL", "high": 5e6, "step": 1e4},
                {"value": "Estimated cell diameter (um)", "quantity": "cell-diameter", "unit": "um", "high": 50.0},
            ],
        },
        evidence=Evidence.RECORDING,
        recordings=(f"{TESTDATA}/chemometec_nucleoview",),
        note="one sample a file; its clock's text is kept, and too unusual to be read as a time",
    ),
)
