"""The vocabulary of observations, and `Draft`: one observation as the instrument said it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]
Value = str | int | float | bool | None
Comparator = Literal["<", "<=", ">", ">="]
NOTHING: Mapping[str, Json] = MappingProxyType({})


class Kind(StrEnum):
    RESULT = "result"  # of a test on a specimen
    QC = "qc"  # of a control material
    READING = "reading"  # of an instrument or its surroundings
    EVENT = "event"  # something happened: a door, an error, a run started
    STATUS = "status"  # what state the instrument says it is in


class Quality(StrEnum):
    GOOD = "good"
    UNCERTAIN = "uncertain"
    BAD = "bad"


class Status(StrEnum):
    PRELIMINARY = "preliminary"
    FINAL = "final"
    CORRECTED = "corrected"
    CANCELLED = "cancelled"


class Interpretation(StrEnum):
    POSITIVE = "positive"
    NEGATIVE = "negative"
    DETECTED = "detected"
    NOT_DETECTED = "not-detected"
    REACTIVE = "reactive"
    NON_REACTIVE = "non-reactive"
    RESISTANT = "resistant"
    SUSCEPTIBLE = "susceptible"
    INTERMEDIATE = "intermediate"
    INDETERMINATE = "indeterminate"
    INVALID = "invalid"
    NORMAL = "normal"
    ABNORMAL = "abnormal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One observation as a driver read it: values, units and times exactly as sent, nothing converted.

    The gateway's normaliser makes the observation from it. A driver says what it knows and leaves the
    rest at its default.
    """

    kind: Kind
    test: str  # the instrument's own name for what it observed: the key of the device's `tests` map
    codes: tuple[str, ...] | None = None
    """The maker's codes and names by which that map may know it as well. (): none, because it is another aspect of a
    test than its result (a cycle threshold, a signal); None: as `test` is built by LIS02-A2 5.6.1."""
    value: Value = None  # as sent; text stays text ("<0.5", "NEG", "60,96")
    quantity: str | None = None  # the driver's name for it; without one it is made from `test`
    code: str | None = None  # "loinc:94558-4"
    unit: str | None = None  # as sent ("cp/mL", "C"), or UCUM where the driver knows it
    comparator: Comparator | None = None  # where the instrument gives it beside the value
    interpretation: str | None = None  # the call as sent ("Pos", "NON DÉTECTÉ"); None: look for it in `value`
    flags: tuple[str, ...] = ()  # HL7 table 0078 codes and the instrument's own
    status: Status = Status.FINAL
    specimen: str | None = None
    patient: str | None = None
    operator: str | None = None
    lot: str | None = None
    lot_expiry: str | None = None
    run: str | None = None
    device_time: str | None = None  # exactly what the instrument's clock said
    now: str | None = None  # what its clock said when it sent this, where the protocol has a place for that (ASTM H14)
    age: float | None = None  # seconds before it was received, where the instrument says that instead of a time
    identity: tuple[str, ...] | None = None
    """What makes this result itself whichever message carries it: its specimen, test, own time and value,
    say. None: the bytes of the message up to and including this result (`extent`) identify it. (): nothing does,
    every arrival counts ("Online" from a device whose readings carry times)."""
    extent: int | None = None  # how many bytes of the message it took to say this; None: all of them
    quality: Quality = Quality.GOOD
    quality_reason: str | None = None
    attributes: Mapping[str, Json] = field(default_factory=lambda: NOTHING)  # everything else it said
