"""From a configuration to the functions that read each device's messages."""

from __future__ import annotations

import drivers
from drivers.kit.declare import Driver
from gateway.config import Config, Device
from gateway.decode import Reading
from gateway.normalise import Normaliser


def reading(device: Device) -> Reading:
    """How this device's messages are read."""
    driver: Driver = drivers.load(device.driver)
    identity = device.identity or driver.identity(device)
    return Reading(driver, device, Normaliser(device.id, device, driver.observed(device), identity))


def readings(config: Config) -> dict[str, Reading]:
    """By device id."""
    return {device.id: reading(device) for device in config.devices}
