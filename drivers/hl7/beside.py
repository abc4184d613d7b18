"""What is kept beside a result: remarks, reagents, data that are no results of their own."""

from __future__ import annotations

from typing import Final

from drivers.kit.hl7 import Segment
from drivers.kit.hl7_groups import Entry
from drivers.kit.observation import Json

MOST_SUPPLEMENTS: Final = 60  # told of one result
MOST_NOTES: Final = 30
MOST_TEXT: Final = 300  # characters of one of them


def note_text(note: Segment) -> str:
    return "\n".join(text for each in note.repeats(3) if (text := note.plain(each.rstrip("^& "))))


def reagent(inv: Segment) -> dict[str, Json]:
    told = {"substance": inv.at(1), "type": inv.at(3), "container": inv.at(4), "lot": inv.at(16), "expiry": inv.at(12)}
    kept: dict[str, Json] = {name: text for name, text in told.items() if text}
    if inv.at(5):
        kept["carrier"] = inv.at(5)
    return kept


def supplements(entries: list[Entry]) -> list[Json]:
    """Data beside the result: what each is called, and what it says."""
    told: list[Json] = []
    entries = [entry for entry in entries if entry.obx.raw(5) or entry.obx.raw(8)]
    for entry in entries[:MOST_SUPPLEMENTS]:
        obx = entry.obx
        one: dict[str, Json] = {"test": obx.component(3) or obx.component(3, 2)}
        for name, text in (("name", obx.component(3, 2)), ("sub_id", obx.text(4)), ("unit", obx.at(6) or obx.at(6, 2))):
            if text and text != one["test"]:
                one[name] = text
        if marks := [piece for piece in (obx.at(8, repeat=number) for number in (1, 2, 3)) if piece]:
            one["flags"] = list(marks)
        one["value"] = shortened(obx)
        if texts := [text for note in entry.notes[:MOST_NOTES] if (text := note_text(note))]:
            one["comments"] = list(texts)
        told.append(one)
    if len(entries) > MOST_SUPPLEMENTS:
        told.append({"left_out": len(entries) - MOST_SUPPLEMENTS})
    return told


def shortened(obx: Segment) -> str:
    """Its value; of embedded data only what it is."""
    if obx.at(2).upper() in ("ED", "RP"):
        pieces = [*obx.components(5), *[""] * 5]
        what = "/".join(piece for piece in pieces[1:3] if piece)
        return f"{what or 'data'}, {len(pieces[4])} characters"
    text = obx.text(5)
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}..., {len(text)} characters"
