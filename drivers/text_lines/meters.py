"""What meters and sensors print or answer, as data."""

from __future__ import annotations

from typing import Any, Final

from drivers.kit.declare import Variant

CELSIUS: Final[dict[str, Any]] = {"quantity": "temperature", "unit": "Cel", "low": 15.0, "high": 30.0, "step": 0.1}
MISSING: Final = {r"\*+": "bad: no measurement"}


def _air(unit: str, ucum: str, printed: str | None) -> dict[str, Any]:
    """A line of humidity and temperature; what follows stays in the attributes, unless it is another line."""
    return {
        "match": r" *RH *= *(?P<rh>\*+|-?\d+\.\d+) *%RH,? +T *= *(?P<t>\*+|-?\d+\.\d+) *'" + unit
        + r"(?P<rest> (?![^\r]*RH *=)[^\r]{0,200})?",
        "items": [
            {"value": "rh", "quantity": "humidity", "unit": "%", "low": 20.0, "high": 80.0, "step": 0.1,
             "nothing": MISSING},
            {**CELSIUS, "value": "t", "unit": ucum, "nothing": MISSING},
        ],
        "print": printed,
    }  # fmt: skip


VAISALA: Final = Variant(
    name="vaisala-hmt",
    models=("Vaisala HMT330", "Vaisala HMT310", "Vaisala HMP230"),
    options={
        "ask": [{"name": "air", "send": "SEND"}],
        "poll": "10s",
        "ask_end": "\r",
        "prompt": ">",
        "patterns": [
            _air("C", "Cel", "RH= {rh:>5.1} %RH T= {t:>5.1} 'C"),
            _air("F", "[degF]", None),
        ],
    },
    note="The factory format of SEND, `RH= 98.4 %RH T= 31.1 'C` (HMT330 user's guide M210566EN p. 102, HMP230 "
    "appendix 1); stars are no measurement. What follows stays in the attributes. 4800 baud, 7 bits, even "
    "parity as delivered.",
)

COZIR: Final = Variant(
    name="cozir",
    models=("Gas Sensing Solutions CozIR-A, CozIR-LP, CozIR-LP2",),
    options={
        "ask": [{"name": "co2", "send": "Z"}],
        "poll": "5s",
        "patterns": [
            {
                "match": r" *(?:H (?P<humidity_digits>\d{5}) )?(?:T (?P<temperature_digits>\d{5}) )?Z (?P<value>\d{5})"
                r"(?: z (?P<unfiltered>\d{5}))? *",
                "quantity": "co2",
                "unit": "[ppm]",
                "low": 400.0,
                "high": 5000.0,
                "step": 1.0,
                "print": " Z {value:>05}",
            },
            {"match": r" *[KMAPYGXUQ.] \d{1,5} *|\?", "ignore": True},
        ],
    },
    note="` Z 00512` is the filtered CO2 in ppm, asked for or streamed (CozIR-LP2 data sheet rev. 4.1, K command "
    "and measurement data outputs). Models that count in tens or hundreds of ppm need another unit: say so in "
    "`tests`. 9600 8N1, 3.3 V levels.",
)

