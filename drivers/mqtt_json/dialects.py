"""What gateways and firmwares put around their measurements, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from drivers.kit.observation import Draft, Json
from drivers.mqtt_json.lorawan import CHIRPSTACK, TTN
from drivers.mqtt_json.readings import Stamp, discovered
from drivers.mqtt_json.shelly import SHELLY
from drivers.mqtt_json.tasmota import TASMOTA
from drivers.mqtt_json.telling import Dialect, event, presence
from drivers.mqtt_json.zigbee import ZIGBEE2MQTT


def _told(payload: Json, levels: Sequence[str]) -> list[Draft] | None:
    """Home Assistant is told of a sensor in a `config` message: that is no measurement."""
    if levels[-1:] == ["config"] and isinstance(payload, dict):
        return [event("config", payload)]
    return presence(payload, levels)


HOME_MADE: Final = Dialect(_told, lambda _payload: Stamp(), discovered)
DIALECTS: Final[dict[str | None, Dialect]] = {
    None: HOME_MADE,
    "zigbee2mqtt": ZIGBEE2MQTT,
    "tasmota": TASMOTA,
    "chirpstack": CHIRPSTACK,
    "ttn": TTN,
    "shelly": SHELLY,
}
