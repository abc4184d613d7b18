"""What unknown wire traffic looks like: its framing, records, delimiters, numbers and times. It says, it never decides.

Used where a person looks: `assaygate drivers --new`, `assaygate doctor`. Nothing here reads a result.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from drivers.kit.checks import sum8
from drivers.kit.frames import FRAME, Joined
from drivers.kit.values import device_time, plain_number
from drivers.kit.words import interpret

MOST_LOOKED_AT: Final = 262_144  # bytes
READABLE: Final = frozenset({*range(0x20, 0x7F), 0x09, 0x0A, 0x0D})
CONTROLS: Final = frozenset(range(0x20)) - READABLE
_FRAMED = re.compile(rb"\x02([^\x02\x03]*)\x03([^\x02]*)")
_DELIMITERS: Final = (";", "\t", "|", ",")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of delimited lines, by what stands in it."""

    at: int  # from 1
    kind: str  # "number", "time", "call", "constant", "text", "empty"
    example: str
    decimal: str = "."


@dataclass(frozen=True, slots=True)
class Recognised:
    """What was seen, in words, and the driver that reads it as it is, if there is one."""

    framing: str
    driver: str = ""
    options: dict[str, object] = field(default_factory=dict)
    lines: tuple[str, ...] = ()  # texts without terminators or frames, where it is text
    delimiter: str = ""
    columns: tuple[Column, ...] = ()
    notes: tuple[str, ...] = ()


def recognise(data: bytes, channel: str = "") -> Recognised:
    """The most telling of all looks at what an instrument sent."""
    data = data[:MOST_LOOKED_AT]
    for look in LOOKS:
        found = look(data, channel)
        if found:
            return found
    return _unreadable(data)


# ---- the protocols that have a driver


def _sparkplug(data: bytes, channel: str) -> Recognised | None:
    if channel.startswith(("spBv1.0/", "spAv1.0/")):
        return Recognised("Sparkplug B payloads over MQTT", "sparkplug")
    return None


def _mllp(data: bytes, channel: str) -> Recognised | None:
    blocks = re.findall(rb"\x0b(.*?)\x1c\r", data, re.DOTALL)
    if not blocks:
        return None
    if blocks[0].lstrip().startswith(b"<"):
        return Recognised("XML documents in MLLP blocks", "poct1a", {"framing": "mllp"})
    if blocks[0].lstrip()[:3] in (b"MSH", b"FHS", b"BHS"):
        return Recognised("HL7 v2 in MLLP blocks", "hl7", notes=_hl7_notes(blocks[0]))
    notes = ("ASTM records in MLLP blocks: no driver reads that",) if blocks[0].lstrip()[:2] == b"H|" else ()
    return Recognised("MLLP blocks (0B ... 1C 0D)", notes=notes)


def _hl7_notes(text: bytes) -> tuple[str, ...]:
    fields = text.lstrip().split(b"\r")[0].decode("latin-1").split("|")
    kind = fields[8] if len(fields) > 8 else "?"
    return (f"messages of type {kind} from {fields[2] if len(fields) > 2 else '?'!r}",)


def _astm(data: bytes, channel: str) -> Recognised | None:
    frames = FRAME.findall(data)
    if not frames:
        return None
    text = Joined(data).text
    bad = sum(1 for one in FRAME.finditer(data) if int(one[4], 16) != sum8(data[one.start(1) : one.end(3)]))
    notes = [f"{len(frames)} frames, {bad} with a wrong checksum"]
    if re.search(rb"(?:\A|[\r\n])\s*H[^A-Za-z0-9\s]", text):
        return Recognised("ASTM frames (LIS01-A2) with LIS02-A2 records", "astm", notes=tuple(notes))
    if b"MSH|" in text:
        notes.append("HL7 inside ASTM frames: set the instrument to ASTM records, or to HL7 over MLLP")
    elif b"\x05\x02" not in data.replace(b"\r\n", b""):
        return None  # a text that begins with a digit
    return Recognised("ASTM frames (LIS01-A2)", notes=tuple(notes))


def _bare_records(data: bytes, channel: str) -> Recognised | None:
    if re.match(rb"\s*H\|[^\r\n]*[\r\n]", data):
        return Recognised("LIS02-A2 records as plain lines", "astm", {"framing": "none"})
    if re.match(rb"\s*(MSH|FHS|BHS)\|", data):
        return Recognised("HL7 v2 without MLLP blocks", "hl7", {"framing": "none"}, notes=_hl7_notes(data))
    return None


