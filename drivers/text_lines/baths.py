"""What thermostats, hot plates and stirrers answer, as data."""

from __future__ import annotations

from typing import Any, Final

from drivers.kit.declare import Variant

NUMBER: Final = r"-?\d{1,4}\.\d{1,3}"
CELSIUS: Final[dict[str, Any]] = {"quantity": "temperature", "unit": "Cel", "low": 10.0, "high": 90.0, "step": 0.01}
EXTERNAL: Final[dict[str, Any]] = {**CELSIUS, "quantity": "external-temperature"}


def _ask(name: str, send: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "send": send, **more}


IKA: Final = Variant(
    name="ika-namur",
    models=("IKA RCT digital", "IKA RET control-visc"),
    options={
        "ask": [_ask("probe", "IN_PV_1"), _ask("plate", "IN_PV_2"), _ask("speed", "IN_PV_4")],
        "ask_end": " \r \n",
        "patterns": [
            {**CELSIUS, "asked": "probe", "match": rf"(?P<value>{NUMBER}) 1 *", "print": "{value:>1.1} 1"},
            {**CELSIUS, "quantity": "plate-temperature", "asked": "plate", "match": rf"(?P<value>{NUMBER}) 2 *",
             "print": "{value:>1.1} 2"},
            {"quantity": "speed", "unit": "/min", "low": 0.0, "high": 1500.0, "step": 1.0, "asked": "speed",
             "match": rf"(?P<value>{NUMBER}) 4 *", "print": "{value}.0 4"},
        ],
    },
    note="NAMUR commands; the answer repeats the number of what was asked. 9600 baud, 7 bits, even parity. As "
    "published programs speak it that name their manuals: RET control-visc 20000004159 pp. 31-34, RCT digital "
    "pp. 103-104.",
)  # fmt: skip

JULABO: Final = Variant(
    name="julabo",
    models=("Julabo circulators with RS-232 (ME, MV, FL, LC 6, HT30, Magnum 91)",),
    options={
        "ask": [
            _ask("state", "status"),
            _ask("bath", "in_pv_00", sync="state"),
            _ask("external", "in_pv_02", sync="state"),
        ],
        "ask_end": "\r",
        "pause": "250ms",
        "patterns": [
            {**CELSIUS, "asked": "bath", "match": rf" *(?P<value>{NUMBER}) *", "print": "{value:>7.2}"},
            {**EXTERNAL, "asked": "external", "match": rf" *(?P<value>{NUMBER}) *", "print": "{value:>7.2}"},
            {**EXTERNAL, "asked": "external", "match": r" *(?P<value>-[-.]+) *", "quality": "bad: no external sensor"},
            {"quantity": "state", "kind": "status", "asked": "state", "match": r" *(?P<value>-?\d\d [A-Z].{0,60})",
             "words": ["01 MANUAL START", "03 REMOTE START"], "print": "03 REMOTE START"},
        ],
    },
    note="An answer does not say what it answers: after one that is missed the state is asked first. Commands end "
    "with CR, answers with LF, and 250 ms must pass between two (ME manual 12.2, LC 6 manual 11.3). 4800 "
    "baud, 7 bits, even parity as delivered.",
)  # fmt: skip

LAUDA: Final = Variant(
    name="lauda",
    models=("Lauda Ecoline E 200, RE 200", "Lauda Microcool MC 250", "Lauda ECO Gold", "Lauda Integral T"),
    options={
        "ask": [_ask("bath", "IN_PV_00")],
        "patterns": [
            {**CELSIUS, "asked": "bath", "match": r" *(?P<value>-?\d{1,3}\.\d\d) *", "print": "{value:>06.2}"},
            {**CELSIUS, "asked": "bath", "match": r"(?P<value>ERR_\d{1,3}) *", "quality": "bad: the bath refuses"},
        ],
    },
    note="IN_PV_00 is the bath's temperature, always with two decimals; ERR_3 and the like are none (Ecoline E 200 "
    "manual 3.5.4, MC 250 manual 6.7.4 and 6.7.5). 9600 baud, 8 bits, no parity.",
)

HUBER: Final = Variant(
    name="huber-pb",
    models=("Huber Pilot ONE",),
    options={
        "ask": [_ask("bath", "{M01****"), _ask("external", "{M07****")],
        "patterns": [
            {**CELSIUS, "form": "hex16", "decimals": 2, "asked": "bath", "match": r"\{S01(?P<value>[0-9A-F]{4})",
             "nothing": {"7FFF": "bad: not available", "C504": "bad: no sensor"}, "print": "{S01{value}"},
            {**EXTERNAL, "form": "hex16", "decimals": 2, "asked": "external",
             "match": r"\{S07(?P<value>[0-9A-F]{4})",
             "nothing": {"7FFF": "bad: not available", "C504": "bad: no sensor"}, "print": "{S07{value}"},
        ],
    },
    note="PB commands of 16 bits: four hexadecimal digits, signed, in hundredths of a degree; the answer names "
    "what it answers; 7FFF and -151 degrees are no temperature. Written from published programs that speak "
    "them; the maker's own description was not at hand. Port 8101, or RS-232 with 9600 8N1.",
)  # fmt: skip

BATHS: Final = (IKA, JULABO, LAUDA, HUBER)
