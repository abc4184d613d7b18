"""What makers print, as data: patterns of lines, what is asked, and what their signs mean."""

from __future__ import annotations

from typing import Any, Final

from drivers.kit.declare import Evidence, Variant

BALANCE: Final[dict[str, Any]] = {"quantity": "mass", "low": 0.01, "high": 220.0, "step": 0.01}
# Units of mass as balances shorten them; elsewhere some of these mean something else.
MASS: Final = {"lb": "[lb_av]", "oz": "[oz_av]", "ozt": "[oz_tr]", "GN": "[gr]", "dwt": "[pwt_tr]", "ct": "[car_m]"}
NUMBER: Final = r"[-+]?\d+(?:\.\d+)?"
WEIGHT: Final = r"(?P<value>[-+]? {0,9}\d+(?:\.\d+)?)"
CELSIUS: Final[dict[str, Any]] = {"quantity": "temperature", "unit": "Cel", "low": 10.0, "high": 90.0, "step": 0.01}


def _ask(name: str, send: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "send": send, **more}


SARTORIUS: Final = Variant(
    name="sartorius-sbi",
    models=("Sartorius Cubis", "Sartorius Entris", "Sartorius LE, LA, LP, CP, ED"),
    options={
        "ask": [_ask("mass", "\x1bP")],
        "poll": "2s",
        "patterns": [
            {
                **BALANCE,
                "match": rf"(?P<label>[A-Za-z#][A-Za-z0-9#]{{0,5}})? *{WEIGHT} +(?P<unit>[A-Za-z/%]{{1,3}}) *",
                "print": "+{value:>9} g  ",
            },
            {
                **BALANCE,
                "match": rf"(?P<label>[A-Za-z#][A-Za-z0-9#]{{0,5}})? *{WEIGHT} *",
                "quality": "uncertain: not stable",
            },
            {**BALANCE, "match": r"(?:Stat)? *(?P<value>H|High) *", "quality": "bad: overload"},
            {**BALANCE, "match": r"(?:Stat)? *(?P<value>L|Low) *", "quality": "bad: underload"},
            {**BALANCE, "match": r"(?:Stat)? *(?P<value>C|Cal\.?) *", "quality": "bad: being calibrated"},
            {**BALANCE, "match": r"(?:Stat)? *(?P<value>Err *\d{1,3}|OFF|--+) *", "quality": "bad: no weight"},
        ],
    },
    device={"units": MASS},
    note="SBI, 16 and 22 characters, asked with ESC P. A blank unit means not stable; a display of H, L or Err is no "
    "weight (Sartorius LE operating instructions, data interface).",
)

AND: Final = Variant(
    name="and-balance",
    models=("A&D EJ", "A&D EK", "A&D GF, GX, FX"),
    options={
        "ask": [_ask("mass", "Q")],
        "poll": "2s",
        "statuses": {"ST": "good", "US": "uncertain: not stable", "OL": "bad: overload"},
        "patterns": [
            {
                **BALANCE,
                "match": r"(?P<status>ST|US|OL),(?P<value>[-+]\d+(?:\.\d+)?(?:E[-+]\d+)?) *(?P<unit>[A-Za-z%]{1,3})? *",
                "print": "ST,+{value:>08}  g",
            },
            {"quantity": "count", "unit": "{pcs}", "match": r"QT,(?P<value>[-+]\d+) *PC *"},
        ],
    },
    device={"units": MASS},
    note="Standard format: ST stable, US unstable, QT counted; OL is an overload whatever number follows (A&D EJ and "
    "EK manuals, data formats). Asked with Q. As delivered: 2400 baud, 7 bits, even parity.",
)

OHAUS: Final = Variant(
    name="ohaus",
    models=("Ohaus Explorer", "Ohaus Adventurer", "Ohaus Ranger 3000"),
    options={
        "ask": [_ask("mass", "IP")],
        "poll": "2s",
        "statuses": {"?": "uncertain: not stable"},
        "patterns": [
            {
                **BALANCE,
                "match": rf" *{WEIGHT} +(?P<unit>[A-Za-z%]{{1,5}})(?: ?(?P<status>\?))? {{0,5}}"
                r"(?P<legend>[A-Z]{1,3})? *",
                "print": "{value:>11} g     ",
            },
            {"match": r"OK!?", "ignore": True},
            {**BALANCE, "match": r"(?P<value>Err.{0,20}|E\d{1,3}|[-^_]{3,})", "quality": "bad: no weight"},
        ],
    },
    device={"units": MASS},
    note="Weight right-aligned, unit, then ? where it is not stable (Ohaus Explorer manual, output format). "
    "Asked with IP.",
)

