"""A report as headings, sentences and tables: the same for a page, a sheet and paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway.equipment.report import Numbers, Report

MINUTE: Final = 60.0
SIGNS: Final = {"Cel": "°C", "[degF]": "°F", "Ohm": "Ω", "%": "%", "": ""}  # others are written as UCUM has them


@dataclass(frozen=True, slots=True)
class Token:
    """Something of ours that is read as one, from left to right: -80 is never 80-. `raw`: for programs."""

    text: str
    raw: float | int | str | None = None


Cell = str | Token  # str: anybody's words


@dataclass(frozen=True, slots=True)
class Section:
    """`columns` empty: a table of names and values. `said`: sentences above it."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    said: tuple[str, ...] = ()


def unit_sign(unit: str) -> str:
    return SIGNS.get(unit, unit)


def number(value: float | None, unit: str = "") -> Token:
    """To three digits after the point, as many as are needed."""
    if value is None:
        return Token("-")
    odd = value and not 1e-3 <= abs(value) < 1e6
    text = f"{value:.6g}" if odd else f"{value:.3f}".rstrip("0").rstrip(".")
    text = "0" if text == "-0" else text
    sign = unit_sign(unit)
    return Token(f"{text}{' ' if sign else ''}{sign}", round(value, 6))


def minutes(seconds: float) -> Token:
    return number(seconds / MINUTE)


def count(value: int) -> Token:
    return Token(str(value), value)


def local(moment: datetime, zone: ZoneInfo) -> Token:
    """On the wall's clock, with how far that is from UTC: an hour that comes twice is told apart."""
    text = moment.astimezone(zone).isoformat(sep=" ", timespec="seconds")
    return Token(text, moment.astimezone(zone).isoformat(timespec="seconds"))


def utc(moment: datetime) -> Token:
    text = moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Token(text, text)


def sections(report: Report, made: str) -> list[Section]:
    """Everything but the trace, in the order it is read. `made`: when and by which version; "" leaves it out."""
    zone = ZoneInfo(report.timezone)
    found = [
        _equipment(report, zone),
        *_limits(report),
        _figures(report),
        _excursions(report, zone),
        _gaps(report, zone),
        _parts(report, zone),
        _alarms(report, zone),
        _calibration(report),
        _quality(report),
        _proof(report),
    ]
    if made:
        found.append(Section("made", "Made", (), [("made", Token(made, made))]))
    return found


def verdict(report: Report) -> str:
    """What was found, in one line; what is not known first of all."""
    whole = report.whole
    told = []
    if whole.unknown:
        told.append(f"Not known for {minutes(whole.unknown).text} min of {_span(report)} min.")
    if report.low is None and report.high is None:
        return " ".join([*told, "No limit is configured or given: nothing is said about excursions."])
    if not report.excursion_count:
        return " ".join([*told, "No excursion was seen."])
    out = minutes(whole.above + whole.below).text
    plural = "excursion" if report.excursion_count == 1 else "excursions"
    return " ".join([*told, f"{report.excursion_count} {plural}, {out} min out of range."])


def _span(report: Report) -> str:
    return minutes((report.until - report.since).total_seconds()).text


def _equipment(report: Report, zone: ZoneInfo) -> Section:
    limit_words = "given with the report" if not report.limits_from else "of configured alarms"
    none = report.low is None and report.high is None
    rows: list[tuple[Cell, ...]] = [
        ("site", report.site),
        ("device", report.device),
        ("label", report.label or "-"),
        ("room", report.room or "-"),
        ("quantity", report.quantity),
        ("unit", report.unit or "-"),
        ("from (local)", local(report.since, zone)),
        ("to (local)", local(report.until, zone)),
        ("time zone", report.timezone),
        ("from (UTC)", utc(report.since)),
        ("to (UTC)", utc(report.until)),
        ("low limit", number(report.low, report.unit)),
        ("high limit", number(report.high, report.unit)),
        ("limits", "none" if none else limit_words),
    ]
    return Section("equipment", "Equipment and period", (), rows)


def _limits(report: Report) -> list[Section]:
    rows: list[tuple[Cell, ...]] = [
        (one.alarm, one.title, number(one.low, report.unit), number(one.high, report.unit), minutes(one.lasting))
        for one in report.limits_from
    ]
    columns = ("alarm", "title", "below", "above", "for minutes")
    return [Section("limits", "Alarms the limits are taken from", columns, rows)] if rows else []


def _figures(report: Report) -> Section:
    whole, unit = report.whole, report.unit
    known = whole.within + whole.above + whole.below
    rows: list[tuple[Cell, ...]] = [
        ("samples", count(whole.samples)),
        ("minimum", number(whole.low, unit)),
        ("maximum", number(whole.high, unit)),
        ("mean", number(whole.mean, unit)),
        ("standard deviation", number(whole.sd)),
        ("mean kinetic temperature", number(whole.kinetic, "Cel")),
        ("minutes in range", minutes(whole.within)),
        ("in range, of the known time", number(100 * whole.within / known if known else None, "%")),
        ("minutes above", minutes(whole.above)),
        ("minutes below", minutes(whole.below)),
        ("minutes unknown", minutes(whole.unknown)),
        ("of these, minutes without a sample", minutes(report.silent)),
        ("excursions", count(report.excursion_count)),
        ("gaps", count(report.gap_count)),
    ]
    said = (
        "A value stands until the next sample. Mean, standard deviation and mean kinetic temperature weigh each value"
        " with the time it stood. Mean kinetic temperature: dH = 83.144 kJ/mol (ICH Q1A, USP <1079.2>); it excuses no"
        " excursion of what must be kept cold or frozen.",
    )
    return Section("figures", "Figures", (), rows, said)