def _xml(data: bytes, channel: str) -> Recognised | None:
    if re.search(rb"<(HEL|DST|OBS|EVS|ACK)\.R0\d[\s>]", data):
        return Recognised("POCT1-A documents, one after the other", "poct1a")
    if re.match(rb"\s*(<\?xml|<[A-Za-z])", data):
        return Recognised("XML documents", "table", {"format": "xml"})
    return None


def _json(data: bytes, channel: str) -> Recognised | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list) and value and isinstance(value[0], dict) and value[0].keys() & {"bn", "n", "bt", "v"}:
        return Recognised("a SenML pack", "senml")
    return Recognised("JSON", "mqtt-json") if isinstance(value, dict | list) else None


def _mt_sics(data: bytes, channel: str) -> Recognised | None:
    lines = [line for line in re.split(rb"[\r\n]+", data) if line.strip()]
    fits = [
        line
        for line in lines
        if re.fullmatch(rb"(S|SI|SIR|SNR) +[SDI+-](?: .*)?|I\d+ A .*|E[SLT]|[TZ]I? [ASD].*", line)
    ]
    if lines and len(fits) == len(lines):
        return Recognised("MT-SICS replies", "mt-sics", {"poll": "1s"})
    return None


def _modbus(data: bytes, channel: str) -> Recognised | None:
    if (
        len(data) > 8
        and data[2:4] == b"\0\0"
        and int.from_bytes(data[4:6], "big") + 6 <= len(data)
        and data[7] & 0x7F <= 0x2B
    ):
        return Recognised("Modbus TCP", "modbus", notes=("registers have to be declared",))
    for unit_at in range(min(len(data) - 4, 64)):
        size = 5 + data[unit_at + 2]
        frame = data[unit_at : unit_at + size]
        if len(frame) == size and data[unit_at + 1] in (1, 2, 3, 4) and _crc16(frame[:-2]) == frame[-2:]:
            return Recognised(
                "Modbus RTU replies", "modbus", notes=(f"unit {frame[0]}; registers have to be declared",)
            )
    return None


def _crc16(data: bytes) -> bytes:
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xA001 if register & 1 else 0)
    return register.to_bytes(2, "little")


# ---- text nobody knows yet


def _framed_text(data: bytes, channel: str) -> Recognised | None:
    found = list(_FRAMED.finditer(data))
    if not found or sum(len(one[0]) for one in found) < 0.8 * len(data.strip(b"\x05\x04\r\n")):
        return None
    check, notes = _check_of(found), []
    options: dict[str, object] = {"framing": "blocks", "start": "\x02", "end": "\x03"}
    if check:
        options["check"] = check
        notes.append(f"two hexadecimal digits behind each frame: {CHECKS[check][0]}")
    if b"\x05" in data:
        notes.append("ENQ before it speaks: it waits for ACK")
        options["acknowledge"] = True
    texts = [one[1].decode("latin-1") for one in found]
    lines = [line for text in texts for line in re.split(r"[\r\n]+", text) if line.strip()]
    return _text("frames between STX and ETX", lines, notes, options)


CHECKS: Final[dict[str, tuple[str, Callable[[bytes], int]]]] = {
    "sum8": ("the sum of text and ETX", lambda body: sum(body + b"\x03") & 0xFF),
    "sum8-text": ("the sum of the text", lambda body: sum(body) & 0xFF),
    "xor": ("XOR of text and ETX", lambda body: _xor(body + b"\x03")),
    "xor-text": ("XOR of the text", lambda body: _xor(body)),
}


def _xor(data: bytes) -> int:
    total = 0
    for byte in data:
        total ^= byte
    return total


def _check_of(frames: Sequence[re.Match[bytes]]) -> str:
    for name, (_, check) in CHECKS.items():
        if all(one[2][:2].upper() == b"%02X" % check(one[1]) for one in frames):
            return name
    return ""


def _lines(data: bytes, channel: str) -> Recognised | None:
    if not data or sum(byte in READABLE or byte >= 0x80 for byte in data) < 0.98 * len(data):
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
        if sum(byte in READABLE for byte in data) < 0.9 * len(data):
            return None
    counts = Counter(re.findall(r"\r\n|\r|\n", text))
    if not counts:
        return _text("text without line ends", [text], ["nothing ends a line: silence has to"], {})
    end = counts.most_common(1)[0][0]
    name = {"\r\n": "CR LF", "\r": "CR", "\n": "LF"}[end]
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    return _text(f"lines ended by {name}", lines, [], {"terminator": end})


