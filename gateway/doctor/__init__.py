"""Is everything around the gateway as it should be? One line a check, each with its remedy."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from gateway.config import Config, Device
from gateway.diagnosis import diagnose
from gateway.doctor import brokers, clock, disk, names, stores
from gateway.doctor.ports import port
from gateway.finding import Check, problem
from gateway.journal.folder import holder
from gateway.links.options import (
    FileOptions,
    MqttLinkOptions,
    OpcUaOptions,
    SerialOptions,
    SilaOptions,
    TcpListenOptions,
    TcpOptions,
)
from gateway.listening import listen
from gateway.secrets import SecretRef
from gateway.sinks.options import InfluxOptions

PATIENCE = 3.0  # seconds a peer has to answer


async def hear(config: Config, device: Device, seconds: float) -> AsyncIterator[Check]:
    """Listen to one device, and say what is wrong with it."""
    try:
        heard = await listen(config, device, seconds)
    except (OSError, ValueError, LookupError) as error:
        yield Check(f"{device.id}: wire", False, str(error), "See what doctor says without a device.")
        return
    for check in diagnose(device, heard, seconds):
        yield check


async def examine(config: Config) -> AsyncIterator[Check]:
    """Look at disk, clock, ports, brokers and stores, one after the other."""
    data_dir = config.gateway.data_dir
    for check in await asyncio.to_thread(lambda: list(disk.look(data_dir))):
        yield check
    yield await asyncio.to_thread(clock.synchronised)
    owner = holder(data_dir)
    for device in config.devices:
        if link := await _instrument(device, owner):
            yield link
    yield await port("page", config.http.host, config.http.port, owner)
    for check in await asyncio.to_thread(lambda: list(names.twice(config))):
        yield check
    read = {device.link.broker for device in config.devices if isinstance(device.link, MqttLinkOptions)}
    for broker in config.brokers:
        async for check in brokers.look(broker, reading=broker.id in read):
            yield check
    async for check in names.taken_over(config, owner):
        yield check
    for sink in config.sinks:
        if sink.type == "influxdb":
            async for check in _store(sink, config.journal.keep):
                yield check
    for name, ref in _people(config):
        yield _secret(name, ref)


def _people(config: Config) -> Iterator[tuple[str, SecretRef]]:
    """The secrets by which people and watchers are reached."""
    for notifier in config.notifiers:
        for place, ref in enumerate((*notifier.urls, *([notifier.url] if notifier.url else ())), 1):
            yield f"notifier {notifier.id}: address {place}", ref
        if notifier.secret:
            yield f"notifier {notifier.id}: secret", notifier.secret
    for watcher in config.heartbeats:
        yield f"heartbeat {watcher.id}: address", watcher.url


async def _instrument(device: Device, owner: str | None) -> Check | None:
    """Its end of the link; of a topic the broker is looked at."""
    link = device.link
    if isinstance(link, SerialOptions):
        return _serial(device.id, link)
    if isinstance(link, TcpOptions):
        return await _reach(f"{device.id}: instrument", link.host, link.port, "Switch it on; check cable and address.")
    if isinstance(link, TcpListenOptions):
        return await port(f"{device.id}: port", link.host, link.port, owner)
    if isinstance(link, FileOptions):
        return _folder(device.id, link)
    if isinstance(link, OpcUaOptions | SilaOptions):
        host, number = link.place if isinstance(link, OpcUaOptions) else (link.host, link.port)
        return await _reach(f"{device.id}: server", host, number, "Switch it on; check network and address.")
    return None


async def _store(sink: InfluxOptions, keep: float | None) -> AsyncIterator[Check]:
    known = True
    if ref := sink.token or sink.password:
        secret = _secret(f"sink {sink.id}: secret", ref)
        known = secret.ok
        yield secret
    url = urlsplit(str(sink.url))
    number = url.port or (443 if url.scheme == "https" else 80)
    remedy = "Start the store or correct sinks.url; until then the journal keeps what it is owed."
    reached = await _reach(f"sink {sink.id}", url.hostname or "", number, remedy)
    yield reached
    if not (known and reached.ok):
        return
    try:
        found = await asyncio.to_thread(lambda: list(stores.look(sink, keep)))
    except (OSError, ValueError) as error:
        yield problem(f"sink {sink.id}: certificates", str(error), "Correct sinks.ca_file.")
        return
    for check in found:
        yield check


def _serial(device: str, link: SerialOptions) -> Check:
    path = Path(link.port)
    if not path.exists():
        known = Path("/dev/serial/by-id")
        there = ", ".join(str(p) for p in known.iterdir()) if known.is_dir() else "no serial adapter is plugged in"
        return Check(
            f"{device}: port", False, f"{path} is not there", f"Plug it in or correct link.port. There: {there}."
        )
    if not os.access(path, os.R_OK | os.W_OK):
        return Check(f"{device}: port", False, f"no permission for {path}", "Add this user to the group dialout.")
    return Check(f"{device}: port", True, f"{path} can be opened")


def _folder(device: str, link: FileOptions) -> Check:
    path = Path(link.path)
    ok = path.is_dir() and os.access(path, os.R_OK | os.X_OK)
    return Check(
        f"{device}: folder", ok, f"{path} {'can' if ok else 'cannot'} be read", "" if ok else f"mkdir -p {path}"
    )


async def _reach(name: str, host: str, port: int, remedy: str) -> Check:
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except (OSError, TimeoutError) as error:
        return Check(name, False, f"{host}:{port} does not answer ({error or 'timeout'})", remedy)
    return Check(name, True, f"{host}:{port} answers")


def _secret(name: str, ref: SecretRef) -> Check:
    try:
        ref.resolve()
    except ValueError as error:
        return Check(name, False, str(error), "Set it where the gateway is started.")
    return Check(name, True, "can be read")
