"""A control's message in which the OBR says everything (host interface manuals of Mindray's BS series: QC results)."""

from __future__ import annotations

from typing import Final

from drivers.kit.hl7 import Segment
from drivers.kit.hl7_groups import Entry, Order, Specimen

# OBR: 2 test number, 3 test name, 6 time, 13 control, 14 its lot, 15 its expiry, 17 level, 18 mean, 19 SD, 20 result,
# 21 unit. Where each is looked for:
_OBX: Final = {3: 2, 4: 3, 5: 20, 6: 21, 14: 6}
_INV: Final = {1: 13, 12: 15, 16: 14}
_LEFT: Final = (1, 4, 17, 18, 19)  # of the OBR


def in_order(header: Segment, order: Order) -> None:
    """Give an order that is a control's the segments others send: its material, and its result where it has none."""
    obr = order.obr
    if obr is None or header.at(16) != "2" or not (obr.at(13) and obr.at(20)):
        return
    material = _segment(obr, "INV", _INV)
    material.fields[3] = "CO"
    order.specimen = order.specimen or Specimen()
    order.specimen.contents.append(material)
    order.obr = _segment(obr, "OBR", {**{number: number for number in _LEFT}, 2: 13})
    if not order.entries:
        obx = _segment(obr, "OBX", _OBX)
        obx.fields[2] = "NM"
        order.entries.append(Entry(header, order, obx))


def _segment(obr: Segment, name: str, places: dict[int, int]) -> Segment:
    fields = [name, *[""] * 30]
    for number, said in places.items():
        fields[number] = obr.raw(said)
    return Segment(name, fields, obr.delimiters, obr.end, obr.encoding, obr.guessed)
