"""What meters and sensors print or answer, as data."""

from __future__ import annotations

from typing import Any, Final

from drivers.kit.declare import Variant

CELSIUS: Final[dict[str, Any]] = {"quantity": "temperature", "unit": "Cel", "low": 15.0, "high": 30.0, "step": 0.1}
PH: Final[dict[str, Any]] = {"quantity": "ph", "unit": "[pH]", "low": 4.0, "high": 10.0, "step": 0.01}
MILLIVOLTS: Final[dict[str, Any]] = {"quantity": "potential", "unit": "mV", "low": -180.0, "high": 180.0, "step": 0.1}
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

OVER: Final = {"[-+]OVR": "bad: over range"}
BESIDE: Final = r"   *(?P<t>-?\d+\.\d+|[-+]OVR)oC(?P<manual>[m ])?"
TPS_901: Final = Variant(
    name="tps-901",
    models=("TPS 901-PH",),
    options={
        "ask": [{"name": "reading", "send": "?D"}],
        "ask_end": "\r",
        "poll": "10s",
        "patterns": [
            {
                "match": r"(?=.{18,19}$) *(?P<ph>-?\d+\.\d+|[-+]OVR)pH" + BESIDE,
                "items": [
                    {**PH, "value": "ph", "nothing": OVER},
                    {**CELSIUS, "value": "t", "nothing": OVER},
                ],
                "print": "{ph:>6.2}pH  {t:>6.1}oC",
            },
            {
                "match": r"(?=.{18,19}$) *(?P<mv>-?\d+(?:\.\d+)?|[-+]OVR)mV" + BESIDE,
                "items": [
                    {**MILLIVOLTS, "value": "mv", "nothing": OVER},
                    {**CELSIUS, "value": "t", "nothing": OVER},
                ],
            },
            {"match": "BUSY", "ignore": True},
        ],
    },
    note="Six characters of pH or mV, the unit, six of temperature; asked with ?D or sent by its Send key. A blank in "
    "place of the point means that it is not calibrated: such a line is not read (901-PH manual 6.5 and 6.6).",
)  # fmt: skip

CONSORT: Final = Variant(
    name="consort",
    models=("Consort C731",),
    options={
        "patterns": [
            {
                "match": r"(?P<number>\d{4})\t(?P<ph>-?\d{1,2}\.\d{1,3})\tpH\t(?P<t>-?\d{1,3}\.\d)\t(?P<channel>\d)\t"
                r"(?P<time>\d\d:\d\d:\d\d)\t(?P<date>\d\d/\d\d/\d\d)",
                "items": [{**PH, "value": "ph"}, {**CELSIUS, "value": "t"}],
                "print": "0001\t{ph:>1.2}\tpH\t{t:>1.1}\t2\t{time:%H:%M:%S}\t{date:%d/%m/%y}",
            },
            {
                "match": r"(?P<number>\d{4})\t(?P<mv>-?\d{1,4}(?:\.\d)?)\tmV\t(?P<t>-?\d{1,3}\.\d)\t(?P<channel>\d)\t"
                r"(?P<time>\d\d:\d\d:\d\d)\t(?P<date>\d\d/\d\d/\d\d)",
                "items": [{**MILLIVOLTS, "value": "mv"}, {**CELSIUS, "value": "t"}],
            },
            {"match": r"Identification No: *(?P<identification>\d*)|#\tVALUE\t[^\r]*", "ignore": True},
        ],
    },
    device={"time_format": "dmy"},
    note="Columns between tabulators: number, value, unit, temperature, channel, time and date (C731 manual p. 13). "
    "150 to 4800 baud, 8N2, with XON and XOFF.",
)  # fmt: skip

WHEN: Final = r"(?:(?P<date>\d{1,4}[-./]\d\d[-./]\d{2,4})[ ,;]{1,4}(?P<time>\d\d:\d\d(?::\d\d)?)[ ,;]{1,4})?"
AND_MORE: Final = (
    r"(?:[ ,;]{1,8}(?P<mv>-?\d{1,4}(?:\.\d)?) ?mV)?(?:[ ,;]{1,8}(?:T ?[=:]? ?)?(?P<t>-?\d{1,3}\.\d{1,2}) ?[\xb0o]?C)?"
    r"(?:[ ,;]{1,8}(?P<compensation>ATC|MTC|AT|MT))?(?:[ ,;]{1,8}(?P<stability>AR|HOLD|READY|STABLE))? {0,8}"
)


def _ph(first: str, printed: str | None = None) -> dict[str, Any]:
    items = [{**PH, "value": "ph"}, {**MILLIVOLTS, "value": "mv"}, {**CELSIUS, "value": "t"}]
    return {"match": rf" {{0,8}}{WHEN}{first}{AND_MORE}", "items": items, "print": printed}


PH_LINE: Final = Variant(
    name="ph-line",
    options={
        "patterns": [
            _ph(r"pH ?[=:]? {0,8}(?P<ph>(?:1[0-4]|\d)\.\d{1,3})", "pH {ph:>1.2} {mv:>1.1} mV {t:>1.1} C"),
            _ph(r"(?P<ph>(?:1[0-4]|\d)\.\d{1,3}) ?pH"),
        ],
    },
    note="`pH 7.01 25.0 C`, `7.012 pH -1.3 mV 25.0 oC ATC`: pH with its name before or behind it, then perhaps mV and "
    "a temperature, with perhaps a date before. For meters of no known format: look at what they print, it rests on no "
    "document.",
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

METERS: Final = (VAISALA, COZIR, ORION, TPS, TPS_901, CONSORT, PH_LINE, LABELLED)
