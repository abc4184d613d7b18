"""Instruments' queries as data: what each maker's manual prints."""

from __future__ import annotations

from typing import Final

from drivers.kit.declare import Variant

TEMPERATURE: Final = {"unit": "K", "low": 1.0, "high": 800.0}

VARIANTS: Final = (
    Variant(
        name="lakeshore-218",
        models=("218S", "218E"),
        options={
            "terminator": "\r\n",
            "errors": False,
            "queries": [
                {"ask": "KRDG? 0", "index": n, "quantity": f"temperature-{n}", **TEMPERATURE} for n in range(1, 9)
            ],
        },
        note="eight inputs at once, in kelvin; serial 9600 7O1. It has no error queue. Lake Shore 218 user's manual, "
        "6.2 and 6.3",
    ),
    Variant(
        name="lakeshore-211",
        models=("211",),
        options={
            "terminator": "\r\n",
            "errors": False,
            "queries": [
                {"ask": "KRDG?", "quantity": "temperature", **TEMPERATURE},
                {
                    "ask": "RDGST?",
                    "quantity": "reading-status",
                    "kind": "status",
                    "map": {
                        "000": "valid",
                        "002": "converter-not-responding",
                        "004": "alarm-low",
                        "008": "alarm-high",
                        "016": "under-range",
                        "032": "over-range",
                    },
                },
            ],
        },
        note="Lake Shore 211 user's manual, remote operation: KRDG?, RDGST?",
    ),
    Variant(
        name="cryocon",
        models=("24C",),
        options={
            "errors": False,
            "queries": [
                query
                for channel in "AB"
                for query in (
                    {"ask": f"INPUT? {channel}", "quantity": f"temperature-{channel.lower()}"},
                    {
                        "ask": f"INPUT {channel}:UNITS?",
                        "quantity": f"units-{channel.lower()}",
                        "kind": "status",
                        "map": {"K": "kelvin", "C": "celsius", "F": "fahrenheit", "S": "sensor-units"},
                    },
                    {
                        "ask": f"INPUT {channel}:ALARM?",
                        "quantity": f"alarm-{channel.lower()}",
                        "kind": "status",
                        "map": {"--": "none", "SF": "sensor-fault", "HI": "high", "LO": "low"},
                    },
                )
            ],
        },
        note='in the units of the display, which are asked for beside it: say them in `tests."INPUT? A".from_unit`. '
        "Cryo-con 24C manual, input commands",
    ),
    Variant(
        name="keysight-daq",
        models=("DAQ970A", "DAQ973A", "34970A", "34972A", "34980A"),
        options={
            "timeout": "30s",
            "queries": [
                {"ask": "READ?", "index": n, "quantity": f"temperature-{n}", "unit": "Cel", "low": -200, "high": 1300}
                for n in range(1, 4)
            ],
        },
        note="runs the scan list that is set up in the instrument and reads its first three channels, thermocouples in "
        "degrees Celsius; reading format without units, time and channel (as CONFigure leaves it). Keysight "
        "34970A/34972A user's guide, reading format; DAQ970A programming guide, FORMat",
    ),
    Variant(
        name="dmm",
        models=("34401A", "34461A", "Keithley 2000", "Keithley 2110", "ATM3500A"),
        options={"queries": [{"ask": "MEAS:VOLT:DC?", "quantity": "voltage", "unit": "V", "low": -1000, "high": 1000}]},
        note="bench multimeters; MEASure selects the function by itself. 9.9E37 on overload. HP 34401A user's guide, "
        "chapter 4, output data formats",
    ),
    Variant(
        name="fluke-thermometer",
        models=("1502A", "1504"),
        options={
            "errors": False,
            "terminator": "\r",
            "queries": [{"ask": "FETC?", "quantity": "temperature", "unit": "Cel", "low": -200, "high": 962}],
        },
        note="the last measurement as a bare number, in degrees Celsius as delivered. Fluke 1502A user's guide, "
        "7.3.1.1",
    ),
    Variant(
        name="fluke-1529",
        models=("1529",),
        options={
            "queries": [
                {"ask": f"MEAS? {n}", "quantity": f"temperature-{n}", "unit": "Cel", "low": -270, "high": 1800}
                for n in range(1, 5)
            ]
        },
        note="four channels, set to degrees Celsius (UNIT:TEMP C). Fluke 1529 user's guide, 8.4.1.7",
    ),
)
