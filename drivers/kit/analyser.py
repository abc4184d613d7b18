"""What every driver of an ASTM analyser has in common: the options of its wire and both ends of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from drivers.kit.astm import Transfer
from drivers.kit.astm_places import CONTROLS, Mark, Place
from drivers.kit.bare import Bare, BareSpeaker
from drivers.kit.declare import Options
from drivers.kit.exchange import Exchange, Speaker
from drivers.kit.printer import Printer
from drivers.kit.records import Delimiters, write
from drivers.kit.results import Encoding
from drivers.kit.unframed import Either, Unframed


class AnalyserOptions(Options):
    """Places are written "R4" (a field of the record) or "O3.1" (a component of it), as the standard counts."""

    framing: Literal["auto", "lis01", "none", "bare"] = "auto"
    """"lis01": ENQ, checksummed frames, EOT. "none": records as plain lines (files, some TCP senders). "auto": a peer
    that begins with a header record sends lines, every other one frames; frames without ENQ are heard too. "bare": ENQ,
    STX, records, ETX, EOT, each acknowledged (Snibe); queries are not answered."""
    checksum: Literal["required", "none"] = "required"
    """"none": the analyser's frames end at ETX, and nothing tells a damaged one; a wrong checksum is refused still."""
    encoding: Encoding | None = None
    """Character set. Undeclared: UTF-8, else ISO 8859-1 with the result marked uncertain."""
    specimen: tuple[Place, ...] = ("O3", "O4")
    patient: tuple[Place, ...] = ("P3", "P4", "P5")
    qc: tuple[Mark, ...] = CONTROLS
    """Marks of a control material; any one of them makes the result a QC result."""
    host_query: Literal["answer", "ignore"] = "answer"
    """"answer": tell an analyser that asks for orders that there are none (some stall without an answer)."""
    demographics: bool = False
    """Keep name, birth date, sex, address and the like in the observations' attributes."""
    max_frame: int = Field(65_536, ge=300, le=16_777_216)
    frame_size: int = Field(240, ge=16, le=63_993)
    split: Literal["record", "text"] = "record"
    """How we send: one record a frame, or the whole text cut by `frame_size`."""


def host(options: AnalyserOptions, delimiters: Delimiters | None = None) -> Exchange:
    """The gateway's side; it answers queries with "nothing known" in the analyser's own delimiters."""
    if options.framing in ("none", "bare"):
        return Unframed() if options.framing == "none" else Bare()
    nothing = write([("H", ""), ("L", "1", "I")], delimiters or Delimiters()).encode()
    transfer = Transfer(
        "host",
        frame_size=options.frame_size,
        split=options.split,
        answer=nothing if options.host_query == "answer" else None,
        unbidden=options.framing == "auto",
        max_frame=options.max_frame,
        checked=options.checksum == "required",
    )
    return Either(transfer, Unframed()) if options.framing == "auto" else transfer


def instrument(options: AnalyserOptions) -> Speaker:
    """A simulated analyser's side."""
    if options.framing in ("none", "bare"):
        return Printer() if options.framing == "none" else BareSpeaker()
    checked = options.checksum == "required"
    return Transfer("instrument", frame_size=options.frame_size, split=options.split, checked=checked)
