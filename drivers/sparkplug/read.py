"""From one message and the notes on its topic to drafts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError
from drivers.kit.observation import Draft, Json, Kind, Quality
from drivers.kit.payload import load, slug, tidy
from drivers.kit.sparkplug import BDSEQ, Known, Metric, Payload, Topic, Verb, read, topic, walk
from drivers.kit.sparkplug_values import Found, Type, value_of
from drivers.sparkplug import notes
from drivers.sparkplug.births import bdseq, unit
from drivers.sparkplug.options import MetricOption, SparkplugOptions

CONTROLS = ("Node Control/", "Device Control/")
ABOUT = ("Properties/", "Node Info/", "Device Info/", "Node Properties/", "Device Properties/")
YEAR_2000 = 946_684_800_000  # Unix milliseconds; a clock that says less was never set, and says it again
MOST_ATTRIBUTES = 64
GAP = "messages before this one are missing: what its alias means may have changed"
BAD, GOOD, STALE = 0, 192, 500  # of the property Quality


def drafts(message: Message, options: SparkplugOptions) -> Iterator[Draft]:
    """The drafts of one message. DecodeError where it cannot be read with certainty: then none of it is."""
    noted = notes.parse(message.channel)
    at = topic(noted.topic)
    if at is None:
        raise DecodeError(f"not a Sparkplug B topic: {noted.topic[:100]!r}")
    if at.verb is Verb.STATE:
        yield _state(at, message.data)
        return
    payload = read(message.data)
    say = _Sayer(at, payload, noted, options)
    if at.verb.command:
        yield say.command()
    elif at.verb is Verb.NDEATH:
        yield from say.death()
    elif at.verb is Verb.DDEATH:
        yield say.availability("offline", at.device, payload.timestamp)
    else:
        yield from list(say.metrics())


def _state(at: Topic, data: bytes) -> Draft:
    """A host's STATE: JSON since 3.0, a word before."""
    said = load(data)
    online = said.get("online") if isinstance(said, dict) else {"ONLINE": True, "OFFLINE": False}.get(str(said))
    if not isinstance(online, bool):
        raise DecodeError("not the STATE of a Sparkplug host")
    sent = said.get("timestamp") if isinstance(said, dict) else None
    stamp = sent if isinstance(sent, int) and not isinstance(sent, bool) else None
    word = "online" if online else "offline"
    return Draft(
        kind=Kind.STATUS,
        test=f"{at.node}/host-state",
        quantity="host-state",
        value=word,
        device_time=_time(stamp),
        identity=_identity(at, "host-state", stamp, word),
        attributes={"host": at.node},
    )


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else f"unix:{milliseconds // 1000}.{milliseconds % 1000:03d}"


def _identity(at: Topic, name: str, milliseconds: int | None, value: object) -> tuple[str, ...]:
    """The same value of the same metric at the same millisecond is one reading, in DATA, in a birth, or sent again."""
    if milliseconds is None or milliseconds < YEAR_2000:
        return ()
    return (at.group, at.node, at.device, name, str(milliseconds), repr(value))