RADWAG: Final = Variant(
    name="radwag",
    models=("Radwag PS, AS, WTC, APP",),
    options={
        "statuses": {
            "": "good",
            "?": "uncertain: not stable",
            "^": "bad: above the weighing range",
            "v": "bad: below the weighing range",
        },
        "patterns": [
            {
                **BALANCE,
                "match": r"(?:(?:SUI|SU|SI|S) {1,3})?(?P<status>[ ?^v]) ?(?P<value>[-+ ] {0,9}\d+(?:\.\d+)?) +"
                r"(?P<unit>[A-Za-z%]{1,3}) *",
                "print": "  {value:>10} g  ",
            },
            {"match": r"(?:SUI|SU|SI|S|Z|T|UI) [ADIE]", "ignore": True},
        ],
    },
    device={"units": MASS},
    note="The stability marker comes first: blank stable, ? not stable, ^ and v out of range (Radwag APS/R manual, "
    "data formats). Printed by key or continuously.",
)

VAISALA: Final = Variant(
    name="vaisala-hmt",
    models=("Vaisala HMT120/130", "Vaisala HMT330", "Vaisala HMP series with RS-232"),
    options={
        "ask": [_ask("air", "SEND")],
        "poll": "10s",
        "ask_end": "\r",
        "patterns": [
            {
                "match": r"RH *= *(?P<rh>\*+|[-+]?\d+\.\d+) *%RH,? +T *= *(?P<t>\*+|[-+]?\d+\.\d+) *'?C"
                r"(?P<rest>[^\r]*)",
                "items": [
                    {"value": "rh", "quantity": "humidity", "unit": "%", "low": 20.0, "high": 80.0, "step": 0.1,
                     "nothing": {r"\*+": "bad: no measurement"}},
                    {**CELSIUS, "value": "t", "low": 15.0, "high": 30.0, "step": 0.1,
                     "nothing": {r"\*+": "bad: no measurement"}},
                ],
                "print": "RH= {rh:>5.1} %RH T= {t:>5.1} 'C",
            }
        ],
    },
    note="The factory format of SEND, `RH= 45.2 %RH T= 22.3 'C`; stars are no measurement. What follows stays in the "
    "attributes.",
)  # fmt: skip

COZIR: Final = Variant(
    name="cozir",
    models=("Gas Sensing Solutions COZIR-A", "SenseAir and other sensors with the same ASCII protocol"),
    options={
        "ask": [_ask("co2", "Z")],
        "poll": "5s",
        "patterns": [
            {
                "match": r" *Z (?P<value>\d{5})(?: z (?P<unfiltered>\d{5}))? *",
                "quantity": "co2",
                "unit": "[ppm]",
                "low": 400.0,
                "high": 5000.0,
                "step": 1.0,
                "print": " Z {value:>05}",
            },
            {"match": r" ?(?:K|A|P|Y|G|X|U) .*|\?", "ignore": True},
        ],
    },
    note="` Z 00512` is the filtered CO2 in ppm of a sensor with multiplier 1; those that measure above 1 % have "
    "multiplier 10 or 100 and need another unit. 9600 8N1, 3.3 V levels.",
)

IKA: Final = Variant(
    name="ika-namur",
    models=("IKA RCT digital and control", "IKA C-MAG HS", "IKA RET"),
    options={
        "ask": [_ask("probe", "IN_PV_1"), _ask("plate", "IN_PV_2"), _ask("speed", "IN_PV_4")],
        "ask_end": " \r\n",
        "patterns": [
            {**CELSIUS, "asked": "probe", "match": rf"(?P<value>{NUMBER}) 1 *", "print": "{value} 1"},
            {**CELSIUS, "quantity": "plate-temperature", "asked": "plate", "match": rf"(?P<value>{NUMBER}) 2 *",
             "print": "{value} 2"},
            {"quantity": "speed", "unit": "/min", "low": 0.0, "high": 1500.0, "step": 1.0, "asked": "speed",
             "match": rf"(?P<value>{NUMBER}) 4 *", "print": "{value}.0 4"},
        ],
    },
    note="NAMUR commands; the answer repeats the number of what was asked. 9600 baud, 7 bits, even parity.",
)  # fmt: skip