def _excursions(report: Report, zone: ZoneInfo) -> Section:
    rows = [
        (
            one.side,
            local(one.start, zone),
            local(one.end, zone),
            minutes(one.seconds),
            number(one.extreme, report.unit),
            number(one.area),
            "; ".join(words for words in (_begun(one.begun), _ended(one.ended)) if words) or "-",
        )
        for one in report.excursions
    ]
    columns = ("side", "start", "end", "minutes", "extreme", "unit-minutes outside", "note")
    said = (
        "A value equal to a limit is within it. An excursion is not carried over a time of which nothing is known.",
        *_not_all(report.excursion_count, len(rows), "excursions"),
    )
    return Section("excursions", "Excursions", columns, rows, said)


def _begun(why: str) -> str:
    return {"before the period": "began before the period", "not known": "what was before it is not known"}.get(why, "")


def _ended(why: str) -> str:
    return {"after the period": "goes on at the end of the period", "not known": "what came after it is not known"}.get(
        why, ""
    )


def _not_all(there: int, listed: int, what: str) -> tuple[str, ...]:
    return (f"The {listed} longest of {there} {what} are listed; all are counted.",) if there > listed else ()


def _gaps(report: Report, zone: ZoneInfo) -> Section:
    rows = [(local(one.start, zone), local(one.end, zone), minutes(one.seconds)) for one in report.gaps]
    usual = f"{number(report.usual).text} s" if report.usual else "not known"
    longer = f"{number(report.gap).text} s" if report.gap else "any time"
    said = (
        f"The usual time from sample to sample is {usual}. Where nothing was received for longer than {longer}, nothing"
        " is known: that time counts as unknown, never as in range.",
        *_not_all(report.gap_count, len(rows), "gaps"),
        *_removed(report, zone),
    )
    return Section("gaps", "Gaps", ("start", "end", "minutes"), rows, said)


def _removed(report: Report, zone: ZoneInfo) -> tuple[str, ...]:
    if report.kept_from is None:
        return ()
    since = local(report.kept_from, zone).text
    return (
        f"What the journal had from before about {since} has been removed from it (retention): no gap before is sure.",
    )


def _parts(report: Report, zone: ZoneInfo) -> Section:
    def row(one: Numbers) -> tuple[Cell, ...]:
        numbers = (number(value) for value in (one.low, one.high, one.mean))
        times = (minutes(value) for value in (one.within, one.above, one.below, one.unknown))
        return (local(one.start, zone), minutes((one.end - one.start).total_seconds()), count(one.samples), *numbers,
                *times)  # fmt: skip

    columns = (
        "from", "minutes", "samples", "minimum", "maximum", "mean", "in range", "above", "below", "unknown",
    )  # fmt: skip
    said = ("The trace in numbers. Times in range, above, below and unknown are minutes.",)
    return Section("trace", "Course", columns, [row(one) for one in report.parts], said)


def _alarms(report: Report, zone: ZoneInfo) -> Section:
    rows = [
        (local(one.at, zone), one.alarm or "-", Token(one.what[:40]), one.by or "-", one.why or "-", count(one.entry))
        for one in report.transitions
    ]
    more = report.transition_count - len(rows)
    said = (f"{more} more entries are in the audit chain.",) if more else ()
    columns = ("time", "alarm", "what", "by", "why", "audit entry")
    return Section("alarms", "Alarms and maintenance of the device", columns, rows, said)


def _calibration(report: Report) -> Section:
    one = report.calibration
    if not (one.done or one.due or one.certificate or one.by or one.note):
        return Section("calibration", "Calibration", (), [], (one.verdict,))
    rows: list[tuple[Cell, ...]] = [
        ("verdict", one.verdict),
        ("calibrated on", Token(str(one.done or "-"))),
        ("due on", Token(str(one.due or "-"))),
        ("certificate", one.certificate or "-"),
        ("by", one.by or "-"),
        ("note", one.note or "-"),
    ]
    return Section("calibration", "Calibration", (), rows)


def _quality(report: Report) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (one.reason, count(one.count), number(one.low), number(one.high)) for one in report.left_out
    ]
    said = ["Samples that are left out are counted here, and the time until the next sample is unknown."]
    if report.late:
        said.append(
            f"{report.late} samples arrived late, up to {minutes(report.latest).text} min after their time:"
            " a report made before had gaps there."
        )
    else:
        said.append("No sample arrived late.")
    if report.proof.corrected:
        said.append(f"{report.proof.corrected} samples are counted as they were corrected later, not as first read.")
    columns = ("left out because", "samples", "least said", "most said")
    return Section("quality", "Quality of the data", columns, rows, tuple(said))


def _proof(report: Report) -> Section:
    proof = report.proof
    rows: list[tuple[Cell, ...]] = [
        ("samples read", count(proof.rows)),
        ("first position (seq)", count(proof.first_seq) if proof.first_seq else Token("-")),
        ("last position (seq)", count(proof.last_seq) if proof.last_seq else Token("-")),
        ("last audit entry listed", count(proof.audit) if proof.audit else Token("-")),
        ("seal", proof.head or "none yet"),
    ]
    said = (
        f"To check that the journal is as it was: assaygate verify -c FILE --head {proof.head}"
        if proof.head
        else "No seal covers all of this yet: make the report again in a minute, or look at assaygate verify.",
    )
    return Section("proof", "Where it comes from", (), rows, said)