@dataclass(frozen=True, slots=True)
class _Sayer:
    """Makes the drafts of one message."""

    at: Topic
    payload: Payload
    noted: notes.Notes
    options: SparkplugOptions

    # ---- who it is about

    def _named(self, name: str, device: str) -> str:
        """A name with what the options leave open before it."""
        options = self.options
        parts = [] if options.group or options.node else [self.at.group]
        parts += [] if options.node else [self.at.node]
        if not options.device:
            parts += [device] if device else []
        elif not device:
            parts.append("node")
        return "/".join((*parts, name))

    def _about(self, device: str) -> dict[str, Json]:
        about: dict[str, Json] = {"group": self.at.group, "node": self.at.node}
        return {**about, "device": device} if device else about

    # ---- statuses

    def availability(self, word: str, device: str, stamp: int | None, **told: Json) -> Draft:
        """Online and offline: of a device, or of the node (device "")."""
        test = self._named("availability", device)
        return Draft(
            kind=Kind.STATUS,
            test=test,
            quantity=slug(test),
            value=word,
            device_time=_time(stamp),
            identity=_identity(self.at, f"{device}/availability", stamp, word),
            attributes={**self._about(device), **told},
        )

    def death(self) -> Iterator[Draft]:
        """The node's will, at the time it came: when it was written says nothing of when the node went."""
        ended = bdseq(self.payload)
        if self.noted.late is not None:
            yield Draft(
                kind=Kind.EVENT,
                test=self._named("late-death", ""),
                quantity=slug(self._named("late-death", "")),
                value=f"of session {ended}; it is session {self.noted.late} now",
                identity=(),
                attributes=self._about(""),
            )
            return
        yield self.availability("offline", "", None, bdSeq=ended)
        devices = (self.options.device,) if self.options.device else self.noted.devices
        for device in devices:
            yield self.availability("offline", device, None, bdSeq=ended)

    def command(self) -> Draft:
        """What some host has told the node to do."""
        names = [metric.name or f"alias {metric.alias}" for metric in self.payload.metrics]
        test = self._named("command", self.at.device)
        value = ", ".join(names)[:500]
        return Draft(
            kind=Kind.EVENT,
            test=test,
            quantity=slug(test),
            value=value,
            device_time=_time(self.payload.timestamp),
            identity=_identity(self.at, "command", self.payload.timestamp, value),
            attributes=self._about(self.at.device),
        )

    # ---- metrics

    def metrics(self) -> Iterator[Draft]:
        """A birth's status, and every metric that is observed."""
        about: dict[str, Json] = {}
        found: list[Draft] = []
        birth = self.at.verb.birth
        for name, metric, known in walk(self.payload.metrics, self.noted.look):
            if name is None:
                raise DecodeError(f"alias {metric.alias} is not known: no birth was seen")
            option = self._option(name)
            if option is None and (name == BDSEQ or name.startswith(CONTROLS)):
                continue
            datatype = metric.datatype or (known.datatype if known else Type.UNKNOWN)
            value = Found() if metric.null else value_of(metric.holder, metric.held, datatype, name)
            if option is None and name.startswith(ABOUT) and birth and len(about) < MOST_ATTRIBUTES:
                about[name] = tidy(value.value)
            elif option is not None or self.options.unknown == "discover" or name.startswith(ABOUT):
                found.append(self._metric(name, metric, known, value, option))
        if birth:
            if not self.at.device:
                about["bdSeq"] = bdseq(self.payload)
            yield self.availability("online", self.at.device, self.payload.timestamp, **about)
        yield from found

    def _option(self, name: str) -> MetricOption | None:
        return next(
            (one for one in self.options.metrics if one.name == name and one.device in (None, self.at.device)), None
        )

    def _metric(
        self, name: str, metric: Metric, known: Known | None, value: Found, option: MetricOption | None
    ) -> Draft:
        test = self._named(name, self.at.device)
        stamp = self.payload.timestamp if metric.timestamp is None else metric.timestamp
        kind = Kind.STATUS if name.startswith(ABOUT) else Kind.EVENT if value.structured else Kind.READING
        said = unit(metric.properties) or (known.unit if known and known.unit else None)
        quality, why = self._quality(metric, value)
        return Draft(
            kind=option.kind if option else kind,
            test=test,
            quantity=option.quantity if option else slug(test),
            value=value.value,
            code=option.code if option else None,
            unit=said or (option.unit if option else None),
            device_time=_time(stamp),
            identity=_identity(self.at, name, stamp, value.told if value.structured else value.value),
            quality=quality,
            quality_reason=why,
            attributes={**self._about(self.at.device), **self._told(metric), **value.told},
        )

    def _told(self, metric: Metric) -> dict[str, Json]:
        told: dict[str, Json] = {key: tidy(one) for key, one in metric.properties.items()}
        told |= metric.about
        if metric.historical:
            told["historical"] = True
        if metric.transient:
            told["transient"] = True
        if self.at.verb.birth:
            told["message"] = str(self.at.verb)
        return told

    def _quality(self, metric: Metric, value: Found) -> tuple[Quality, str | None]:
        if metric.null:
            return Quality.BAD, "sent as null"
        if value.why:
            return Quality.BAD, value.why
        said = metric.properties.get("Quality")
        if said == BAD:
            return Quality.BAD, "the node says that it is bad"
        if said == STALE:
            return Quality.UNCERTAIN, "the node says that it is stale"
        if said not in (None, GOOD):
            return Quality.UNCERTAIN, f"quality code {said} is not Sparkplug's"
        if self.noted.gap and (metric.name is None or not metric.datatype):
            return Quality.UNCERTAIN, GAP
        return Quality.GOOD, None
