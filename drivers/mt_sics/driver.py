"""Balances that speak MT-SICS (Mettler-Toledo Standard Interface Command Set), polled and streaming."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from drivers.kit.declare import Driver, Evidence, Identity, Message, Quantity, Variant
from drivers.kit.exchange import DecodeError, Exchange, Reason, Speaker
from drivers.kit.observation import Draft, Json, Kind, Quality
from drivers.mt_sics.conversation import Asker, Balance
from drivers.mt_sics.options import MtSicsOptions

WEIGHTS = ("S", "SI", "SIR", "SNR", "SR")
FAULTS = {
    "I": ("not-executable", "not executable: busy, or not stable in time", ()),
    "L": ("wrong-parameter", "the balance refused the command's parameter", ()),
    "+": ("overload", "overload: more on the pan than it can weigh", (">",)),
    "-": ("underload", "underload: the pan is missing or lifted", ("<",)),
}
ERRORS = {
    "ES": "syntax error: the balance does not know the command",
    "ET": "transmission error: parity, framing or baud rate",
    "EL": "logical error: the balance cannot execute the command",
}
# Units of mass as a balance shortens them; elsewhere some of these mean something else.
UNITS = {"lb": "[lb_av]", "oz": "[oz_av]", "ozt": "[oz_tr]", "GN": "[gr]", "dwt": "[pwt_tr]", "ct": "[car_m]"}
IDENTITY = {"I2": "model", "I3": "software", "I4": "serial-number", "I5": "software-identity", "I10": "balance-id"}

_WORDS = re.compile(r'"[^"]*"|\S+')
_PADDED = re.compile(r"\S+ +\S (?= |[-+] )( *[-+]? *[][0-9.]+)")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?|[-+]?\.\d+")


def host(options: MtSicsOptions) -> Exchange:
    """The gateway's side."""
    return Asker(options)


def decode(message: Message, options: MtSicsOptions) -> Iterator[Draft]:
    """One reply line. DecodeError where it is no MT-SICS reply."""
    try:
        line = message.data.decode("ascii").strip("\r\n\0\x11\x13 ")
    except UnicodeDecodeError as error:
        raise DecodeError(f"not ASCII: {error.reason} at byte {error.start}", Reason.ENCODING) from None
    words = _WORDS.findall(line)
    if not words:
        raise DecodeError("an empty line")
    if len(words) == 1 and words[0] in ERRORS:
        yield Draft(
            kind=Kind.EVENT,
            test=words[0],
            quantity="error",
            value=words[0],
            flags=(words[0],),
            attributes={"meaning": ERRORS[words[0]]},
        )
    elif len(words) < 2:
        raise DecodeError(f"not an MT-SICS reply: {line[:80]!r}")
    elif words[0] in WEIGHTS:
        yield _weight(words, line, options)
    elif words[0] in IDENTITY and words[1] == "A":
        yield Draft(kind=Kind.STATUS, test=words[0], quantity=IDENTITY[words[0]], value=_said(words[2:]))
    else:
        yield _other(words)


def _weight(words: list[str], line: str, options: MtSicsOptions) -> Draft:
    status, rest = words[1], words[2:]
    if status in FAULTS and not rest:
        value, reason, flags = FAULTS[status]
        return _no_weight(reason, flags, {"status": status, "fault": value})
    if status not in ("S", "D"):
        raise DecodeError(f"unknown weight status {status[:20]!r}")
    if rest and rest[0] == "Error":
        return _no_weight(f"the balance reports {' '.join(rest)}", tuple(rest[1:2]), {"status": status})
    if rest and rest[0] in ("-", "+"):  # the sign may stand apart from a right-aligned number
        rest = [rest[0] + "".join(rest[1:2]), *rest[2:]]
    number = rest[0] if rest else ""
    plain = number.replace("[", "").replace("]", "")
    if not _NUMBER.fullmatch(plain) or len(rest) > 2:
        raise DecodeError(f"not a weight: {line[:80]!r}")
    told: dict[str, Json] = {"stable": status == "S"}
    if plain != number:
        told["as_displayed"] = number  # digits in brackets are shown but not certified
    unit = UNITS.get(rest[1], rest[1]) if len(rest) == 2 else options.unit
    quality, why = Quality.GOOD, None
    if status == "D":
        quality, why = Quality.UNCERTAIN, "not stable"
    elif _out_of_place(line, options.width, 2 if plain != number else 0):
        quality, why = Quality.UNCERTAIN, "not where MT-SICS puts it: characters may have been lost (see `width`)"
    elif unit is None:
        quality, why = Quality.UNCERTAIN, "sent without a unit: declare `unit`"
    return Draft(
        kind=Kind.READING,
        test="S",
        quantity="mass",
        value=plain,
        unit=unit,
        quality=quality,
        quality_reason=why,
        attributes=told,
    )


