"""The lines of the view. State is a word and a sign before it is a colour; colours are the terminal's own sixteen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from textual.content import Content

from gateway.terminal.picture import Picture
from gateway.terminal.said import Alarm, Device, Seen
from gateway.terminal.words import clock, cut, duration, measured, readable

AGE: Final = 7  # cells
VALUE: Final = 18  # a number of seven figures and its unit; a number itself is never cut
STATE: Final = 11
SIGNS: Final = {"critical": "!!!", "high": "!! ", "medium": "!  ", "low": ".  "}
COLOURS: Final = {"critical": "bold ansi_red", "high": "bold ansi_yellow", "medium": "bold ansi_cyan", "low": "bold"}
WORDS: Final = {
    "unacknowledged": "NEW",
    "acknowledged": "seen",
    "returned-unacknowledged": "OVER,unseen",
    "latched-unacknowledged": "OVER,unseen",
    "latched-acknowledged": "over,reset?",
    "out-of-service": "out of use",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list; `of` is what it is about, None of a heading."""

    key: str
    line: Content
    of: Alarm | Device | Seen | None = None

    def has(self, sought: str) -> bool:
        return sought in self.line.plain.casefold()


def heading(picture: Picture, address: str) -> tuple[str, bool]:
    """The first line, and whether it is an alarm of its own: values are old."""
    if picture.heard is None:
        return f"NOT CONNECTED to {address}: {picture.trouble or 'connecting'}", True
    if not picture.live:
        why = f": {picture.trouble}; trying again" if picture.trouble else ""
        return f"VALUES ARE OLD since {clock(picture.heard)} ({duration(picture.silence)}){why}", True
    in_sight = sum(not one.aside for one in picture.alarms)
    aside = len(picture.alarms) - in_sight
    silent = sum(one.lost or not picture.values.get(one.id) for one in picture.devices)
    told = f"{in_sight} in alarm, {aside} put aside | {len(picture.devices)} devices, {silent} without data"
    return f"LIVE {clock(picture.now)} | {told} | {picture.site}", False


def alarms(picture: Picture, width: int) -> Iterator[Row]:
    """By priority and age, as the gateway lists them, two lines each; what was put aside comes last, never missing."""
    labels = {device.id: device.label for device in picture.devices}
    for one in sorted(picture.alarms, key=lambda alarm: alarm.aside):
        colour = "" if one.aside else COLOURS.get(one.priority, "bold")
        sign = "   " if one.aside else SIGNS.get(one.priority, ".  ")
        state = f"{sign} {cut(one.priority, 8)} {cut(WORDS.get(one.state, one.state), STATE)}"
        age = duration(picture.now - one.raised.timestamp()) if one.raised else ""
        label = labels.get(one.device, one.device)
        what = _joined(one.title, label)
        why = _joined(readable(one.explanation), _standing(one), "" if one.aside else one.action or one.text)
        line = Content.assemble(
            (state, colour if one.unseen else colour.replace("bold ", "")),
            f" {cut(age, AGE)} ",
            (cut(what, width - 33), "bold" if one.unseen else ""),
            f"\n    {cut(why, width - 4)}",
        )
        yield Row(one.id, line, one)


def _joined(*parts: str) -> str:
    return " | ".join(part for part in parts if part)


def _standing(alarm: Alarm) -> str:
    """What people did about it."""
    if alarm.aside:
        until = f" until {clock(alarm.shelved_until.timestamp())}" if alarm.shelved_until else ""
        return f"by {alarm.aside_by}{until}: {alarm.aside_reason}"
    by = f"seen by {alarm.acknowledged_by}" if alarm.acknowledged_by else ""
    return f"{by}: {alarm.comment}" if by and alarm.comment else by


def devices(picture: Picture, width: int) -> Iterator[Row]:
    """In their rooms, each with its first value, and as many more as there is room for."""
    rooms: dict[str, list[Device]] = {}
    for device in picture.devices:
        rooms.setdefault(device.room, []).append(device)
    for room, inside in rooms.items():
        if room or len(rooms) > 1:
            yield Row(f"room {room}", Content.styled(cut(room or "Elsewhere", width), "bold"))
        for device in inside:
            yield Row(device.id, _device(picture, device, width), device)