def _text(framing: str, lines: list[str], notes: list[str], options: dict[str, object]) -> Recognised:
    delimiter = _delimiter(lines)
    columns = _columns(lines, delimiter) if delimiter else ()
    if delimiter:
        names = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
        notes.append(f"{len(columns)} columns between {names[delimiter]}")
    for column in columns:
        what = f"a {column.kind}" + (" with a decimal comma" if column.decimal == "," else "")
        notes.append(
            f"column {column.at}: {what}, such as {column.example!r}"
            if column.example
            else f"column {column.at}: empty"
        )
    if not delimiter:
        notes += _shapes(lines)
    return Recognised(framing, "", options, tuple(lines), delimiter, columns, tuple(notes))


def _delimiter(lines: Sequence[str]) -> str:
    """What cuts every line into the same number of columns, the most of them."""
    best = ("", 1)
    for mark in _DELIMITERS:
        counts = Counter(line.count(mark) for line in lines)
        count, often = counts.most_common(1)[0]
        if count and often >= 0.8 * len(lines) and count + 1 > best[1]:
            best = (mark, count + 1)
    return best[0]


def _columns(lines: Sequence[str], delimiter: str) -> tuple[Column, ...]:
    rows = [line.split(delimiter) for line in lines]
    width = Counter(len(row) for row in rows).most_common(1)[0][0]
    cells = [[row[at].strip() for row in rows if len(row) == width] for at in range(width)]
    return tuple(_column(at, found) for at, found in enumerate(cells, 1))


def _column(at: int, cells: Sequence[str]) -> Column:
    told = [cell for cell in cells if cell]
    if not told:
        return Column(at, "empty", "")
    for sign in (".", ","):
        if all(plain_number(cell.lstrip("<>= "), sign) is not None for cell in told):
            return Column(at, "number", told[0], sign)
    if all(is_time(cell) for cell in told):
        return Column(at, "time", told[0])
    if all(interpret(cell) is not None for cell in told):
        return Column(at, "call", told[0])
    return Column(at, "constant" if len(told) > 1 and len(set(told)) == 1 else "text", told[0])


def is_time(text: str) -> bool:
    """Whether a text is a date or a time in any order this project reads."""
    if re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", text):
        return True
    return bool(re.search(r"\d{4}|[-/.:]", text)) and any(
        device_time(text, order) for order in (None, "dmy", "mdy", "ymd")
    )


def _shapes(lines: Sequence[str]) -> list[str]:
    """The kinds of lines there are: numbers as #, everything else as it stands."""
    kinds = Counter(re.sub(r"[-+]?\d+(?:[.,]\d+)?", "#", line.strip()) for line in lines)
    return [f"{count} lines like {shape!r}" for shape, count in kinds.most_common(12)]


# ---- what is no text


def _unreadable(data: bytes) -> Recognised:
    if not data:
        return Recognised("nothing was said")
    notes = [*parity(data)]
    sizes = Counter(len(piece) for piece in re.split(rb"\r\n|\r|\n", data) if piece)
    if not notes:
        share = sum(byte in READABLE for byte in data) / len(data)
        notes.append(
            f"{share:.0%} of the bytes are readable text; pieces of {sizes.most_common(1)[0][0]} bytes are the most"
        )
    return Recognised("bytes that are no text", notes=tuple(notes))


def parity(data: bytes) -> tuple[str, ...]:
    """What the eighth bit says where it is a parity bit that was not declared."""
    stripped = bytes(byte & 0x7F for byte in data)
    readable = sum(byte in READABLE or byte in CONTROLS for byte in stripped)
    if not data or max(data) < 0x80 or readable < len(data) or sum(b in READABLE for b in stripped) < 0.7 * len(data):
        return ()
    even = sum((byte.bit_count() % 2) == 0 for byte in data)
    if even == len(data):
        return ('every byte has even parity in its eighth bit: declare bytesize = 7, parity = "E"',)
    if even == 0:
        return ('every byte has odd parity in its eighth bit: declare bytesize = 7, parity = "O"',)
    return ()


LOOKS: Final[Sequence[Callable[[bytes, str], Recognised | None]]] = (
    _sparkplug,
    _mllp,
    _astm,
    _bare_records,
    _xml,
    _json,
    _mt_sics,
    _modbus,
    _framed_text,
    _lines,
)
