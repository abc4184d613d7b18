"""From a configuration to the functions that read each device's messages."""

from __future__ import annotations

import drivers
from drivers.kit.declare import Driver
from gateway.config import Config, Device
from gateway.decode import Reading
from gateway.device_settings import DeviceSettings
from gateway.normalise import Normaliser


def reading(device: Device) -> Reading:
    """How this device's messages are read."""
    driver: Driver = drivers.load(device.driver)
    identity = device.identity or driver.identity(device)
    normaliser = Normaliser(device.id, device, driver.observed(device), identity, _dialects(driver, device))
    return Reading(driver, device, normaliser)


def _dialects(driver: Driver, device: Device) -> dict[str, DeviceSettings]:
    """What a recognised sender's dialect presets of the device; what the configuration says itself goes first."""
    if device.variant:
        return {}  # declared: its presets are in the configuration already
    said = {name: getattr(device, name) for name in DeviceSettings.model_fields if name in device.model_fields_set}
    found = {}
    for variant in driver.variants:
        if variant.sign and variant.device:
            preset = DeviceSettings.model_validate(variant.device).model_copy(update=said)
            if preset.thousands == preset.decimal:  # one is the configuration's, which goes first
                other = {"decimal": "."} if "thousands" in said else {"thousands": None}
                preset = preset.model_copy(update=other)
            found[variant.name] = preset
    return found


def readings(config: Config) -> dict[str, Reading]:
    """By device id."""
    return {device.id: reading(device) for device in config.devices}
