"""What gateways and firmwares put around their measurements, by name."""

from __future__ import annotations

from typing import Final

from drivers.mqtt_json.lorawan import CHIRPSTACK, TTN
from drivers.mqtt_json.readings import Stamp, discovered
from drivers.mqtt_json.shelly import SHELLY
from drivers.mqtt_json.tasmota import TASMOTA
from drivers.mqtt_json.telling import Dialect, presence
from drivers.mqtt_json.zigbee import ZIGBEE2MQTT

HOME_MADE: Final = Dialect(presence, lambda _payload: Stamp(), discovered)
DIALECTS: Final[dict[str | None, Dialect]] = {
    None: HOME_MADE,
    "zigbee2mqtt": ZIGBEE2MQTT,
    "tasmota": TASMOTA,
    "chirpstack": CHIRPSTACK,
    "ttn": TTN,
    "shelly": SHELLY,
}
