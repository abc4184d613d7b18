"""Every alarm of one configuration: readings, ticks and people's acts in, transitions out. Pure: it knows no clock, no
journal and nobody to tell, so that the same course gives the same transitions in the daemon, after a restart and in a
back-test."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Final

import structlog

from gateway.alarms import states
from gateway.alarms.conditions import Condition, Seen, Silent, Told, build, by_device, others
from gateway.alarms.instance import Instance
from gateway.alarms.options import AlarmOptions, Priority, SuppressionOptions
from gateway.alarms.states import Life, State, Transition
from gateway.alarms.suppression import Suppressions
from gateway.alarms.when import When

log = structlog.get_logger()

SLOW: Final = 300.0  # seconds of nothing but late readings
SET_BACK: Final = 5.0  # seconds by which a clock is put back rather than corrected
MOST_INSTANCES: Final = 20_000  # an instrument that invents quantities must not grow us without bound
NOTHING: Final[Mapping[str, float]] = MappingProxyType({})
_AS_NEW: Final = frozenset({Transition.UNSHELVED, Transition.UNSUPPRESSED, Transition.RETURNED_TO_SERVICE})
_LIFE: Final = frozenset(field.name for field in fields(Life))
_GRAVE: Final = {priority: place for place, priority in enumerate(Priority)}


@dataclass(frozen=True, slots=True)
class Moved:
    """One transition: `at` (unix seconds) by the readings' own time, or when a person or a delay brought it about."""

    instance: Instance
    transition: Transition
    at: float
    by: str
    why: str