JULABO: Final = Variant(
    name="julabo",
    models=("Julabo circulators with RS-232",),
    options={
        "ask": [
            _ask("state", "STATUS"),
            _ask("bath", "IN_PV_00", sync="state"),
            _ask("external", "IN_PV_02", sync="state"),
        ],
        "ask_end": "\r",
        "patterns": [
            {**CELSIUS, "asked": "bath", "match": rf" *(?P<value>{NUMBER}) *", "print": "{value:>7.2}"},
            {**CELSIUS, "quantity": "external-temperature", "asked": "external", "match": rf" *(?P<value>{NUMBER}) *",
             "nothing": {r"-+(?:\.-+)?": "bad: no external sensor"}, "print": "{value:>7.2}"},
            {"quantity": "external-temperature", "asked": "external", "match": r" *(?P<value>-[-.]+) *",
             "quality": "bad: no external sensor"},
            {"quantity": "state", "kind": "status", "asked": "state", "match": r" *(?P<value>-?\d\d [A-Z].{0,60})",
             "words": ["01 MANUAL START", "03 REMOTE START"], "print": "03 REMOTE START"},
        ],
    },
    note="An answer does not say what it answers: after one that is missed the state is asked first. 4800 baud, 7 "
    "bits, even parity as delivered.",
)  # fmt: skip

LAUDA: Final = Variant(
    name="lauda",
    models=("Lauda Eco, Pro, Variocool, Integral",),
    options={
        "ask": [_ask("bath", "IN_PV_00")],
        "patterns": [
            {**CELSIUS, "asked": "bath", "match": rf" *(?P<value>{NUMBER}) *", "print": "{value:>7.2}"},
            {**CELSIUS, "asked": "bath", "match": r"(?P<value>ERR_\d{1,3}) *", "quality": "bad: the bath refuses"},
        ],
    },
    note="`IN_PV_00` is the bath's temperature; ERR_3 and the like are no temperature.",
)

HUBER: Final = Variant(
    name="huber-pb",
    models=("Huber Pilot ONE",),
    options={
        "ask": [_ask("bath", "{M01****"), _ask("external", "{M07****")],
        "patterns": [
            {**CELSIUS, "form": "hex16", "decimals": 2, "asked": "bath", "match": r"\{S01(?P<value>[0-9A-F]{4})",
             "nothing": {"7FFF": "bad: no sensor"}, "print": "{S01{value}"},
            {**CELSIUS, "quantity": "external-temperature", "form": "hex16", "decimals": 2, "asked": "external",
             "match": r"\{S07(?P<value>[0-9A-F]{4})", "nothing": {"7FFF": "bad: no sensor"}, "print": "{S07{value}"},
        ],
    },
    note="PB commands: four hexadecimal digits, signed, in hundredths of a degree; the answer names what it answers. "
    "Port 8101, or RS-232 with 9600 8N1.",
)  # fmt: skip

ORION: Final = Variant(
    name="orion-star",
    models=("Thermo Orion Star A211, A214, A215, A221", "VWR symPHony"),
    options={
        "ask": [_ask("measurement", "GETMEAS")],
        "poll": "10s",
        "ask_end": "\r",
        "patterns": [
            {
                "match": r"(?P<model>[A-Z]\d{3}[^,]*),(?P<serial>[^,]*),(?P<software>[^,]*),(?P<operator>[^,]*),"
                r"(?P<time>[^,]*),(?P<sample>[^,]*),(?P<channel>[^,]*),(?P<mode>[^,]*),"
                r" *(?P<ph>[-+]?\d+(?:\.\d+)?|-+),? *pH, *(?P<mv>[-+]?\d+(?:\.\d+)?|-+),? *mV,"
                r" *(?P<t>[-+]?\d+(?:\.\d+)?|-+),? *C(?P<rest>,.*)?",
                "items": [
                    {"value": "ph", "quantity": "ph", "unit": "[pH]", "low": 4.0, "high": 10.0, "step": 0.01,
                     "nothing": {"-+": "bad: no electrode"}},
                    {"value": "mv", "quantity": "potential", "unit": "mV", "low": -180.0, "high": 180.0, "step": 0.1,
                     "nothing": {"-+": "bad: no electrode"}},
                    {**CELSIUS, "value": "t", "low": 15.0, "high": 30.0, "step": 0.1,
                     "nothing": {"-+": "bad: no temperature probe"}},
                ],
                "print": "A211 pH,X00001,3.04,op1,{time:%m/%d/%y %H:%M:%S},S1,CH-1,pH,{ph},pH,{mv},mV,{t},C,98.1 %,M1",
            },
            {"match": r">? ?(?:GETMEAS)?", "ignore": True},
        ],
    },
    device={"time_format": "mdy"},
    note="The comma-separated line a Star A meter prints or answers to GETMEAS, with its output set to `PC`.",
)  # fmt: skip