def _out_of_place(line: str, width: int, brackets: int) -> bool:
    """True where the weight is padded, so of a fixed width, but not of the right one, or may have filled it."""
    if not width:
        return False
    if match := _PADDED.match(line):
        return len(match[1]) not in (width, width + brackets)
    return len(line.split()[2]) == width - 1


def _no_weight(reason: str, flags: tuple[str, ...], told: dict[str, Json]) -> Draft:
    return Draft(
        kind=Kind.READING,
        test="S",
        quantity="mass",
        flags=flags,
        quality=Quality.BAD,
        quality_reason=reason,
        attributes=told,
    )


def _other(words: list[str]) -> Draft:
    """Zeroing, taring and whatever else a balance answers: told as an event, never as a weight."""
    name, status, rest = words[0], words[1], words[2:]
    if not re.fullmatch(r"@|[A-Z][A-Z0-9]{0,5}", name) or not re.fullmatch(r"[A-Z]|[-+]", status):
        raise DecodeError(f"not an MT-SICS reply: {' '.join(words)[:80]!r}")
    if name in ("T", "TI", "TA") and len(rest) == 2 and _NUMBER.fullmatch(rest[0]):
        return Draft(
            kind=Kind.EVENT,
            test=name,
            quantity="tare",
            value=rest[0],
            unit=UNITS.get(rest[1], rest[1]),
            attributes={"status": status},
        )
    quantity = {"Z": "zero", "ZI": "zero", "T": "tare", "TI": "tare", "TA": "tare", "TAC": "tare"}.get(name, "reply")
    if status in FAULTS:
        told: dict[str, Json] = {"status": status, "meaning": FAULTS[status][1]}
        return Draft(kind=Kind.EVENT, test=name, quantity=quantity, value=FAULTS[status][0], attributes=told)
    value = _said(rest) or status
    return Draft(kind=Kind.EVENT, test=name, quantity=quantity, value=value, attributes={"status": status})


def _said(words: list[str]) -> str:
    return " ".join(word.strip('"') for word in words)


def instrument(options: MtSicsOptions) -> Speaker:
    """A simulated balance."""
    return Balance()


def encode(drawn: Mapping[str, Any], options: MtSicsOptions) -> bytes:
    """A weight reply. `drawn["readings"]["mass"]` in grams; `drawn["stable"]` False makes it a dynamic one."""
    mass = drawn["readings"].get("mass")
    if mass is None:
        return b"S I\r\n"
    text = mass if isinstance(mass, str) else f"{float(mass):.4f}"
    return f"S {'S' if drawn.get('stable', True) else 'D'} {text:>10} g\r\n".encode()


DRIVER = Driver(
    name="mt-sics",
    maker="Mettler-Toledo",
    summary="Balances that speak MT-SICS, asked for their weight or sending it by themselves.",
    links=("serial", "tcp", "tcp-listen"),
    options=MtSicsOptions,
    quantities=(
        Quantity(
            name="mass",
            unit="g",
            low=-220.0,
            high=220.0,
            step=0.0001,
            field="S",
            source="MT-SICS reference manual, level 0: S, SI, SIR; the unit is the one the balance sends",
        ),
    ),
    host=host,
    decode=decode,
    instrument=instrument,
    encode=encode,
    model="balance",
    variants=(
        Variant(name="polled", options={"poll": "1s"}, note="asks for the weight every second"),
        Variant(name="stable", options={"poll": "1s", "command": "S"}, note="asks for the next stable weight"),
        Variant(name="streaming", options={"stream": "SIR"}, note="the balance sends several weights a second"),
    ),
    identity=lambda _options: Identity.ARRIVAL,
    link_settings={"baudrate": 9600, "bytesize": 8, "parity": "none", "stopbits": 1},
    evidence=Evidence.MANUAL,
    sources=("Mettler-Toledo, MT-SICS Interface Commands reference manual, levels 0 to 3",),
    example="""\
[[devices]]
id = "balance-1"
driver = "mt-sics"
link = { type = "serial", port = "/dev/serial/by-id/usb-FTDI_FT232R-if00-port0", baudrate = 9600 }
poll = "1s"
""",
)
