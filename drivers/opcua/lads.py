"""OPC UA LADS (OPC 30500-1): which variables a laboratory device's measurements stand in, and what they are called.

Browse names and node numbers from the published nodesets: Opc.Ua.LADS 1.0.0, DI 1.04 (namespace, browse name). Every
variable is found by its name below the DeviceSet, never by a number of the server's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from drivers.kit.observation import Json, Kind
from drivers.kit.payload import slug

UA: Final = "http://opcfoundation.org/UA/"
DI: Final = "http://opcfoundation.org/UA/DI/"
LADS: Final = "http://opcfoundation.org/UA/LADS/"
DEVICE_SET: Final = f"nsu={DI};i=5001"  # the object all devices of a server are below (OPC 10000-100)
ROOT: Final = "DeviceSet"

_READING, _STATUS = Kind.READING, Kind.STATUS


@dataclass(frozen=True, slots=True)
class Taken:
    """A variable that is taken wherever it stands: whose name it is, what it adds to the quantity."""

    namespace: str
    suffix: str
    kind: Kind = _READING


TAKEN: Final[Mapping[str, Taken]] = MappingProxyType(
    {
        "SensorValue": Taken(LADS, ""),
        "CurrentValue": Taken(LADS, ""),
        "TargetValue": Taken(LADS, "target"),
        "TotalizedValue": Taken(LADS, "total"),
        "DifferenceValue": Taken(LADS, "difference"),
        "DeviceHealth": Taken(DI, "health", _STATUS),
        "CurrentState": Taken(UA, "", _STATUS),
    }
)
# What is not walked into: programs and their results, types' helpers, and states of alarms.
SKIPPED: Final = (
    "ProgramManager", "ResultSet", "MethodSet", "Identification", "Lock", "SupportedPropertiesSet", "Maintenance",
    "AlarmMonitor", "DeviceHealthAlarms", "ShelvingState", "ControllerTuningParameter", "Configuration", "Calibration",
    "Tuning",
)  # fmt: skip
# Levels that only group, and say nothing of what is measured.
GROUPS: Final = frozenset(
    ("FunctionalUnitSet", "FunctionSet", "Components", "MachineryBuildingBlocks", "ControllerModeSet", "Operational")
)
STATES: Final[Mapping[str, str]] = MappingProxyType(
    {"DeviceState": "state", "FunctionalUnitState": "state", "ControlFunctionState": "state", "CoverState": "state",
     "MachineryItemState": "machinery-state", "MachineryOperationMode": "operation-mode",
     "RunningStateMachine": "running"}
)  # fmt: skip

# DeviceHealthEnumeration (OPC 10000-100; NAMUR NE 107).
HEALTH: Final = ("NORMAL", "FAILURE", "CHECK_FUNCTION", "OFF_SPEC", "MAINTENANCE_REQUIRED")


def wanted(device: str | None) -> dict[str, Json]:
    """The request to look for them: which names in which namespace, what to leave out, which first name alone."""
    found: dict[str, Json] = {
        "take": [[taken.namespace, name] for name, taken in TAKEN.items()],
        "skip": list(SKIPPED),
    }
    return found | ({"only": device} if device else {})


def names(path: str) -> list[str]:
    """The names of a browse path: "/A/B&/C" -> ["A", "B/C"]."""
    found, name, escaped = list[str](), "", False
    for letter in path.removeprefix("/"):
        if escaped or letter not in "&/":
            name, escaped = name + letter, False
        elif letter == "&":
            escaped = True
        else:
            found.append(name)
            name = ""
    return [*found, name]


def named(path: str, device: str | None) -> tuple[str, Kind] | None:
    """Quantity and kind of the variable at a path below the DeviceSet; None for what is no such variable.

    With `device` that device's own name is left out.
    """
    levels = names(path)
    taken = TAKEN.get(levels[-1])
    if len(levels) < 3 or levels[0] != ROOT or taken is None:
        return None
    inner = levels[2:-1] if device is not None and levels[1] == device else levels[1:-1]
    words = [STATES.get(level) or slug(level) for level in inner if level not in GROUPS]
    if taken.suffix:
        words.append(taken.suffix)
    return "-".join(words) or "value", taken.kind
