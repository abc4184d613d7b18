"""From a device's configuration to its link, and what links share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.journal.store import Journal
from gateway.links.files import FileLink
from gateway.links.link import Link
from gateway.links.listen import Listeners, ListenLink
from gateway.links.options import (
    FileOptions,
    MqttLinkOptions,
    OpcUaOptions,
    SerialOptions,
    SilaOptions,
    TcpListenOptions,
    TcpOptions,
)
from gateway.links.serial import SerialLink
from gateway.links.tcp import TcpLink

if TYPE_CHECKING:
    from gateway.config import Config, Device
    from gateway.links.mqtt import Broker, Unclaimed


class Links:
    """Makes links; keeps the listening sockets and broker connections they share."""

    def __init__(self, config: Config, journal: Journal, unclaimed: Unclaimed) -> None:
        self._config, self._journal, self._unclaimed = config, journal, unclaimed
        self._listeners = Listeners()
        self._brokers: dict[str, Broker] = {}
        self._up: list[asyncio.Event] = []

    def link(self, device: Device) -> Link:
        options = device.link
        match options:
            case SerialOptions():
                return SerialLink(options)
            case TcpOptions():
                return TcpLink(options)
            case TcpListenOptions():
                up = asyncio.Event()
                self._up.append(up)
                return ListenLink(device.id, options, self._listeners, up)
            case MqttLinkOptions():
                from gateway.links.mqtt import MqttLink

                return MqttLink(device.id, options, self.broker(options.broker))
            case FileOptions():
                return FileLink(options, lambda key: self._taken(device.id, key))
            case OpcUaOptions():
                from gateway.links.opcua import OpcUaLink

                return OpcUaLink(options)
            case SilaOptions():
                from gateway.links.sila import SilaLink

                return SilaLink(options)

    def broker(self, name: str) -> Broker:
        """The connection to a configured broker, made when first asked for."""
        from gateway.links.mqtt import Broker

        if name not in self._brokers:
            self._brokers[name] = Broker(self._config.broker(name), self._config.gateway.site, self._unclaimed)
        return self._brokers[name]

    @property
    def brokers(self) -> dict[str, Broker]:
        return self._brokers

    async def listening(self) -> None:
        """Return when every listening device listens, or has been stopped."""
        for up in self._up:
            await up.wait()
        self._up.clear()

    def change(self, config: Config, brokers: set[str]) -> None:
        """Go on with another configuration; the named brokers are made anew."""
        self._config = config
        for name in brokers:
            self._brokers.pop(name, None)

    async def _taken(self, device: str, key: str) -> bool:
        query = "SELECT 1 FROM taken WHERE device=? AND key=?"
        return await self._journal.read(lambda db: db.execute(query, (device, key)).fetchone() is not None)
