"""What keeps a reload from harm, taken away."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any

from gateway import app
from gateway.config import Config, load
from gateway.config_errors import ConfigError
from gateway.links import mqtt
from gateway.sinks import place


def broken_is_empty() -> None:
    """A file that cannot be read counts as an empty one."""

    def loaded(path: Path) -> Config:
        try:
            return load(path)
        except ConfigError:
            return Config()

    setattr(app, "load", loaded)  # noqa: B010 - another shape on purpose


def all_changed() -> None:
    """A reload begins everything anew."""

    def changed(old: Any, new: Any) -> set[str]:
        return {item.id for items in (old, new) for item in items}

    setattr(app, "_changed", changed)  # noqa: B010 - another shape on purpose


def forgets_how_to_read() -> None:
    """A device that goes takes along how its messages are read, which some of them are still to be."""
    real = app.App._change

    async def change(self: Any, old: Config, new: Config) -> None:
        await real(self, old, new)
        for gone in {device.id for device in old.devices} - {device.id for device in new.devices}:
            self.readings.pop(gone, None)

    setattr(app.App, "_change", change)  # noqa: B010 - another shape on purpose


def reads_on() -> None:
    """A broker's messages are taken in while devices begin anew."""
    setattr(mqtt.Broker, "hold", lambda _self: None)  # noqa: B010 - another shape on purpose


def place_by_order() -> None:
    """A sink's place belongs to where it stands in the file."""
    real_start, real_init = app.App._start_sink, place.Place.__init__
    numbers: dict[str, str] = {}

    def start(self: Any, sink_id: str) -> None:
        numbers.update((sink.id, str(number)) for number, sink in enumerate(self.config.sinks))
        real_start(self, sink_id)

    def init(self: Any, journal: Any, sink_id: str, *more: Any, **named: Any) -> None:
        real_init(self, journal, numbers[sink_id], *more, **named)

    setattr(app.App, "_start_sink", start)  # noqa: B010 - another shape on purpose
    setattr(place.Place, "__init__", init)  # noqa: B010 - another shape on purpose


def secrets_later() -> None:
    """A secret is looked for when it is needed, and not before."""
    setattr(app, "missing", lambda _config: ())  # noqa: B010 - another shape on purpose


def no_lock() -> None:
    """A folder belongs to whoever wants it."""
    setattr(fcntl, "flock", lambda *_: None)  # noqa: B010 - another shape on purpose
