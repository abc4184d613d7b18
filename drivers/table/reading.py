"""A record's results as drafts: which column is what is declared, and nothing is guessed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError, Reason
from drivers.kit.observation import Draft, Interpretation, Json, Kind, Quality
from drivers.kit.tables import Bad, Ref
from drivers.kit.words import interpret
from drivers.table.options import Refs, Result, TableOptions, filled, holes_of, place
from drivers.table.records import Record, Row, Table, read

MOST_DRAFTS = 100_000  # of one file: what the gateway takes of one message
MOST_ATTRIBUTES = 100
MOST_NAME, MOST_TEXT = 60, 300
_NUMBERED = re.compile(r"[-_ ]?\d+$")  # "Unkn-01", "Std-3"
_LETTERS = re.compile(r"(.*\d)\s*([AaPp])\.?[Mm]\.?\s+([A-Z]{2,5})|(.*\d)\s+([A-Z]{2,5})")
_YEAR_FIRST = re.compile(r"\d{4}-")  # 03-10-2024 may be two days: it is left as sent
_CLOCK = re.compile(r"(.*[T ])(\d{1,2})(:\d\d(?::\d\d)?(?:\.\d+)?)")


def decode(message: Message, options: TableOptions) -> Iterator[Draft]:
    """The file's results, and an event for every row that is not like its table.

    DecodeError where no row of it can be read.
    """
    table = read(message.data, options)
    if table.bad and not table.records:
        first = table.bad[0]
        raise DecodeError(f"no row is like its table; row {first.number}: {first.why}")
    found = list(islice(_drafts(table, message, options), MOST_DRAFTS + 1))
    if len(found) > MOST_DRAFTS:  # before any is given out: whoever takes so many would not see the rest missing
        raise DecodeError(f"more than {MOST_DRAFTS} results in one file", Reason.TOO_LONG)
    yield from _told_apart(found)


def _drafts(table: Table, message: Message, options: TableOptions) -> Iterator[Draft]:
    used = frozenset((*options.refs, *options.ignore))
    for record in table.records:
        if any(rule.fits(_first(record, rule.column)) for rule in options.ignore_rows if _has(record, rule.column)):
            continue
        row = _Reading(record, options, used, message.channel)
        drafts = [draft for one in options.results for draft in row.drafts(one)]
        yield from drafts or [_event(record.number, record.shown(), "row-without-result", None)]
    for bad in table.bad:
        yield _unlike(bad)
    if not table.records and not table.bad:
        yield _event(0, message.channel, "table-without-rows", None)


def _told_apart(drafts: Iterable[Draft]) -> Iterator[Draft]:
    """Rows that are equal in everything are two: the second of them is told from the first."""
    seen: Counter[tuple[str, ...]] = Counter()
    for draft in drafts:
        identity = draft.identity or ()
        seen[identity] += 1
        yield draft if seen[identity] == 1 else replace(draft, identity=(*identity, f"#{seen[identity]}"))


def _unlike(bad: Bad) -> Draft:
    return _event(bad.number, bad.shown[:500], "unreadable-row", f"row {bad.number}: {bad.why}")


def _event(number: int, shown: str, name: str, why: str | None) -> Draft:
    return Draft(
        kind=Kind.EVENT,
        test=name,
        value=shown or None,
        identity=(name, shown),
        quality=Quality.UNCERTAIN if why else Quality.GOOD,
        quality_reason=why,
        attributes={"row": number} if number else {},
    )


def _first(record: Record, refs: Refs) -> str:
    """The first of the columns that says something."""
    return next((cell for ref in refs if (cell := record.cell(ref))), "")


def _has(record: Record, refs: Refs) -> bool:
    return any(record.has(ref) for ref in refs)


@dataclass(slots=True)
class _Said:
    """What one result says."""

    test: str
    value: str | None
    call: str | None


@dataclass(slots=True)
class _Reading:
    """One row being read."""

    record: Record
    options: TableOptions
    used: frozenset[Ref]
    channel: str
    _common: dict[str, Json] | None = field(default=None, init=False)

    def drafts(self, one: Result) -> Iterator[Draft]:
        """The drafts of one declared result: none where the row does not say it, several where a cell holds several."""
        if not _has(self.record, one.value or one.call):
            return
        if one.when is not None and not one.when.fits(self.says(one.when.column)):
            return
        error = self._error()
        for said in self._parts(one):
            if said.value is None and said.call is None and not error:
                continue
            yield self._draft(one, said, error)

    def says(self, refs: Refs, empty: tuple[str, ...] = ()) -> str:
        """The first of the columns that says something which is not declared to be nothing."""
        nothing = (*self.options.empty, *empty)
        for ref in refs:
            cell = self.record.cell(ref)
            if cell and cell not in nothing:
                return cell
        return ""

    def _parts(self, one: Result) -> Iterator[_Said]:
        name = self._test(one)
        value, call = self.says(one.value, one.empty) or None, self.says(one.call, one.empty) or None
        cell = value if one.value else call
        if cell is None or not (one.split or one.pattern):
            yield _Said(name, value, call)
            return
        for part in (part.strip() for part in (cell.split(one.split) if one.split else [cell])):
            if not part:
                continue
            match = re.search(one.pattern, part) if one.pattern else None
            told = match.groupdict() if match else {}
            if told:
                said = told.get("value")
                yield _Said(told.get("test") or name, said, told.get("call") or (None if said else part))
            else:
                yield _Said(name, part if one.value and one.split and not one.call else None, part)

    def _test(self, one: Result) -> str:
        test = self.says(self.options.test)
        if one.test:
            said = {hole: self.says((place(hole, self.options),)) for hole in holes_of(one.test)}
            if named := filled(one.test, {**said, "test": test}):
                return named
        present = next((ref for ref in (*one.value, *one.call) if self.record.has(ref)), "result")
        return test or str(present)

    def _error(self) -> str:
        said = self.says(self.options.error)
        return "" if said.casefold() in (word.casefold() for word in self.options.no_error) else said

    def _draft(self, one: Result, said: _Said, error: str) -> Draft:
        options = self.options
        attributes = dict(self._attributes())
        value = said.value if one.value or said.value else said.call
        call = self._meaning(said.call)
        quality, why = Quality.GOOD, [*self._doubts()]
        kind, doubt = self._kind()
        why += [doubt] if doubt else []
        if invalid := self._invalid(error):
            quality, why = Quality.BAD, [invalid]
            if value is not None:
                attributes["printed_value"] = value[:MOST_TEXT]
            value, call = None, "invalid"
        elif call and interpret(call) is Interpretation.INVALID:
            quality, why = Quality.BAD, [f"called {said.call}"[:MOST_TEXT]]
        elif why:
            quality = Quality.UNCERTAIN
        time, rewritten = self._time()
        if rewritten:
            attributes["time_as_sent"] = rewritten
        flags = tuple(self.says(options.flags).split())
        draft = Draft(
            kind=kind,
            test=said.test[:200],
            quantity=one.quantity,
            value=value,
            unit=self._unit(one),
            interpretation=call,
            flags=flags,
            specimen=self.says(options.specimen) or None,
            patient=self.says(options.patient) or None,
            operator=self.says(options.operator) or None,
            lot=self.says(options.lot) or None,
            lot_expiry=self.says(options.lot_expiry) or None,
            run=self.says(options.run) or None,
            device_time=time,
            quality=quality,
            quality_reason="; ".join(why) or None,
            attributes=attributes,
        )
        return replace(draft, identity=self._identity(draft, said))

    def _meaning(self, call: str | None) -> str | None:
        if call is None:
            return None
        known = {word.casefold(): meaning for word, meaning in self.options.calls.items()}
        return known.get(call.casefold(), call)

    def _unit(self, one: Result) -> str | None:
        told = self.says(one.unit_column)
        if not told and isinstance(self.record, Row):
            told = next((unit for ref in one.value if (unit := self.record.unit(ref))), "")
        return told or one.unit or None

    def _kind(self) -> tuple[Kind, str | None]:
        """What kind of observation the row is, and a doubt about it. What is not said to be a specimen is none."""
        options = self.options
        usual = options.kind_of_row
        if options.qc_names:
            begins = tuple(word.casefold() for word in options.qc_names)
            if self.says(options.specimen).casefold().startswith(begins):
                return Kind.QC, None
        if not options.kind or not _has(self.record, options.kind):
            return usual, None
        word = _first(self.record, options.kind)
        forms = {word.casefold(), _NUMBERED.sub("", word).casefold()}
        if not forms.isdisjoint(known.casefold() for known in options.samples):
            return usual, None
        if not forms.isdisjoint(known.casefold() for known in options.qc):
            return Kind.QC, None
        return Kind.QC, f"not known whether {word!r} is a specimen or a control"

    def _doubts(self) -> Iterator[str]:
        if isinstance(self.record, Row) and self.record.cut(self.used):
            yield "the file's last line is not ended: its last cell may be cut"
        for check in self.options.checks:
            if _has(self.record, check.column) and check.otherwise == "uncertain":
                cell = self.says(check.column)
                if cell.casefold() not in (word.casefold() for word in check.words):
                    yield f"{check.column[0]}: {cell or 'not said'}"

    def _invalid(self, error: str) -> str | None:
        if error:
            return f"the instrument reports: {error}"[:MOST_TEXT]
        for check in self.options.checks:
            if _has(self.record, check.column) and check.otherwise == "invalid":
                cell = self.says(check.column)
                if cell.casefold() not in (word.casefold() for word in check.words):
                    return f"{check.column[0]}: {cell or 'not said'}"
        return None

    def _time(self) -> tuple[str | None, str | None]:
        """The time as sent; where letters behind it are declared, as ISO 8601, and then as sent beside it."""
        sent = " ".join(filter(None, (self.says(self.options.date), self.says(self.options.time)))) or None
        if sent is None or not self.options.zones:
            return sent, None
        read = _with_zone(sent, self.options.zones)
        return (read, sent) if read else (sent, None)

    def _attributes(self) -> dict[str, Json]:
        if self._common is None:
            options, told = self.options, dict[str, Json]()
            for name, refs in options.attributes.items():
                if cell := self.says(refs):
                    told[name] = cell[:MOST_TEXT]
            for name, refs in (("well", options.well), ("kind", options.kind), ("error", options.error)):
                if cell := _first(self.record, refs):
                    told[name] = cell[:MOST_TEXT]
            for check in options.checks:
                if cell := _first(self.record, check.column):
                    told[str(check.column[0]).lstrip("./")[:MOST_NAME]] = cell[:MOST_TEXT]
            if options.keep_rest:
                for name, cell in self.record.rest(self.used):
                    if len(told) >= MOST_ATTRIBUTES:
                        break
                    if cell not in options.empty:
                        told.setdefault(name[:MOST_NAME], cell[:MOST_TEXT])
            if self.channel:
                told["file"] = self.channel[:MOST_TEXT]
            self._common = told
        return self._common

    def _identity(self, draft: Draft, said: _Said) -> tuple[str, ...]:
        """Specimen, test, time, value: so that a file exported again adds only its new rows.

        Rows without a time of their own, a run or a key may be equal in two files and yet two: there the file's name
        counts too, and where there is no specimen either, the whole row.
        """
        options = self.options
        key = tuple(f"{ref}={self.record.cell(ref)}" for ref in options.key)
        parts = (
            *(draft.device_time or "", draft.run or "", draft.specimen or "", draft.patient or ""),
            *(self.says(options.well), draft.test, draft.quantity or "", said.value or "", said.call or ""),
            *key,
        )
        timed = draft.device_time is not None and ":" in draft.device_time
        if not (timed or draft.run or key):
            parts = (*parts, f"file={self.channel}")
        if not (timed or key or draft.specimen):
            parts = (*parts, self.record.shown())
        return ("row", *parts)


def _with_zone(text: str, zones: dict[str, str]) -> str | None:
    """ "2010-10-01 01:44:54 PM EDT" as 2010-10-01 13:44:54 -04:00; None where it is not so written."""
    match = _LETTERS.fullmatch(text)
    if match is None or not _YEAR_FIRST.match(text):
        return None
    local, half, zone = match[1] or match[4], (match[2] or "").lower(), match[3] or match[5]
    offset = zones.get(zone)
    clock = _CLOCK.fullmatch(local.strip())
    if offset is None or clock is None:
        return None
    hour = int(clock[2])
    if half:
        if hour > 12:  # some software writes 22:05:31 PM
            if half == "a":
                return None
        else:
            hour = hour % 12 + (12 if half == "p" else 0)
    return f"{clock[1]}{hour:02d}{clock[3]} {offset}"
