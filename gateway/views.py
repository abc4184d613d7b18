"""What the page and the metrics may see of a running gateway."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gateway.journal.transaction import Transaction
from gateway.links.link import LinkState
from gateway.qc.stage import Stage
from gateway.quarantine import retry

if TYPE_CHECKING:
    from gateway.alarms.engine import AlarmEngine
    from gateway.app import App
    from gateway.config import Config


@dataclass(frozen=True, slots=True)
class DeviceView:
    """One configured device, and how its link is."""

    id: str
    label: str
    room: str
    driver: str
    link: str  # its type
    address: str
    state: str
    detail: str
    peers: list[str]
    messages: int  # whole ones since the start
    refused: int
    clock_offset: float | None  # seconds its clock is ahead; None: it says nothing of the present
    last_received: float | None  # unix seconds
    limits: list[dict[str, Any]]  # thresholds watched, for the bands of its plots


class AppViews:
    """Plain data about the parts of an `App`."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.journal = app.journal

    @property
    def config(self) -> Config:
        return self._app.config

    @property
    def site(self) -> str:
        return self._app.config.gateway.site

    @property
    def alarms(self) -> AlarmEngine | None:
        return self._app.alarms

    def devices(self) -> list[dict[str, Any]]:
        """Every configured device and how its link is."""
        found = []
        for device in self._app.config.devices:
            session = self._app.sessions.get(device.id)
            traffic = session.traffic if session else None
            reading = self._app.readings.get(device.id)
            view = DeviceView(
                id=device.id,
                label=device.label or device.id,
                room=device.room,
                driver=device.driver,
                link=device.link.type,
                address=device.link.address,
                state=str(session.link_state) if session else str(LinkState.STOPPED),
                detail=session.link_detail if session else "",
                peers=session.peers if session else [],
                messages=traffic.messages if traffic else 0,
                refused=traffic.refused if traffic else 0,
                clock_offset=reading.normaliser.clock_offset if reading else None,
                last_received=traffic.last_received if traffic else None,
                limits=self._limits(device.id),
            )
            found.append(asdict(view))
        return found

    def _limits(self, device: str) -> list[dict[str, Any]]:
        """The thresholds watched on a device, for the bands of its plots."""
        from fnmatch import fnmatchcase

        return [
            {"quantity": alarm.when.quantity, "above": alarm.when.above, "below": alarm.when.below, "alarm": alarm.id}
            for alarm in self._app.config.alarms
            if (alarm.when.above is not None or alarm.when.below is not None) and fnmatchcase(device, alarm.when.device)
        ]

    @property
    def signs(self) -> Mapping[str, float]:
        return self._app.signs

    def sinks(self) -> list[dict[str, Any]]:
        return [asdict(sink.state) for sink in self._app.sinks.values()]

    def open_alarms(self) -> list[dict[str, Any]]:
        return [asdict(alarm) for alarm in self._app.alarms.open_alarms()] if self._app.alarms else []

    def failing(self) -> list[dict[str, str]]:
        """The parts that do not work now, with why; [] when all is well."""
        found = [
            {"part": part.name, "detail": part.trouble or "not running"}
            for part in self._app.supervisor.parts.values()
            if not part.running
        ]
        if self.journal.trouble:
            found.append({"part": "journal", "detail": self.journal.trouble})
        found += [
            {"part": f"device:{device['id']}", "detail": device["detail"]}
            for device in self.devices()
            if device["state"] == LinkState.WAITING
        ]
        found += [
            {"part": f"sink:{sink['id']}", "detail": sink["last_error"]} for sink in self.sinks() if sink["last_error"]
        ]
        if self._app.config.journal.keep and self._app.age and self._app.age.trouble:
            found.append({"part": "retention", "detail": self._app.age.trouble})
        if self._app.reload_error:
            found.append({"part": "configuration", "detail": self._app.reload_error})
        return found

    def status(self) -> dict[str, Any]:
        """What every page shows at its top."""
        return {"site": self.site, "now": time.time(), "failing": self.failing()}

    async def retry(self, entry: int) -> bool:
        """Decode a quarantined message again with today's configuration; True when it was understood."""
        readings, stage = dict(self._app.readings), Stage(self._app.config, self.journal.secret)

        def again(transaction: Transaction) -> bool:
            return retry(transaction, readings, [entry], stage.mark)[0] == 1

        return await self.journal.write(again)
