"""Who may do what, in one table, and who is asking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Role(StrEnum):
    """Each may do what the former may."""

    VIEWER = "viewer"
    TECHNICIAN = "technician"
    SUPERVISOR = "supervisor"
    ADMINISTRATOR = "administrator"


RANK: Final[Mapping[Role, int]] = MappingProxyType({role: place for place, role in enumerate(Role)})

# The least role that may. A POST that is not here is an administrator's: an endpoint forgotten is one refused.
# Looking (GET) is for every role; who sees patients is the option `patients`.
ACTS: Final[Mapping[str, Role]] = MappingProxyType(
    {
        "/api/v1/sign-out": Role.VIEWER,
        "/api/v1/alarms/{id}/acknowledge": Role.TECHNICIAN,
        "/api/v1/alarms/{id}/shelve": Role.TECHNICIAN,
        "/api/v1/alarms/{id}/unshelve": Role.TECHNICIAN,
        "/api/v1/alarms/{id}/reset": Role.TECHNICIAN,
        "/api/v1/notifiers/{id}/mute": Role.TECHNICIAN,
        "/api/v1/observations/{id}/read-back": Role.TECHNICIAN,
        "/api/v1/quarantine/{id}/retry": Role.TECHNICIAN,
        "/api/v1/devices/{id}/maintenance": Role.TECHNICIAN,
        "/api/v1/devices/{id}/maintenance/end": Role.TECHNICIAN,
        "/api/v1/alarms/{id}/out-of-service": Role.SUPERVISOR,
        "/api/v1/alarms/{id}/in-service": Role.SUPERVISOR,
        "/api/v1/held/release": Role.SUPERVISOR,
        "/api/v1/observations/{id}/review": Role.SUPERVISOR,
        "/api/v1/qc/{id}/action": Role.SUPERVISOR,
        "/api/v1/notifiers/{id}/test": Role.ADMINISTRATOR,
    }
)


def needed(path: str, method: str) -> Role:
    """The least role that may ask for an endpoint (its path as the table of the API has it)."""
    return Role.VIEWER if method in ("GET", "HEAD") else ACTS.get(path, Role.ADMINISTRATOR)


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks, and how that is known."""

    name: str
    role: Role
    how: str  # password, proxy, token, loopback
    patients: bool  # whether patients may be seen
    session: str = ""  # its key, where there is one

    def may(self, least: Role) -> bool:
        return RANK[self.role] >= RANK[least]
