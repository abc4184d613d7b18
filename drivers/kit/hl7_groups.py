"""What belongs together in an HL7 result message: each OBX with its order, specimen, patient and notes.

ORU^R01 and OUL^R24 are order first (the SPM of an order follows its OBR, mostly even its OBX); OUL^R22 is specimen
first (v2.5.1 chapters 7 and 13). Which one a message is shows in its own order of segments, because senders depart
from the structures: an INV may follow the OBX, an OBR may lack its ORC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Final

from pydantic import Field

from drivers.kit.hl7 import Hl7Message, Segment

Place = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{2}-[1-9]\d?(\[[1-9]\d?\])?(\.[1-9]\d?(\.[1-9]\d?)?)?$")]
"""A field, component or subcomponent: "OBX-5", "SPM-2.1", "OBX-3.1.2"; "OBX-18[2]" is the second repetition. Without
a component the first is meant, as in the standard's own short form."""

Anywhere = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{2}(-[1-9]\d?(\[[1-9]\d?\])?(\.[1-9]\d?(\.[1-9]\d?)?)?)?$")]
"""A place, or a whole segment as sent ("OBX")."""

MOST_BESIDE: Final = 200  # segments of a kind kept beside an order, an observation or a specimen

# Fields whose components have no subcomponents: names, values, units. An `&` in them is a character.
_SIMPLE: Final = frozenset({("OBX", 3), ("OBX", 4), ("OBX", 5), ("OBX", 6), ("OBX", 13), ("OBR", 4)})

_PLACE = re.compile(r"([A-Z][A-Z0-9]{2})(?:-(\d+)(?:\[(\d+)\])?(?:\.(\d+)(?:\.(\d+))?)?)?")


@cache  # places are declared: there are as many as a configuration holds
def located(place: str) -> tuple[str, int, int, int, int]:
    """Segment name, field (0: all of it), component, subcomponent, repetition."""
    match = _PLACE.fullmatch(place)
    if match is None:
        raise ValueError(f"{place!r} is no place")
    number, repeat, component, sub = (int(match[group] or 0) for group in (2, 3, 4, 5))
    return match[1], number, component or 1, sub or 1, repeat or 1


@cache
def _whole(place: str) -> bool:
    """Whether a place means a component with all its subcomponents."""
    match = _PLACE.fullmatch(place)
    return match is not None and match[5] is None and (match[1], int(match[2] or 0)) in _SIMPLE


def found(segment: Segment, place: str) -> str:
    """What stands at `place` in this segment; "" where nothing does."""
    _, number, component, sub, repeat = located(place)
    if not number:
        return segment.sent
    if _whole(place):
        return segment.component(number, component, repeat)
    return segment.at(number, component, sub, repeat)


@dataclass(slots=True, eq=False)
class Patient:
    pid: Segment | None = None
    pv1: Segment | None = None
    notes: list[Segment] = field(default_factory=list)
    observations: list[Entry] = field(default_factory=list)  # of the person, told before any order: weight, age


@dataclass(slots=True, eq=False)
class Specimen:
    spm: Segment | None = None
    sac: Segment | None = None
    contents: list[Segment] = field(default_factory=list)  # INV of the container itself: a control material
    observations: list[Entry] = field(default_factory=list)  # of the specimen itself; no results of an order


@dataclass(slots=True, eq=False)
class Order:
    """An OBR with what stands around it."""

    patient: Patient
    specimen: Specimen | None = None
    obr: Segment | None = None
    orc: Segment | None = None
    others: list[Segment] = field(default_factory=list)  # TQ1, TCD and the like
    notes: list[Segment] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Entry:
    """One OBX, and the segments that follow it and say more about it."""

    header: Segment
    order: Order
    obx: Segment
    notes: list[Segment] = field(default_factory=list)
    others: list[Segment] = field(default_factory=list)

    def all(self, name: str) -> list[Segment]:
        """The segments of that name this observation belongs to. INV: of the specimen's container only, because the
        reagents of a patient's test have controls among them."""
        order, specimen = self.order, self.order.specimen
        one: Segment | None = None
        match name:
            case "OBX":
                one = self.obx
            case "MSH":
                one = self.header
            case "OBR":
                one = order.obr
            case "ORC":
                one = order.orc
            case "PID":
                one = order.patient.pid
            case "PV1":
                one = order.patient.pv1
            case "SPM":
                one = specimen.spm if specimen else None
            case "SAC":
                one = specimen.sac if specimen else None
            case "INV":
                return specimen.contents if specimen else []
            case "NTE":
                return self.notes
            case _:
                return [each for each in (*self.others, *order.others) if each.name == name]
        return [one] if one else []

    def said(self, place: str) -> str:
        """What stands at `place`; "" where nothing does."""
        for segment in self.all(located(place)[0]):
            if text := found(segment, place):
                return text
        return ""


