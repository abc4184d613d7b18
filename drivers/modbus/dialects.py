"""Instruments' register tables as data: what each maker's manual prints, and where its page leaves a choice.

A table here is what the instrument does as delivered. Where the operator can change units, decimals or the order of
words, that is said in the note, and the device's own `registers` take the table's place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from drivers.kit.declare import Variant

Row = dict[str, Any]


def _reads(quantity: str, at: int, unit: str | None = None, **more: Any) -> Row:
    return {"quantity": quantity, "at": at, **({"unit": unit} if unit else {}), **more}


def _float(quantity: str, at: int, unit: str, **more: Any) -> Row:
    """A float with its low word first."""
    return _reads(quantity, at, unit, type="float32", words="CDAB", **more)


def _tenths(quantity: str, at: int, unit: str = "Cel", **more: Any) -> Row:
    return _reads(quantity, at, unit, scale=0.1, **more)


def _within(row: Row, low: float, high: float) -> Row:
    """What is plausible of it."""
    return {**row, "low": low, "high": high}


def _rtd(quantity: str, at: int) -> Row:
    """Tenths of a degree within what a platinum resistance can measure."""
    return _within(_tenths(quantity, at), -200, 850)


def _bits(table: str, at: int, names: dict[int, str]) -> Iterable[Row]:
    return (
        _reads(name, at, table=table, type="bit", bit=bit, kind="status", map={0: "off", 1: "on"})
        for bit, name in names.items()
    )


VARIANTS: Final = (
    Variant(
        name="watlow-ez-zone",
        models=("EZ-ZONE PM", "EZ-ZONE RM", "EZ-ZONE ST"),
        options={
            "registers": [
                _float("temperature", 360, "[degF]"),
                _float("setpoint", 2160, "[degF]", kind="status"),
            ]
        },
        note="Modbus port 2, map 1, low word first; degrees Fahrenheit until register 2490 is set otherwise, "
        "whatever the display shows. Watlow EZ-ZONE Communications user's manual, page 13; EZ-ZONE RMC user's "
        "guide, page 38",
    ),
    Variant(
        name="omega-cn7",
        models=("CN7200", "CN7500", "CN7600", "CN7800"),
        options={"registers": [_rtd("temperature", 0x1000), _tenths("setpoint", 0x1001, kind="status")]},
        note="1000H and 1001H, tenths; error codes 8002H and on are below what is plausible. One published list "
        "counts from 4095: try 4095 where 4096 answers the setpoint. In degrees Celsius if the instrument is",
    ),
    Variant(
        name="pixsys-atr",
        models=("ATR142", "ATR243", "ATR401"),
        options={
            "block": 20,
            "registers": [_rtd("temperature", 1000), _tenths("setpoint", 1001, kind="status")],
        },
        note="tenths for temperature sensors, digits for others, in degrees Celsius if the instrument is. Not the "
        "ATR141 and ATR621, whose 1001 is something else. Pixsys ATR142 user manual, page 21; ATR243, page 25; "
        "ATR401, page 27",
    ),
    Variant(
        name="eurotherm-2400",
        models=("2404", "2408", "2416"),
        options={
            "registers": [
                _reads("temperature", 0x8000 + 2 * 1, "Cel", type="float32"),
                _reads("setpoint", 0x8000 + 2 * 5, "Cel", type="float32", kind="status"),
                _reads("sensor", 258, kind="status", map={0: "good", 1: "broken"}),
            ]
        },
        note="process value 1, working set point 5 and sensor break 258 as printed in AERCO OMM-0069, appendix A, "
        "after Eurotherm HA026230; the first two from the IEEE area, where the decimals set in the instrument "
        "do not matter (8000H and twice the address: general knowledge, not seen in print). In degrees Celsius "
        "if the instrument is",
    ),
    Variant(
        name="delta-dte",
        models=("DTE10P", "DTE10T"),
        options={
            "block": 8,
            "registers": [_rtd(f"temperature-{n}", 0x0FFF + n) for n in range(1, 9)],
        },
        note="eight PT100 or thermocouple inputs, in degrees Celsius as delivered; error codes stand in place of "
        "temperatures. Delta DTE instruction sheet, RS-485 communication",
    ),
    Variant(
        name="vaisala-gmp25x",
        models=("GMP251", "GMP252"),
        options={
            "unit": 240,
            "registers": [
                _float("co2", 0, "[ppm]"),
                _reads("device-status", 0x0800, kind="status", map={0: "ok", 1: "critical", 2: "error", 4: "warning"}),
                _reads("co2-status", 0x0801, kind="status", map={0: "ok", 2: "not-reliable", 256: "not-ready"}),
            ],
        },
        note="19200 8N2, address 240 as delivered; not-a-number while nothing is measured. Vaisala GMP252 user guide"
        " M211897EN-D, appendix A",
    ),
    Variant(
        name="vaisala-hmp",
        models=("HMP3", "HMP4", "HMP5", "HMP7", "HMP8", "HMP9", "HMP110"),
        options={
            "unit": 240,
            "registers": [_within(_float("humidity", 0, "%"), 0, 100), _float("temperature", 2, "Cel")],
        },
        note="19200 8N2, address 240 as delivered. Vaisala HMP series user guide M212022EN, appendix A",
    ),
    Variant(
        name="vaisala-gmw80",
        models=("GMW80 series",),
        options={
            "registers": [
                _reads("co2", 0x0100, "[ppm]", invalid=[-32768]),
                _tenths("temperature", 0x0102, invalid=[-32768]),
            ],
        },
        note="address by its switches; the integers, 8000H where nothing is measured. Vaisala GMW80 series user "
        "guide M211748EN-G, appendix A",
    ),
    Variant(
        name="senseair",
        models=("S8", "K30"),
        options={
            "unit": 254,
            "registers": [
                _reads("co2", 3, "[ppm]", table="input", low=0, high=30000),
                _reads("sensor-status", 0, table="input", type="uint16", kind="status", map={0: "ok"}),
            ],
        },
        note="input register 4 and the status in 1, address 254 (any sensor). Senseair TDE2067, Modbus on S8",
    ),
    Variant(
        name="comet-co2",
        models=("Guilcor AR006708",),
        options={
            "base": 1,
            "registers": [_tenths("temperature", 0x31), _tenths("humidity", 0x32, "%"), _reads("co2", 0x34, "[ppm]")],
        },
        note="counted from 1, as the manual says: 31H goes over the wire as 30H. Guilcor AR006708 manual (a Comet "
        "regulator with RS-485), 6.1.3",
    ),
    Variant(
        name="splus-s-co2",
        models=("AERASGARD RFTM-LQ-PS-CO2-Modbus", "AERASGARD RCO2-Modbus"),
        options={
            "base": 1,
            "registers": [
                _reads("co2", 2, "[ppm]", table="input"),
                _tenths("temperature", 6, table="input"),
                _tenths("humidity", 8, "%", table="input"),
            ],
        },
        note="the filtered values. S+S Regeltechnik AERASGARD operating instructions, page 24",
    ),
    Variant(
        name="adtek-wall",
        models=("CO2, temperature and humidity transmitter, wall, RS485",),
        options={
            "registers": [_tenths("temperature", 0), _tenths("humidity", 1, "%"), _reads("co2", 5, "[ppm]")],
        },
        note="Adtek wall RS485 manual, page 4, with its printed questions and answers",
    ),
    Variant(
        name="sensecap-orch-s4",
        models=("SenseCAP ORCH S4",),
        options={
            "registers": [
                _reads("temperature", 0, "Cel", scale=0.01, low=-40, high=85),
                _reads("humidity", 1, "%", scale=0.01, low=0, high=100),
                _reads("pressure", 2, "Pa", type="uint32", low=30000, high=110000),
                _reads("illuminance", 4, "lx", type="uint32", scale=0.001, low=0, high=188000),
            ],
        },
        note="Seeed ORCH S4 user guide, 4.3",
    ),
    Variant(
        name="thermo-ult",
        models=("TSX series", "TDE series", "Isotemp -86"),
        options={
            "framing": "ascii",
            "registers": [
                _tenths("setpoint", 0x530, type="int32", kind="status"),
                _tenths("warm-alarm", 0x538, type="int32", kind="status"),
                _tenths("cold-alarm", 0x53C, type="int32", kind="status"),
                *(
                    _reads(f"thermocouple-{n}", 0x4C4 + 4 * n, "Cel", type="float32", low=-110, high=90, invalid=[-127])
                    for n in range(2, 6)
                ),
            ],
        },
        note="-86 C freezers: Modbus ASCII, 7E1, set points in tenths of signed 32-bit numbers, thermocouples as the"
        " manual numbers them (it does not say where they are). Thermo Scientific Isotemp -86 C manual, "
        "appendix B; TSX series, appendix D, whose printed answers of address 19H do not carry the check "
        "characters they should",
    ),
    Variant(
        name="hettich-hettcube",
        models=("HettCube 60",),
        options={
            "registers": [
                _within(_tenths("temperature", 0, table="input"), 0, 100),
                _reads("door", 3, table="input", map={0: "closed", 1: "open"}),
                *_bits(
                    "input",
                    4,
                    {
                        0: "door-alarm",
                        1: "upper-temperature-alarm",
                        2: "lower-temperature-alarm",
                        5: "main-sensor-error",
                        10: "hardware-error",
                    },
                ),
            ]
        },
        note="incubators over Modbus TCP. Hettich HettCube operating instructions AB69601, 6.20",
    ),
)