ORION: Final = Variant(
    name="orion-star",
    models=("Thermo Scientific Orion Star A215 and others of A200, A300 that send the same fields",),
    options={
        "ask": [{"name": "measurement", "send": "GETMEAS"}],
        "poll": "10s",
        "ask_end": "\r",
        "prompt": ">",
        "patterns": [
            {
                "match": r"(?P<model>[A-Z]\d{3}[^,]*),(?P<serial>[^,]*),(?P<software>[^,]*),(?P<operator>[^,]*),"
                r"(?P<time>[^,]*),(?P<sample>[^,]*),(?P<channel>[^,]*),(?P<mode>[^,]*),"
                r" *(?P<ph>[-+]?\d+(?:\.\d+)?|-+), *pH, *(?P<mv>[-+]?\d+(?:\.\d+)?|-+), *mV,"
                r" *(?P<t>[-+]?\d+(?:\.\d+)?|-+), *C,(?P<rest>[^\r]*)",
                "items": [
                    {"value": "ph", "quantity": "ph", "unit": "[pH]", "low": 4.0, "high": 10.0, "step": 0.01,
                     "nothing": {"-+": "bad: no electrode"}},
                    {"value": "mv", "quantity": "potential", "unit": "mV", "low": -180.0, "high": 180.0, "step": 0.1,
                     "nothing": {"-+": "bad: no electrode"}},
                    {**CELSIUS, "value": "t", "nothing": {"-+": "bad: no temperature probe"}},
                ],
                "print": "A215 pH,X00001,3.04,OP1,{time:%m/%d/%y}  {time:%H:%M:%S},---,CH-1,pH,{ph},pH,{mv}, mV,{t},C,"
                "98.1,%,M100,#1",
            },
        ],
    },
    device={"time_format": "mdy"},
    note="The comma-separated line a meter in pH mode answers to GETMEAS, with Export Data and Data Log off; it "
    "echoes what it is asked and says > when it is ready (Star A200 manual, chapter 7; fields as in a "
    "published capture of an A215). The order of the date is set in the meter. 9600 8N1.",
)  # fmt: skip

TPS: Final = Variant(
    name="tps-wp",
    models=("TPS WP-80",),
    options={
        "patterns": [
            {
                "match": r"(?=.{46}$) *(?P<log>\d+)  +(?P<ph>-?\d+\.\d+)pH   +(?P<t>-?\d+\.\d+)oC(?P<manual>[m ])  "
                r"(?P<date>\d\d/\d\d/\d\d)  (?P<time>\d\d:\d\d:\d\d)",
                "items": [
                    {"value": "ph", "quantity": "ph", "unit": "[pH]", "low": 4.0, "high": 10.0, "step": 0.01},
                    {**CELSIUS, "value": "t"},
                ],
                "print": "   0  {ph:>6.2}pH   {t:>6.1}oC   {date:%d/%m/%y}  {time:%H:%M:%S}",
            },
            {
                "match": r"(?=.{46}$) *(?P<log>\d+)  +(?P<mv>-?\d+(?:\.\d+)?)mV(?P<relative>[R ])  +(?P<t>-?\d+\.\d+)oC"
                r"(?P<manual>[m ])  (?P<date>\d\d/\d\d/\d\d)  (?P<time>\d\d:\d\d:\d\d)",
                "items": [
                    {"value": "mv", "quantity": "potential", "unit": "mV", "low": -180.0, "high": 180.0, "step": 0.1},
                    {**CELSIUS, "value": "t"},
                ],
            },
        ],
    },
    device={"time_format": "dmy"},
    note="What its Print and Send keys send: number, pH or mV, temperature (`oCm` one that was typed in), date, "
    "time (WP-80 manual 11.6).",
)

LABELLED: Final = Variant(
    name="labelled",
    options={
        "patterns": [
            {
                "match": r" *(?P<test>[A-Za-z][^:=\s]*) *[:=] *(?P<value>[-+<>]? ?\d+(?:[.,]\d+)?)(?![.,]) *"
                r"(?P<unit>[A-Za-z%/°µ[][^\s:=]{0,15})? *",
                "print": "{test}={value} {unit}",
            }
        ],
        "analytes": [
            {"test": "pH", "quantity": "ph", "unit": "[pH]", "low": 4.0, "high": 10.0, "step": 0.01},
            {**CELSIUS, "test": "T", "high": 90.0, "step": 0.01},
        ],
    },
    note="`T=23.45 C`, `pH: 7.01`, `Osmolality = 291 mOsm/kg`: a name, a number and perhaps a unit on each line. "
    "For meters and hand-made probes of no known make: what they print must be looked at, it rests on no "
    "document.",
)

METERS: Final = (VAISALA, COZIR, ORION, TPS, LABELLED)
