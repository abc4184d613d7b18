"""Allotrope Simple Model documents into drafts: what was measured, of which sample, with which unit.

The model's papers: every technique has an aggregate document with a list of documents, each with measurement documents
(purl.allotrope.org/manifests). What allotropy puts in where a file says nothing is left out again: "N/A", the first of
January 1970, and negative zeros, which its error documents name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from drivers.allotropy.dates import Dates
from drivers.allotropy.lookup import MOST_DEPTH, everywhere, find, first, number, objects
from drivers.allotropy.options import AllotropyOptions
from drivers.kit.observation import Draft, Interpretation, Json, Kind, Quality
from drivers.kit.payload import slug
from drivers.kit.words import interpret

MOST_ATTRIBUTES: Final = 80
MOST_TEXT: Final = 300
MOST_WELLS: Final = 100  # that one statistic is told of
CQ: Final = "cycle threshold result (qPCR)"
CONCENTRATION: Final = "number concentration"
MEASURED: Final = "measurement aggregate document"
# What a document with a target is about; everything else it holds goes into the attributes.
OF_TARGETS: Final = MappingProxyType({CQ: "cq", "cycle threshold result": "cq", CONCENTRATION: "concentration"})
CALLS: Final = ("genotyping qPCR result", "qPCR result", "result interpretation")
# Settings, raw series and who measured: no results. Some parsers keep results among the sample's own remarks.
NO_RESULTS: Final = ("device control aggregate document", "data processing document", "error aggregate document")
REMARKED: Final = ("original sample concentration", "qubit tube concentration")
UNITS: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        "(unitless)": None, "#": None, "N/A": None, "unitless": None,
        "mAU": None,  # the model knows no other unit of absorbance: files in AU come out as mAU too
        "cell": "{cells}", "10^6 cells/mL": "10*6.{cells}/mL", "cells/mL": "{cells}/mL", "RFU": "{RFU}", "pH": "[pH]",
        "degC": "Cel", "#/μL": "/uL", "#/mL": "/mL",
    }
)  # fmt: skip
# Statistics over several wells, and what tells how well a curve fits: attributes of the measurement they came from.
STATISTICS: Final = re.compile(
    r"(?i)\b(mean|median|sd|se|std|standard deviation|deviation|cv|min|max|slope|intercept|r\^?2|r\(superscript 2\)|"
    r"efficiency|score|confidence|conf|interval|ci)\b"
)
# Of what is worked out from wells with a target: the results. The rest tells how good they are.
WORKED_OUT: Final = frozenset(
    {"quantity", "normalized quantity", "rq", "relative quantity", "delta ct", "delta delta ct", "copy number"}
)
NAMES: Final = MappingProxyType({"pH": "ph", "pO2": "po2", "pCO2": "pco2"})
WORDS: Final = MappingProxyType({"presence": "detected", "absence": "not-detected"})  # QuantStudio's Presence/Absence
SPECIMENS: Final = frozenset({"unknown sample role", "sample role", "specimen role", "experiment sample role"})


@dataclass(slots=True)
class Measurement:
    """One measurement document with what stands around it."""

    body: Mapping[str, Any]
    group: Mapping[str, Any]  # the measurement aggregate document it stands in
    document: Mapping[str, Any]
    attributes: dict[str, Json] = field(default_factory=dict)

    @property
    def sample(self) -> Mapping[str, Any]:
        found = self.body.get("sample document")
        return found if isinstance(found, dict) else {}

    @property
    def targeted(self) -> bool:
        """Whether it is about a target, as PCR is."""
        return "target DNA description" in self.body

    def said(self, *names: str) -> str | None:
        """The first of these names that says something, in the measurement or around it."""
        for name in names:
            for place in (self.body, self.sample, self.group, self.document):
                text = place.get(name)
                if isinstance(text, str | int) and not isinstance(text, bool) and str(text).strip() not in ("", "N/A"):
                    return str(text).strip()
        return None


@dataclass(frozen=True, slots=True)
class Datum:
    """A number with its unit and its name."""

    name: str
    value: int | float
    unit: str
    parent: Mapping[str, Any]


def drafts(asm: Mapping[str, Any], options: AllotropyOptions, file: str, dates: Dates) -> Iterator[Draft]:
    """The drafts of one converted file."""
    measurements = list(_measurements(asm))
    roles = any(one.sample.get("sample role type") for one in measurements)
    reader = _Reader(options, file, dates, roles)
    by_id = {str(one.body.get("measurement identifier")): one for one in measurements}
    calculated = list(_calculated(asm, by_id))
    for one, datum in calculated:
        if not _is_result(one, datum):
            one.attributes.setdefault(datum.name[:60], datum.value)
    seen: set[tuple[Any, ...]] = set()
    for one in measurements:
        for draft in reader.measured(one):
            # Two wavelengths of one reading repeat what was worked out of both.
            twice = (id(one.group), draft.specimen, draft.attributes.get("well"), draft.test, draft.value, draft.unit)
            if draft.attributes.get("well") or twice not in seen:
                seen.add(twice)
                yield draft
    for one, datum in calculated:
        if _is_result(one, datum):
            yield reader.draft(one, datum, calculated=True)


def _is_result(one: Measurement, datum: Datum) -> bool:
    return datum.name.casefold() in WORKED_OUT if one.targeted else not STATISTICS.search(datum.name)


def _measurements(asm: Mapping[str, Any]) -> Iterator[Measurement]:
    for document in _documents(asm):
        group = document.get(MEASURED)
        if not isinstance(group, dict):
            continue
        for body in objects(group.get("measurement document")):
            yield Measurement(body, group, document)


def _documents(asm: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The documents of every technique in the file."""
    for name, aggregate in asm.items():
        if name.endswith("aggregate document") and isinstance(aggregate, dict):
            for inner, listed in aggregate.items():
                if inner.endswith("document") and not inner.endswith("aggregate document"):
                    yield from (one for one in objects(listed) if MEASURED in one)