def orders(message: Hl7Message) -> list[Order]:
    """The message's orders with their observations; one without OBR where the observations have none."""
    walk = _Walk(message)
    for segment in message.segments:
        walk.take(segment)
    return walk.finished()


class _Walk:
    """Takes the segments in their order and puts each where it belongs."""

    def __init__(self, message: Hl7Message) -> None:
        names = [segment.name for segment in message.segments]
        first = {name: names.index(name) for name in ("SPM", "OBR", "OBX") if name in names}
        before = min(first.get("OBR", len(names)), first.get("OBX", len(names)))
        self._specimen_first = first.get("SPM", len(names)) < before
        self._header = message.header
        self._patient = Patient()
        self._specimen: Specimen | None = None
        self._order: Order | None = None
        self._entry: Entry | None = None
        self._early: Order | None = None  # observations before any order: of none, if one follows
        self._behind: Specimen | None = None  # told behind the results of its order
        self._all: list[Order] = []

    def take(self, segment: Segment) -> None:
        match segment.name:
            case "PID":
                self._settle()
                self._patient, self._specimen = Patient(segment), None
                self._order = self._entry = None
            case "PV1":
                self._patient.pv1 = segment
            case "SPM":
                self._take_spm(segment)
            case "SAC":
                holder = self._holder()
                holder.sac = holder.sac or segment
            case "INV":
                self._take_inv(segment)
            case "ORC" | "OBR":
                self._take_order(segment)
            case "OBX":
                self._take_obx(segment)
            case "NTE":
                _keep((self._entry or self._order or self._patient).notes, segment)
            case _:
                if beside := self._entry or self._order:
                    _keep(beside.others, segment)

    def _new(self) -> Order:
        return Order(self._patient, self._specimen if self._specimen_first else None)

    def _begin(self) -> Order:
        self._order, self._entry, self._behind = self._new(), None, None
        self._all.append(self._order)
        return self._order

    def _settle(self) -> None:
        """No order followed the observations that came before any: they are results all the same."""
        if self._early:
            self._all.append(self._early)
        self._early = self._behind = None

    def _take_obx(self, segment: Segment) -> None:
        if self._order is None:
            self._early = self._early or self._new()
        order = self._order or self._early
        assert order is not None
        self._entry = Entry(self._header, order, segment)
        (self._behind.observations if self._behind else order.entries).append(self._entry)

    def _holder(self) -> Specimen:
        """The specimen that is being told about."""
        if self._specimen_first:
            self._specimen = self._specimen or Specimen()
            return self._specimen
        order = self._order or self._early or self._begin()
        order.specimen = order.specimen or Specimen()
        return order.specimen

    def _take_spm(self, segment: Segment) -> None:
        if self._specimen_first:
            self._settle()
            self._specimen, self._order, self._entry = Specimen(segment), None, None
            return
        holder = self._holder()
        holder.spm = holder.spm or segment
        self._entry = None
        if self._order and self._order.entries:
            self._behind = holder

    def _take_inv(self, segment: Segment) -> None:
        if self._entry:
            _keep(self._entry.others, segment)
        elif self._order and self._order.obr and self._specimen_first:
            _keep(self._order.others, segment)
        else:
            _keep(self._holder().contents, segment)

    def _take_order(self, segment: Segment) -> None:
        if self._early:  # they were of the specimen or of the person (v2.5.1 13.3.5, v2.8.2 7.3.1)
            told = self._specimen if self._specimen_first and self._specimen else self._patient
            told.observations += self._early.entries
            self._early = None
        order = self._order
        taken = order is None or order.entries or (order.orc if segment.name == "ORC" else order.obr)
        order = self._begin() if order is None or taken else order
        if segment.name == "ORC":
            order.orc = segment
        else:
            order.obr = segment
        self._entry = None

    def finished(self) -> list[Order]:
        """All orders; where a patient has one specimen only, every order of theirs is of it."""
        self._settle()
        if self._specimen_first:
            return self._all
        told: dict[int, list[Specimen]] = {}
        for order in self._all:
            if order.specimen:
                told.setdefault(id(order.patient), []).append(order.specimen)
        for order in self._all:
            own = told.get(id(order.patient), ())
            if order.specimen is None and len(own) == 1:
                order.specimen = own[0]
        return self._all


def _keep(beside: list[Segment], segment: Segment) -> None:
    if len(beside) < MOST_BESIDE:
        beside.append(segment)


def entries(message: Hl7Message) -> Iterator[Entry]:
    """Every observation of the message."""
    for order in orders(message):
        yield from order.entries
