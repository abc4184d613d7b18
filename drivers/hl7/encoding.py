"""The simulated analyser's messages: OUL^R22 and ORU^R01, written where the options say the driver reads."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any

from drivers.hl7.options import Hl7Options, Mark
from drivers.hl7.values import SNOMED
from drivers.kit.hl7 import Row, write
from drivers.kit.hl7_groups import located
from drivers.kit.observation import Status
from drivers.kit.values import plain_number, split_comparator

_LETTERS = {Status.FINAL: "F", Status.PRELIMINARY: "P", Status.CORRECTED: "C", Status.CANCELLED: "X"}
_SCT = {str(meaning): code for code, meaning in reversed(list(SNOMED.items()))}


def encode(drawn: Mapping[str, Any], options: Hl7Options) -> bytes:
    """One message: header, patient, specimen, order, and an OBX a result.

    `drawn` has `time` (aware), `kind`, `results` (test, value, unit, interpretation, flags, status), and may have
    specimen, patient, operator, lot, lot_expiry, run; they go where the options say the driver finds them.
    """
    when: datetime = drawn["time"]
    stamp = when.strftime("%Y%m%d%H%M%S")
    rows = _frame(drawn, options, stamp)
    numbers = count(1)
    observations = [_obx(result, next(numbers), drawn, rows, options, stamp) for result in drawn.get("results", ())]
    head, pid, spm, sac, inv, orc, obr = (rows[name] for name in ("MSH", "PID", "SPM", "SAC", "INV", "ORC", "OBR"))
    contents = [inv] if drawn.get("lot") or _marked(drawn, options, "INV") else []
    if options.shape == "OUL^R22":
        message = [head, pid, spm, sac, *contents, obr, orc, *observations]
    else:
        message = [head, pid, orc, obr, rows["TQ1"], *observations, spm, sac]
    return write(message).encode(options.encoding or "utf-8", "replace")


def _frame(drawn: Mapping[str, Any], options: Hl7Options, stamp: str) -> dict[str, Row]:
    kind, _, trigger = options.shape.partition("^")
    content = repr((drawn.get("specimen"), drawn.get("kind"), drawn.get("results"))).encode()
    control = f"{stamp}{hashlib.sha256(content).hexdigest()[:6]}"
    rows = {
        "MSH": Row(
            "MSH",
            {
                3: tuple(options.sender.split("^")), 5: "LIS", 7: stamp, 9: (kind, trigger, f"{kind}_{trigger}"),
                10: control, 11: "P", 12: "2.5.1", 18: _charset(options),
            },
        ),
        "PID": Row("PID", {1: "1"}),
        "SPM": Row("SPM", {1: "1", 11: ("P", "", "HL70369")}),
        "SAC": Row("SAC"),
        "INV": Row("INV", {1: "CONTROL", 2: ("OK", "", "HL70383"), 3: ("OT", "", "HL70384")}),
        "ORC": Row("ORC", {1: "SC", 5: "CM"}),
        "OBR": Row("OBR", {1: "1", 4: ("PANEL", "Panel", "99SIM")}),
        "TQ1": Row("TQ1", {9: "R"}),
    }  # fmt: skip
    if options.shape == "OUL^R22":
        rows["MSH"].put(16, "AL")
        rows["MSH"].put(15, "NE")
    for name in ("specimen", "patient", "lot", "lot_expiry", "run"):
        _put(rows, getattr(options, name), drawn.get(name))
    if drawn.get("kind") == "qc":
        _mark(rows, options.qc)
    return rows


def _charset(options: Hl7Options) -> str:
    return "UNICODE UTF-8" if options.encoding in (None, "utf-8") else ""


def _marked(drawn: Mapping[str, Any], options: Hl7Options, name: str) -> bool:
    mark = _writable(options.qc) if drawn.get("kind") == "qc" else None
    return mark is not None and located(mark.field)[0] == name


def _writable(marks: Sequence[Mark]) -> Mark | None:
    return next((mark for mark in marks if mark.equals is not None), None)


def _mark(rows: Mapping[str, Row], marks: Sequence[Mark]) -> None:
    """Mark it as a control: by SPM-11 where that is looked at, else by the first mark that can be written."""
    if any(mark.field.startswith("SPM-11") for mark in marks):
        rows["SPM"].put(11, "Q")
    elif mark := _writable(marks):
        _put(rows, (mark.field,), mark.equals)


def _obx(
    result: Mapping[str, Any],
    number: int,
    drawn: Mapping[str, Any],
    rows: Mapping[str, Row],
    options: Hl7Options,
    stamp: str,
) -> Row:
    status = Status(str(result.get("status") or "final"))
    own = {letter: meaning for letter, meaning in options.status.items() if meaning is status}
    obx = Row("OBX", {1: str(number), 11: next(iter(own), _LETTERS[status])})
    around = {**rows, "OBX": obx}
    _put(around, options.test, str(result.get("test") or result["quantity"]).strip("^"))
    _put(around, ("OBX-3.3",), "99SIM")
    _put(around, options.operator, drawn.get("operator"))
    _put(around, options.time, stamp)
    _put(around, options.unit, result.get("unit"))
    for place, flag in enumerate(result.get("flags") or (), start=1):
        obx.put(8, str(flag), repeat=place)
    _value(obx, around, result, options)
    return obx


def _value(obx: Row, around: Mapping[str, Row], result: Mapping[str, Any], options: Hl7Options) -> None:
    value, call = result.get("value"), result.get("interpretation")
    text = "" if value is None else str(value)
    if options.value[0] != "OBX-5":
        obx.put(2, "ST")
        _put(around, options.value, text or None)
        _put(around, (options.call or options.value[-1],), call)
        return
    comparator, rest = split_comparator(text)
    if not text and call is not None:
        code = _SCT.get(str(call))
        obx.put(2, "CWE" if code else "ST")
        parts = (code, str(call).replace("-", " ").capitalize(), "SCT") if code else (str(call),)
        for place, part in enumerate(parts, start=1):
            obx.put(5, part, place)
        return
    if comparator and plain_number(rest) is not None:
        obx.put(2, "SN")
        obx.put(5, comparator)
        obx.put(5, rest, 2)
    else:
        obx.put(2, "NM" if re.fullmatch(r"[-+]?\d+(\.\d+)?", text) else "ST")
        obx.put(5, text)
    if call is not None:
        _put(around, ("OBX-8",), {"positive": "POS", "negative": "NEG"}.get(str(call), str(call)))


def _put(rows: Mapping[str, Row], places: Sequence[str], text: object) -> None:
    """Write `text` where the driver looks first for it, among the segments there are."""
    if text is None or text == "":
        return
    for place in places:
        name, number, component, sub, repeat = located(place)
        if name in rows and number:
            rows[name].put(number, str(text), component, sub, repeat)
            return