def _calculated(asm: Mapping[str, Any], by_id: Mapping[str, Measurement]) -> Iterator[tuple[Measurement, Datum]]:
    """What was worked out, with the measurement it rests on: the first of one well's, each of several wells'."""
    found: dict[str, Mapping[str, Any]] = {}
    for place in everywhere(asm, "calculated data aggregate document"):
        for one in objects(place.get("calculated data document")):
            found[str(one.get("calculated data identifier"))] = one
    for one in found.values():
        datum = next((one[name] for name in ("calculated result", "calculated datum") if name in one), None)
        name = str(one.get("calculated data name", ""))
        rests = [by_id[source] for source in _sources(one, found, MOST_DEPTH) if source in by_id]
        value = number(datum)
        if value is None or not rests or not name:
            continue
        wells = {(each.said("sample identifier"), each.said("well location identifier")) for each in rests}
        worked_out = Datum(name, value, str((datum or {}).get("unit", "")), one)
        if len(wells) == 1:
            yield rests[0], worked_out
        elif STATISTICS.search(name):
            yield from ((each, worked_out) for each in rests[:MOST_WELLS])


def _sources(one: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], depth: int) -> list[str]:
    """The identifiers it rests on in the end, the direct ones first."""
    direct = [
        str(source.get("data source identifier"))
        for source in objects((one.get("data source aggregate document") or {}).get("data source document"))
    ]
    measured = [name for name in direct if name not in found]
    if measured or not depth:
        return measured
    return [inner for name in direct for inner in _sources(found[name], found, depth - 1)]


class _Reader:
    """Makes drafts of one file's measurements."""

    def __init__(self, options: AllotropyOptions, file: str, dates: Dates, roles: bool) -> None:
        self._options, self._file, self._dates, self._roles = options, file, dates, roles

    def measured(self, one: Measurement) -> Iterator[Draft]:
        """A measurement's results; one without a value where it has none."""
        data = list(_data(one.body))
        if one.targeted:
            told = [datum for datum in data if datum.name in OF_TARGETS]
            call = next((text for name in CALLS if (text := first(one.body, name))), None)
            for datum in told:
                yield self.draft(one, datum, call)
            if not told:
                yield self.draft(one, None, call)
            return
        for datum in data:
            yield self.draft(one, datum)
        if not data:
            yield self.draft(one, None)

    def draft(
        self, one: Measurement, datum: Datum | None, call: str | None = None, *, calculated: bool = False
    ) -> Draft:
        """One number of a measurement."""
        kind, doubt = self._kind(one)
        call = WORDS.get(call.casefold(), call) if call else None
        time, unclear = self._dates.read(one.said("measurement time"))
        why = [text for text in (doubt, unclear) if text]
        if datum is None and call is None:
            why.append("the document has no result here")
        quality = Quality.UNCERTAIN if why else Quality.GOOD
        if call and interpret(call) is Interpretation.INVALID:
            quality, why = Quality.BAD, [f"called {call}"[:MOST_TEXT]]
        test, quantity = self._named(one, datum, calculated)
        attributes = self._attributes(one)
        draft = Draft(
            kind=kind,
            test=test,
            quantity=quantity,
            value=datum.value if datum else None,
            unit=self._unit(one, datum, attributes) if datum else None,
            interpretation=call,
            specimen=one.said("sample identifier"),
            operator=one.said("analyst"),
            run=one.said("experimental data identifier", "batch identifier", "well plate identifier"),
            lot=one.said("lot number"),
            device_time=time,
            quality=quality,
            quality_reason="; ".join(why) or None,
            attributes=attributes,
        )
        return _identified(draft, self._file)

    def _named(self, one: Measurement, datum: Datum | None, calculated: bool) -> tuple[str, str | None]:
        """The test, and the quantity where the name of the number says it."""
        if one.targeted:
            target = one.said("target DNA description") or first(one.body, "reporter dye setting") or "target"
            name = datum.name if datum else CONCENTRATION if "total partition count" in one.body else CQ
            if calculated:
                return f"{target} {name}", slug(name)
            return target, OF_TARGETS.get(name, slug(name))
        if datum is None:
            return str(first(one.body, "device type") or "measurement"), None
        analyte = datum.parent.get("analyte name")
        if isinstance(analyte, str):
            return analyte, slug(analyte)
        name = re.sub(r"\s*\((cell counter|qPCR)\)$", "", datum.name)
        if name == "absorbance" and (length := number(find(one.body, "detector wavelength setting"))) is not None:
            name = f"absorbance {length:g} nm"
        return name, NAMES.get(name) or slug(name)

    def _unit(self, one: Measurement, datum: Datum, attributes: dict[str, Json]) -> str | None:
        if datum.name == CONCENTRATION and one.targeted and datum.unit.startswith("#/"):
            return "{copies}/" + datum.unit[2:].replace("μ", "u").replace("µ", "u")
        if datum.unit == "mAU":
            attributes["asm_unit"] = datum.unit
        return UNITS.get(datum.unit, datum.unit or None)

    def _kind(self, one: Measurement) -> tuple[Kind, str | None]:
        """What is not said to be a specimen, in a file that says it of others, is none."""
        name = (one.said("sample identifier") or "").casefold()
        if name.startswith(tuple(word.casefold() for word in self._options.controls)):
            return Kind.QC, None
        role = one.said("sample role type")
        if role is None:
            if self._roles or self._options.vendor in _WITH_ROLES:
                return Kind.QC, "not known whether it is a specimen or a control"
            return Kind.RESULT, None
        if role.casefold() in SPECIMENS:
            return Kind.RESULT, None
        return Kind.QC, None

    def _attributes(self, one: Measurement) -> dict[str, Json]:
        told: dict[str, Json] = {}
        if well := one.said("well location identifier", "location identifier"):
            told["well"] = well
        told |= one.attributes
        results = (each for each in _data(one.body) if not one.targeted or each.name in OF_TARGETS)
        own = {(id(each.parent), each.name) for each in results}
        for name, value in _rest(one.body, own):
            if len(told) >= MOST_ATTRIBUTES:
                break
            told.setdefault(name[:60], value[:MOST_TEXT] if isinstance(value, str) else value)
        for name in ("experiment type", "container type"):
            if said := one.said(name):
                told[name] = said[:MOST_TEXT]
        if self._file:
            told["file"] = self._file[:MOST_TEXT]
        return told


