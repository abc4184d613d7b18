"""What all dialects share: messages that are no measurement, and what a whole message says of its readings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from drivers.kit.observation import Draft, Json, Kind
from drivers.kit.payload import finite, leaves, slug, tidy
from drivers.mqtt_json.options import MqttJsonOptions
from drivers.mqtt_json.readings import MOST_ATTRIBUTES, Stamp, never_set

AVAILABILITY = {"availability", "lwt", "status", "state", "$state", "connected", "online"}
PRESENCE = {"online", "offline", "ready", "lost", "connected", "disconnected", "init", "sleeping", "alert"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """`told` gives the drafts of a message that is no measurement, None for a measurement."""

    told: Callable[[Json, Sequence[str]], list[Draft] | None]
    stamp: Callable[[Json], Stamp]
    found: Callable[[Json, Sequence[str], MqttJsonOptions], Iterator[Draft]]


def mapping(value: Any) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def event(test: str, payload: Json, kind: Kind = Kind.EVENT, value: Json = None) -> Draft:
    """A message that is about the device, not about what it measures."""
    told = {place or test: tidy(one) for place, one in leaves(payload)}
    said = value if value is not None else payload if not isinstance(payload, dict | list) else None
    attributes = dict(list(told.items())[:MOST_ATTRIBUTES]) if isinstance(payload, dict | list) else {}
    quantity = slug(test)
    scalar = None if isinstance(said, dict | list) or not finite(said) else said
    return Draft(kind=kind, test=test, quantity=quantity, value=scalar, attributes=attributes, identity=())


def presence(payload: Json, levels: Sequence[str]) -> list[Draft] | None:
    """Online and offline, as a word or as `{"state": "online"}`."""
    last = levels[-1].casefold() if levels else ""
    state = payload.get("state") if isinstance(payload, dict) and len(payload) == 1 else payload
    if not isinstance(state, str) or state.casefold() not in PRESENCE:
        return None
    if isinstance(payload, dict) and last not in AVAILABILITY:
        return None
    return [event("availability", payload, Kind.STATUS, state)]


def stamped(draft: Draft, stamp: Stamp, topic: str | None) -> Draft:
    """The draft with its message's time and, where content identifies it, what makes it itself on its topic."""
    identity = draft.identity
    if topic is not None:
        known = stamp.key or (stamp.time if stamp.time and not never_set(stamp.time) else None)
        identity = (topic, draft.test, known, str(draft.value)) if known else ()
    attributes = {**stamp.attributes, **draft.attributes}
    return replace(draft, device_time=draft.device_time or stamp.time, identity=identity, attributes=attributes)