LABELLED: Final = Variant(
    name="labelled",
    options={
        "patterns": [
            {
                "match": r" *(?P<test>[A-Za-z][^:=\s]*) *[:=] *(?P<value>[-+<>]? ?\d+(?:[.,]\d+)?) *"
                r"(?P<unit>[^\s\d]\S*)? *",
                "print": "{test}={value} {unit}",
            }
        ],
        "analytes": [
            {"test": "pH", "quantity": "ph", "unit": "[pH]", "low": 4.0, "high": 10.0, "step": 0.01},
            {**CELSIUS, "test": "T"},
        ],
    },
    note="`T=23.45 C`, `pH: 7.01`, `Osmolality = 291 mOsm/kg`: a name, a number and perhaps a unit on each line "
    "(osmometers, refractometers, densitometers, meters and hand-made probes).",
)

SPOTCHEM_ITEM: Final = (
    r"(?P<test>\S{1,5}) +(?P<flags>[\x1e\x1f])? *(?P<value>\d+(?:\.\d+)?) +(?P<unit>\S{1,6}) *(?P<at>[+*])? *"
)
SPOTCHEM_EZ: Final = Variant(
    name="spotchem-ez",
    models=("Arkray Spotchem EZ SP-4430",),
    options={
        "framing": "blocks",
        "more": "\x17",
        "flag_codes": {"\x1e": "H", "\x1f": "L"},
        "patterns": [
            {"match": r"(?P<date>\d\d/\d\d/\d\d) +(?P<time>\d\d:\d\d) *", "print": "{time:%y/%m/%d     %H:%M}  "},
            {"match": r"ID# ?(?P<specimen>\S*) *", "print": "ID# {specimen:<16}"},
            {"match": r" ?MULTI:(?P<panel>[^\r]*)|SINGLE: *", "print": " MULTI:PANEL-V      "},
            {"kind": "result", "match": SPOTCHEM_ITEM, "print": "{test:<5}  {value:>5} {unit:<6} "},
            {
                "kind": "result",
                "match": r"(?P<test>\S{1,5}) +(?:UNDER|OVER) *(?P<value>[<>] *\d+(?:\.\d+)?) *(?P<at>[+*])? *",
            },
            {
                "kind": "result",
                "match": r"(?P<test>\S{1,5}) +(?P<value>CANCEL|CAL\S{0,9}|E\d{1,3})(?: .{0,20})?",
                "quality": "bad: not measured",
            },
        ],
        "analytes": [
            {"test": name, "quantity": quantity, "kind": "result", "unit": unit, "low": low, "high": high, "step": step}
            for name, quantity, unit, low, high, step in (
                ("Glu", "glucose", "mmol/L", 3.0, 20.0, 0.1),
                ("BUN", "urea-nitrogen", "mmol/L", 2.0, 20.0, 0.1),
                ("Cre", "creatinine", "umol/L", 40.0, 300.0, 1.0),
            )
        ],
    },
    evidence=Evidence.RECORDING,
    recordings=("github.com/sovcik/spotchem-pdf samples/001.txt and samples/002 Multi+Single.txt",),
    device={"time_format": "ymd"},
    note="Blocks of lines between STX and ETX, ETB where another strip follows; 1E and 1F before a value are high and "
    "low. UNDER and OVER print a limit without its unit.",
)  # fmt: skip