_WITH_ROLES: Final = frozenset({"APPBIO_QUANTSTUDIO", "APPBIO_QUANTSTUDIO_DESIGNANDANALYSIS", "CFXMAESTRO"})
_SILENT: Final = frozenset(
    {"measurement identifier", "measurement time", "sample identifier", "target DNA description", "analyte name",
     "device type", "well location identifier", "location identifier", "sample color", "target color", "Target Color",
     "Sample Color", "SNP Assay Color", "Allele1 Color", "Allele2 Color", "error", "error feature"}
)  # fmt: skip


def _identified(draft: Draft, file: str) -> Draft:
    timed = draft.device_time is not None and "T" in draft.device_time
    own = (
        *(draft.device_time or "", draft.run or "", draft.specimen or "", str(draft.attributes.get("well", ""))),
        *(draft.test, draft.quantity or "", repr(draft.value), draft.interpretation or ""),
    )
    identity = ("asm", *own) if timed or draft.run else ("asm", *own, f"file={file}")
    return replace(draft, identity=identity)


def _data(body: Mapping[str, Any]) -> Iterator[Datum]:
    """The results among a measurement's numbers."""
    open_: list[tuple[Mapping[str, Any], bool, int]] = [(body, False, 0)]
    while open_:
        at, remarks, depth = open_.pop(0)
        for name, inner in at.items():
            if name in NO_RESULTS or name.endswith("data cube") or depth > MOST_DEPTH:
                continue
            if isinstance(inner, dict) and "value" in inner:
                value = number(inner)
                if value is not None and (not remarks or name in REMARKED):
                    yield Datum(name, value, str(inner.get("unit", "")), at)
            elif isinstance(inner, dict):
                open_.append((inner, remarks or name == "custom information document", depth + 1))
            else:
                open_.extend((one, remarks, depth + 1) for one in objects(inner))


def _rest(body: Mapping[str, Any], results: Collection[tuple[int, str]]) -> Iterator[tuple[str, Json]]:
    """What a measurement says beside its results, by its own names."""
    open_: list[tuple[Mapping[str, Any], int]] = [(body, 0)]
    while open_:
        at, depth = open_.pop(0)
        for name, inner in at.items():
            if name.endswith("data cube") or name in _SILENT or depth > MOST_DEPTH:
                continue
            if isinstance(inner, dict) and "value" in inner:
                value = number(inner)
                if value is not None and (id(at), name) not in results:
                    unit = str(inner.get("unit", ""))
                    yield name, value if UNITS.get(unit, unit) in (None, "") else f"{value:.15g} {unit}"
            elif isinstance(inner, dict):
                open_.append((inner, depth + 1))
            elif isinstance(inner, list):
                open_.extend((one, depth + 1) for one in objects(inner))
            elif inner not in (None, "", "N/A") and isinstance(inner, str | int | float | bool):
                yield name, inner