class Annunciator:
    """The panel. Who runs it takes `moved` and `suppressions.changes` away after each call."""

    def __init__(
        self,
        alarms: Sequence[AlarmOptions],
        suppressions: Iterable[SuppressionOptions] = (),
        told: Mapping[str, float] = NOTHING,
    ) -> None:
        """`told`: the alarms that somebody else looks at (see `tell`), and seconds each must last."""
        self.options = tuple(alarms)
        self.moved: list[Moved] = []
        self.instances: dict[str, Instance] = {}
        self.suppressions = Suppressions(suppressions, self._active)
        self._told = told
        self._routes: dict[tuple[str, str], list[Instance]] = {}
        self._further: dict[tuple[str, str], list[Instance]] = {}  # for rules about more than one quantity
        self._by_device: dict[str, list[Instance]] = {}
        self._watching = [alarm for alarm in self.options if alarm.id not in told and _observed(alarm.when)]
        self._ticked = math.inf

    # ---- what comes in

    def feed(self, seen: Seen) -> None:
        self.suppressions.feed(seen)
        for instance in self._route(seen):
            if seen.time < instance.condition.latest:
                instance.late_since = instance.late_since or seen.received
                if seen.received - instance.late_since <= SLOW:
                    self._late(instance, seen)
                    continue
                self._put_back(instance, seen)
            instance.late_since = None
            instance.condition.feed(seen)
            self._settle(instance, seen.time)

    def tick(self, now: float) -> None:
        """Delays, silences, the ends of shelving and of suppression. `now` in unix seconds."""
        if now < self._ticked - SET_BACK:  # or, at the first tick, while nobody ran it
            for instance in self.instances.values():
                instance.condition.set_back(now)
            self.suppressions.set_back(now)
        self._ticked = now
        self.suppressions.tick(now)
        for instance in list(self.instances.values()):
            instance.condition.tick(now)
            self._settle(instance, now)
            life = instance.life
            if life.state is State.SHELVED and life.shelved_until is not None and now >= life.shelved_until:
                self._move(instance, states.unshelve(life), now, "the time is over")
            elif life.state is State.SUPPRESSED and not self._suppressed(instance, now):
                self._move(instance, states.unsuppress(life), now, "its cause is over")

    def tell(self, alarm: AlarmOptions, name: str, is_true: bool, now: float, words: str,
             value: float | None = None) -> None:  # fmt: skip
        """What somebody else has looked at: a link, a store, the journal."""
        instance = self.instance(alarm, name, "")
        if instance and isinstance(instance.condition, Told):
            instance.condition.tell(is_true, now, words, value)
            self._settle(instance, now)

    def show(self, alarm: AlarmOptions, seen: Seen) -> None:
        """A figure of the gateway itself."""
        if instance := self.instance(alarm, "", ""):
            instance.condition.feed(seen)
            self._settle(instance, seen.time)

    def expect(self, device: str, now: float) -> None:
        """A device that has not spoken yet is watched all the same."""
        for alarm in self._watching:
            if alarm.when.silent is not None and by_device(alarm.when) and fnmatchcase(device, alarm.when.device):
                instance = self.instance(alarm, device, "")
                if instance and isinstance(instance.condition, Silent):
                    instance.condition.start(now)

    # ---- people. Errors: KeyError (no such alarm), states.NotNowError

    def acknowledge(self, alarm_id: str, by: str, comment: str, now: float) -> None:
        instance = self.instances[alarm_id]
        self._move(instance, states.acknowledge(instance.life, now, by, comment), now, comment, by)

    def reset(self, alarm_id: str, by: str, comment: str, now: float) -> None:
        instance = self.instances[alarm_id]
        self._move(instance, states.reset(instance.life), now, comment, by)

    def shelve(self, alarm_id: str, until: float, by: str, reason: str, now: float) -> None:
        instance = self.instances[alarm_id]
        self._move(instance, states.shelve(instance.life, until, by, reason), now, reason, by)

    def unshelve(self, alarm_id: str, by: str, now: float) -> None:
        instance = self.instances[alarm_id]
        self._move(instance, states.unshelve(instance.life), now, "", by)

    def remove(self, alarm_id: str, by: str, reason: str, now: float) -> None:
        """Out of service."""
        instance = self.instances[alarm_id]
        self._move(instance, states.remove(instance.life, by, reason), now, reason, by)

    def take_back(self, alarm_id: str, by: str, now: float) -> None:
        """Into service again."""
        instance = self.instances[alarm_id]
        self._move(instance, states.take_back(instance.life), now, "", by)

    def open(self) -> list[Instance]:
        """What is not normal: gravest first, then oldest first."""
        found = [instance for instance in self.instances.values() if instance.life.open]
        found.sort(key=lambda one: (_GRAVE[one.options.priority], one.life.raised or 0.0, one.id))
        return found

    # ---- durable state

    def dump(self) -> dict[str, Any]:
        """Everything that must survive a restart, as JSON."""
        alarms = [
            [one.options.id, one.device, one.quantity, asdict(one.life), one.condition.dump(),
             one.past and one.past.dump(), one.late_since]
            for one in self.instances.values()
        ]  # fmt: skip
        return {"alarms": alarms, "suppressions": self.suppressions.dump()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a dump."""
        by_id = {alarm.id: alarm for alarm in self.options}
        for alarm_id, device, quantity, life, condition, *late in state.get("alarms", ()):
            alarm = by_id.get(alarm_id)
            instance = self.instance(alarm, device, quantity) if alarm else None
            if instance is None:
                continue
            known = {name: value for name, value in life.items() if name in _LIFE}
            instance.life = Life(**{**known, "state": State(life["state"])})
            try:
                instance.condition.load(condition)
                if late and late[0] is not None:
                    instance.past = self._built(instance)
                    instance.past.load(late[0])
                instance.late_since = late[1] if len(late) > 1 else None
            except (ValueError, TypeError, IndexError):
                log.warning("an alarm's rule has changed: its memory starts anew", alarm=instance.id)
                instance.condition, instance.past = self._built(instance), None
        self.suppressions.load(state.get("suppressions", {}))

    # ---- parts

    def instance(self, alarm: AlarmOptions, device: str, quantity: str) -> Instance | None:
        """The one alarm on a device and quantity; None where there are too many."""
        key = ".".join(part for part in (alarm.id, device, quantity) if part)
        known = self.instances.get(key)
        if known is None and len(self.instances) < MOST_INSTANCES:
            condition = self._condition(alarm, device, quantity)
            known = self.instances[key] = Instance(alarm, device, quantity, condition)
            self._by_device.setdefault(device, []).append(known)
            for pair in others(alarm.when, device) if alarm.id not in self._told else ():
                self._further.setdefault(pair, []).append(known)
                self._routes.pop(pair, None)
        return known

    def _built(self, instance: Instance) -> Condition:
        return self._condition(instance.options, instance.device, instance.quantity)

    def _condition(self, alarm: AlarmOptions, device: str, quantity: str) -> Condition:
        if alarm.id in self._told:
            return Told(self._told[alarm.id])
        return build(alarm.when, device, quantity)

    def _route(self, seen: Seen) -> list[Instance]:
        key = (seen.device, seen.quantity)
        found = self._routes.get(key)
        if found is None:
            found = []
            for alarm in self._watching:
                when = alarm.when
                if fnmatchcase(seen.device, when.device) and fnmatchcase(seen.quantity, when.quantity):
                    instance = self.instance(alarm, seen.device, "" if by_device(when) else seen.quantity)
                    if instance:
                        found.append(instance)
            found += [one for one in self._further.get(key, ()) if one not in found]
            if len(self._routes) < MOST_INSTANCES:
                self._routes[key] = found
        return found

    def _settle(self, instance: Instance, at: float) -> None:
        """Let the alarm follow its condition."""
        holds = instance.condition.holds
        if holds == instance.life.active:
            return
        suppressed = self._suppressed(instance, at) if holds else None
        life, transition = states.condition(
            instance.life, holds, at, latch=instance.options.latch, suppressed=suppressed
        )
        why = suppressed[1] if suppressed and transition is Transition.SUPPRESSED else instance.condition.explanation
        self._moved(instance, life, transition, at, why if holds else "", suppressed[0] if suppressed else "")

    def _put_back(self, instance: Instance, seen: Seen) -> None:
        """Nothing but late readings for so long: they are not late, the instrument's clock was put back."""
        fits = instance.past is not None and seen.time >= instance.past.latest
        instance.condition = instance.past if fits and instance.past else self._built(instance)
        instance.past = None

    def _late(self, instance: Instance, seen: Seen) -> None:
        """Readings older than the newest say nothing about now; what they tell of the past is not hidden."""
        past = instance.past
        if past is None or seen.time < past.latest:
            past = instance.past = self._built(instance)
        held = past.holds
        past.feed(seen)
        if not past.holds:
            return
        if held:
            if instance.life.state is State.RETURNED and instance.life.cleared is not None:
                instance.life = replace(instance.life, cleared=max(instance.life.cleared, seen.time))
            return
        life, transition = states.passed(instance.life, seen.time, seen.time, latch=instance.options.latch)
        self._moved(instance, life, transition, seen.time, f"known late, and over: {past.explanation}")

    def _suppressed(self, instance: Instance, at: float) -> tuple[str, str] | None:
        return self.suppressions.of(instance.options.id, instance.device, at)

    def _active(self, pattern: str, device: str) -> float | None:
        since = [
            one.life.raised or 0.0
            for one in (*self._by_device.get(device, ()), *self._by_device.get("", ()))
            if one.life.active and fnmatchcase(one.options.id, pattern)
        ]
        return min(since, default=None)

    def _move(self, instance: Instance, change: tuple[Life, Transition], at: float, why: str, by: str = "") -> None:
        self._moved(instance, change[0], change[1], at, why, by)
        if change[1] in _AS_NEW and change[0].state is State.UNACKNOWLEDGED:
            self._moved(instance, change[0], Transition.RAISED, at, instance.condition.explanation)

    def _moved(
        self, instance: Instance, life: Life, transition: Transition | None, at: float, why: str, by: str = ""
    ) -> None:
        instance.life = life
        if transition is not None:
            self.moved.append(Moved(instance, transition, at, by, why))


def _observed(when: When) -> bool:
    """True where observations decide it."""
    return when.quarantine is None and when.behind is None and when.gateway is None
