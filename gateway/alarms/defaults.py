"""Alarms that are there without being asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drivers.kit.durations import written
from gateway.alarms.options import AlarmOptions, Priority
from gateway.alarms.surroundings import LINK_LOST_FOR
from gateway.alarms.when import When
from gateway.pulse import SIGNS

if TYPE_CHECKING:
    from gateway.config import Config

# Alarms about what no observation says, and seconds it must last: see gateway.alarms.surroundings.
TOLD: Final = {
    "journal": 0.0,
    "link-lost": LINK_LOST_FOR,
    "calibration-due": 0.0,
    "undelivered": 60.0,
    "path-test": 0.0,
    "quality-control": 0.0,
    "critical-value": 0.0,
    "held-results": 0.0,
}


def defaults(config: Config) -> list[AlarmOptions]:
    """A configured alarm of the same id takes a default one's place."""
    made = [
        AlarmOptions(id="journal", when=When(fault=True), priority=Priority.CRITICAL, title="Journal cannot commit",
                     text="Nothing is acknowledged until it can. Free disk space or mend the disk."),
        AlarmOptions(id="quarantine-growing", when=When(quarantine=10, within="1h"), priority=Priority.MEDIUM,
                     title="Messages not understood", text="See quarantine: nothing is lost, something is not read."),
        AlarmOptions(id="sink-behind", when=When(behind="5m"), priority=Priority.MEDIUM, title="Store behind",
                     text="The journal keeps what it is owed. Look at the store."),
        AlarmOptions(id="link-lost", when=When(fault=True), priority=Priority.HIGH, title="Instrument not connected",
                     text="Look at cable, power and address."),
        AlarmOptions(id="calibration-due", when=When(fault=True), priority=Priority.LOW, title="Calibration due",
                     text="Have it calibrated, then write the new dates into its calibration."),
        AlarmOptions(id="undelivered", when=When(fault=True), priority=Priority.HIGH, title="People could not be told",
                     text="Look at the network and at the notifier; `assaygate notify test` tries it."),
        AlarmOptions(id="path-test", when=When(fault=True), priority=Priority.LOW, title="Test of the alarm path",
                     text="Acknowledge it: that proves that alarms reach somebody."),
        AlarmOptions(id="quality-control", when=When(fault=True), priority=Priority.HIGH,
                     title="Quality control has failed", text="`assaygate qc` says which rule, and what waits for it."),
        AlarmOptions(id="critical-value", when=When(fault=True), priority=Priority.CRITICAL, title="Critical value",
                     text="Tell whoever treats the patient, have it read back, and note it."),
        AlarmOptions(id="held-results", when=When(fault=True), priority=Priority.MEDIUM, title="Results are held",
                     text="Somebody has to release them: `assaygate qc` lists them."),
    ]  # fmt: skip
    for name, sign in SIGNS.items():
        side, clear = ("above", "clear_below") if sign.below is None else ("below", "clear_above")
        usual = sign.above or sign.below or 0.0
        limit = config.gateway.watch.get(name, usual)
        if limit is False:
            continue
        back = sign.back * limit / usual if usual else limit  # the deadband keeps its proportion
        when = When.model_validate({"gateway": name, side: limit, clear: back, "for": sign.lasting})
        made.append(AlarmOptions(id=name, when=when, priority=Priority.HIGH, title=sign.title, text=sign.text))
    for device in config.devices:
        if device.silent is not None:
            when = When(device=device.id, silent=written(device.silent))
            silent = AlarmOptions(id=f"silent-{device.id}", when=when, priority=Priority.HIGH, title="Device silent")
            made.append(silent)
    configured = {alarm.id for alarm in config.alarms}
    return [*(alarm for alarm in made if alarm.id not in configured), *config.alarms]
