"""What no table of a configuration can know by itself: names used twice, names that lead nowhere, what is in each
other's way."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from gateway.alarms.defaults import defaults
from gateway.config_errors import Location, Problems, suggest
from gateway.links.listen import conflicts
from gateway.links.options import TcpListenOptions
from gateway.people.options import read_people
from gateway.qc.options import SECTIONS

if TYPE_CHECKING:
    from gateway.config import Config


def cross_check(config: Config, problems: Problems) -> None:
    """What one table cannot know: names used twice, names that lead nowhere, devices in each other's way."""
    for section in ("brokers", "devices", "sinks", "alarms", "suppressions", "notifiers", "heartbeats", *SECTIONS):
        seen: set[str] = set()
        for number, item in enumerate(getattr(config, section)):
            if item.id in seen:
                problems.add((section, number, "id"), f"{item.id!r} is used twice. Give each of the {section} its own.")
            seen.add(item.id)
    brokers = [broker.id for broker in config.brokers]
    for number, device in enumerate(config.devices):
        if device.link.type == "mqtt" and device.link.broker not in brokers:
            message = f"no broker is called {device.link.broker!r}. {suggest(device.link.broker, brokers)}"
            problems.add(("devices", number, "link", "broker"), message)
    for number, sink in enumerate(config.sinks):
        if sink.type == "mqtt" and sink.broker not in brokers:
            problems.add(
                ("sinks", number, "broker"), f"no broker is called {sink.broker!r}. {suggest(sink.broker, brokers)}"
            )
    _check_people(config, problems)
    _check_quality_control(config, problems)
    _check_alarms(config, problems)
    _check_notifiers(config, problems)
    listening = [(device.id, device.link) for device in config.devices if isinstance(device.link, TcpListenOptions)]
    for conflict in conflicts(listening):
        problems.add(("devices",), conflict)
    ports: dict[str, str] = {}
    for number, device in enumerate(config.devices):
        if device.link.type == "serial" and (other := ports.setdefault(device.link.port, device.id)) != device.id:
            problems.add(
                ("devices", number, "link", "port"),
                f"{device.link.port} already belongs to {other}. One serial port serves one device.",
            )


def _check_people(config: Config, problems: Problems) -> None:
    """Whoever can reach the page is asked who they are, and cannot be overheard saying it."""
    http = config.http
    if config.people is None and not http.loopback and http.token is None:
        message = f'{http.listen} can be reached from outside and needs a token. Write token = {{ env = "PAGE_TOKEN" }}'
        problems.add(("http",), f'{message}, or listen = "127.0.0.1:8470".')
    if config.people is None or config.people.file is None:
        return
    try:
        read_people(config.people.file)
    except ValueError as error:
        problems.add(("people", "file"), str(error))
    if not http.loopback and http.tls_cert is None:
        message = "passwords would cross the network readable. Write tls_cert and tls_key in [http], or listen on"
        problems.add(("people", "file"), f"{message} 127.0.0.1 behind a proxy that speaks TLS.")


def _check_quality_control(config: Config, problems: Problems) -> None:
    devices = [device.id for device in config.devices]
    for section in SECTIONS:
        for number, check in enumerate(getattr(config, section)):
            if not fnmatch.filter(devices, check.device):
                message = f"no device is called {check.device!r}. {suggest(check.device, devices)}"
                problems.add((section, number, "device"), message)
    told: dict[tuple[str, str, str | None], str] = {}
    for number, control in enumerate(config.controls):
        first = told.setdefault((control.device, control.quantity, control.specimen), control.id)
        if first != control.id:
            message = f"{control.id} cannot be told from {first}. Give each the specimen ids it is measured under."
            problems.add(("controls", number), message)


def _check_notifiers(config: Config, problems: Problems) -> None:
    """Whoever is to be told can be told."""
    named: list[tuple[Location, tuple[str, ...]]] = []
    if config.alarm_test:
        named.append((("alarm_test", "notify"), config.alarm_test.notify))
    for number, alarm in enumerate(config.alarms):
        named.append((("alarms", number, "notify"), alarm.notify))
        for place, step in enumerate(alarm.escalate):
            named.append((("alarms", number, "escalate", place, "notify"), step.notify))
    notifiers = [notifier.id for notifier in config.notifiers]
    for location, names in named:
        for name in names:
            if name not in notifiers:
                problems.add(location, f"no notifier is called {name!r}. {suggest(name, notifiers)}")
    brokers = [broker.id for broker in config.brokers]
    for number, notifier in enumerate(config.notifiers):
        if notifier.type == "mqtt" and notifier.broker not in brokers:
            message = f"no broker is called {notifier.broker!r}. {suggest(notifier.broker, brokers)}"
            problems.add(("notifiers", number, "broker"), message)


def _check_alarms(config: Config, problems: Problems) -> None:
    """Alarms watch devices that there are."""
    devices = [device.id for device in config.devices]
    for number, alarm in enumerate(config.alarms):
        for key, name in alarm.when.devices():
            if name not in devices:
                message = f"no device is called {name!r}. {suggest(name, devices)}"
                problems.add(("alarms", number, "when", key), message)
    alarms = [alarm.id for alarm in defaults(config)]
    for number, one in enumerate(config.suppressions):
        for key, name in one.when.devices() if one.when else ():
            if name not in devices:
                message = f"no device is called {name!r}. {suggest(name, devices)}"
                problems.add(("suppressions", number, "when", key), message)
        for key, names in (("alarm", (one.alarm,) if one.alarm else ()), ("suppresses", one.suppresses)):
            for name in names:
                if not fnmatch.filter(alarms, name):
                    problems.add(("suppressions", number, key), f"no alarm is called {name!r}. {suggest(name, alarms)}")