SPOTCHEM_EL: Final = Variant(
    name="spotchem-el",
    models=("Arkray Spotchem EL SE-1520",),
    options={
        "framing": "blocks",
        "patterns": [
            {
                "match": r"(?P<date>\d\d/\d\d/\d\d) +(?P<time>\d\d:\d\d) +ID# *(?P<specimen>\S+) +"
                r"\[(?P<material>[^\]]*)\] +Na +(?P<na>\S+) +(?P<unit_na>\S+) +K +(?P<k>\S+) +(?P<unit_k>\S+) +"
                r"Cl +(?P<cl>\S+) +(?P<unit_cl>\S+) *",
                "items": [
                    {"value": name.lower(), "test": name, "quantity": quantity, "kind": "result", "unit": "mmol/L",
                     "low": low, "high": high, "step": step, "nothing": {r"[-*]+(?:\.[-*]+)?": "bad: not measured"}}
                    for name, quantity, low, high, step in (
                        ("Na", "sodium", 120.0, 160.0, 1.0),
                        ("K", "potassium", 2.5, 7.5, 0.1),
                        ("Cl", "chloride", 85.0, 120.0, 1.0),
                    )
                ],
                "print": "{time:%y/%m/%d %H:%M} ID# {specimen:<14} [B. Plasma] Na {na:>8}  mmol/L K {k:>8}  mmol/L "
                "Cl {cl:>8}  mmol/L",
            }
        ],
    },
    device={"time_format": "ymd"},
    note="One line of sodium, potassium and chloride between STX and ETX.",
)  # fmt: skip

GRADES: Final = ("+", "1+", "2+", "3+", "4+", "+1", "+2", "+3", "+4")
URINE: Final = Variant(
    name="urine-strip",
    models=("Dirui H-100", "Human Combilyzer", "and readers that print a line a pad"),
    options={
        "framing": "blocks",
        "flag_codes": {"*": "A"},
        "calls": {"-": "negative", "neg": "negative", "Neg": "negative", "NEG": "negative", "norm": "normal",
                  "Norm": "normal", "+-": "indeterminate", "+/-": "indeterminate",
                  **dict.fromkeys(GRADES, "positive")},
        "qc": (r"QC.*",),
        "patterns": [
            {"match": r" {0,4}(?:(?:No|NO|Seq|SEQ)[.:#]? ?(?P<run>\S+) {1,9})?(?:Date:? ?)?"
             r"(?P<time>\d{2,4}[-/.]\d\d[-/.]\d{2,4} +\d\d:\d\d(?::\d\d)?) *",
             "print": "NO.1 {time:%Y-%m-%d %H:%M}"},
            {"match": r" *ID[.:#]? *(?P<specimen>\S*) *", "print": "ID:{specimen}"},
            {
                "kind": "result",
                "match": r" *(?P<flags>\*)? *(?P<test>[A-Za-z]{2,4}) +"
                r"(?P<value>[Nn][Ee][Gg]|[Nn]orm(?:al)?|[+]/?-|[+]{1,4}|[+][1-4]|[1-4][+]|-) *"
                r"(?P<concentration>[<>]?=?\d+(?:\.\d+)?)? *(?P<concentration_unit>[A-Za-z%]\S*)? *",
                "print": " {test:<4} {call}",
            },
            {
                "kind": "result",
                "match": r" *(?P<flags>\*)? *(?P<test>pH|PH|SG) +(?P<value>[<>]?=?\d(?:\.\d+)?) *",
                "print": None,
            },
        ],
        "analytes": [
            {"test": "LEU", "quantity": "leukocytes", "kind": "result", "words": ["neg", "1+", "2+"]},
            {"test": "NIT", "quantity": "nitrite", "kind": "result", "words": ["neg", "+"]},
            {"test": "GLU", "quantity": "glucose", "kind": "result", "words": ["norm", "1+", "2+"]},
            {"test": "PRO", "quantity": "protein", "kind": "result", "words": ["neg", "1+"]},
        ],
    },
    note="A heading with number and time, an ID, and a line a pad: its grade, and beside it what that stands for. "
    "Check against the reader's own print-out.",
)  # fmt: skip

VARIANTS: Final = (
    SARTORIUS,
    AND,
    OHAUS,
    RADWAG,
    VAISALA,
    COZIR,
    IKA,
    JULABO,
    LAUDA,
    HUBER,
    ORION,
    LABELLED,
    SPOTCHEM_EZ,
    SPOTCHEM_EL,
    URINE,
)