def _device(picture: Picture, device: Device, width: int) -> Content:
    shown = picture.shown(device.id)
    main = shown[0] if shown else None
    worst = picture.worst(device.id)
    word, colour = device_state(picture, device, main)
    heard = max(device.last_received or 0, main.received.timestamp() if main else 0)
    age = duration(picture.now - heard) if heard else "never"
    name = max(8, min(28, width - 16 - AGE - VALUE - 18))
    rest = width - 16 - AGE - VALUE - name - 3
    others = "; ".join(f"{one.quantity} {_value(one)}" for one in shown[1:])
    of = f"{main.quantity}{_call(main)}" if main else ""
    return Content.assemble(
        (SIGNS.get(worst.priority, ".  ") if worst else "   ", COLOURS.get(worst.priority, "bold") if worst else ""),
        " ",
        (cut(word, STATE), colour),
        f" {cut(device.label, name)} {cut(age, AGE)} ",
        (cut(_value(main) if main else "-", VALUE), colour or "bold"),
        " ",
        cut(f"{of}; {others}" if others else of, max(1, rest)),
    )


def device_state(picture: Picture, device: Device, main: Seen | None) -> tuple[str, str]:
    """A device's state in a word with its sign, and its colour: none while all is well."""
    if not picture.live:
        return "? not known", "ansi_magenta"
    if device.lost:
        return "x NO LINK", "bold ansi_red"
    if main is None:
        return "- no data", "ansi_yellow"
    if picture.stale(main):
        return "~ STALE", "bold ansi_yellow"
    if main.invalid:
        return "x invalid", "bold ansi_red"
    return ("ok", "") if main.quality == "good" else (f"? {main.quality}", "ansi_yellow")


def _value(seen: Seen) -> str:
    return measured(seen.value, seen.unit, seen.comparator, seen.interpretation)


def _call(seen: Seen) -> str:
    """The call beside a number, where there is one."""
    call = seen.interpretation
    return f" {call.replace('-', ' ')}" if call and call != "normal" and isinstance(seen.value, int | float) else ""


def results(picture: Picture, width: int) -> Iterator[Row]:
    """The latest results, newest first."""
    labels = {device.id: device.label for device in picture.devices}
    for seen in picture.results:
        age = duration(picture.now - seen.received.timestamp())
        word = "x INVALID " if seen.invalid else "QC " if seen.kind == "qc" else ""
        flags = " ".join(("", *seen.flags)) + (f" ({seen.quality})" if seen.quality != "good" else "")
        label = labels.get(seen.device, seen.device)
        told = f"{word}{seen.specimen or '-'} | {seen.quantity}{_call(seen)}{flags} | {label}"
        value = (cut(_value(seen), VALUE), "bold ansi_red" if seen.invalid else "bold")
        line = Content.assemble(f"{cut(age, AGE)} ", value, " ", cut(told, max(10, width - AGE - VALUE - 2)))
        yield Row(str(seen.seq), line, seen)


def troubles(picture: Picture, width: int) -> Iterator[Row]:
    """The daemon's own: parts that do not work, sinks that are behind."""
    for one in picture.failing:
        yield Row(one.part, Content.styled(cut(f"x {one.part}: {one.detail}", width), "ansi_red"))
    for sink in picture.sinks:
        if sink.behind and sink.behind_seconds >= 1:
            late = f"~ sink {sink.id}: {sink.behind} behind, the oldest {duration(sink.behind_seconds)}"
            yield Row(f"behind {sink.id}", Content.styled(cut(late, width), "ansi_yellow"))


def details(picture: Picture, device: Device) -> Iterator[Content]:
    """A device's link and every quantity."""
    peers = ", ".join(device.peers) or "none"
    offset = "not known" if device.clock_offset is None else f"{device.clock_offset:+.1f} s"
    heard = device.last_received
    word, colour = device_state(picture, device, next(iter(picture.shown(device.id)), None))
    yield Content.assemble(f"{device.label} ({device.id}, {device.driver})  ", (word, colour or "bold"))
    yield Content(f"link     {device.link} {device.address}: {device.state} {device.detail}")
    yield Content(f"peers    {peers}")
    yield Content(f"messages {device.messages}, refused {device.refused}; its clock is ahead by {offset}")
    yield Content(f"heard    {clock(heard)}, {duration(picture.now - heard)} ago" if heard else "heard    never")
    for alarm in picture.alarms:
        if alarm.device == device.id:
            told = _joined(alarm.title, readable(alarm.explanation), alarm.action or alarm.text, _standing(alarm))
            state = (f"{alarm.priority} {WORDS.get(alarm.state, alarm.state)}", COLOURS.get(alarm.priority, "bold"))
            yield Content.assemble("alarm    ", state, " ", told)
    yield Content("")
    for seen in picture.shown(device.id):
        stale = " ~ STALE" if picture.stale(seen) else " x INVALID" if seen.invalid else ""
        quality = "" if seen.quality == "good" else f" {seen.quality}"
        age = duration(picture.now - seen.received.timestamp())
        of = f"{seen.quantity}{_call(seen)}{quality}{stale} at {clock(seen.time.timestamp())}, raw {seen.raw}"
        yield Content.assemble(f"{cut(age, AGE)} ", (cut(_value(seen), VALUE), "bold"), f" {of}")
