"""Is everything around the gateway as it should be? One line a check, each with its remedy."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from gateway.config import Config, Device
from gateway.diagnosis import Check, diagnose
from gateway.journal.folder import holder
from gateway.links.options import (
    BrokerOptions,
    FileOptions,
    OpcUaOptions,
    SerialOptions,
    SilaOptions,
    TcpListenOptions,
    TcpOptions,
)
from gateway.listening import listen
from gateway.secrets import SecretRef

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
    yield _data_dir(config.gateway.data_dir)
    yield _disk(config.gateway.data_dir)
    yield _clock()
    owner = holder(config.gateway.data_dir)
    for device in config.devices:
        link = device.link
        if isinstance(link, SerialOptions):
            yield _serial(device.id, link)
        elif isinstance(link, TcpOptions):
            yield await _reach(
                f"{device.id}: instrument", link.host, link.port, "Switch it on; check cable and address."
            )
        elif isinstance(link, TcpListenOptions):
            yield await _free(f"{device.id}: port", link.host, link.port, owner)
        elif isinstance(link, FileOptions):
            yield _folder(device.id, link)
        elif isinstance(link, OpcUaOptions | SilaOptions):
            host, port = link.place if isinstance(link, OpcUaOptions) else (link.host, link.port)
            yield await _reach(f"{device.id}: server", host, port, "Switch it on; check network and address.")
    for broker in config.brokers:
        yield await _broker(broker)
    for sink in config.sinks:
        if sink.type == "influxdb":
            if ref := sink.token or sink.password:
                yield _secret(f"sink {sink.id}: secret", ref)
            url = urlsplit(str(sink.url))
            port = url.port or (443 if url.scheme == "https" else 80)
            remedy = "Start the store or correct sinks.url; until then the journal keeps what it is owed."
            yield await _reach(f"sink {sink.id}", url.hostname or "", port, remedy)
    for notifier in config.notifiers:
        for place, ref in enumerate(notifier.urls, 1):
            yield _secret(f"notifier {notifier.id}: address {place}", ref)
    host, _, number = config.http.listen.rpartition(":")
    yield await _free("page", host.strip("[]"), int(number), owner)


def _data_dir(path: Path) -> Check:
    at = path
    while not at.exists() and at != at.parent:
        at = at.parent
    if os.access(at, os.W_OK):
        return Check("data directory", True, f"{path} can be written")
    return Check(
        "data directory", False, f"{path} cannot be written", f"Create it for this user: install -d -m 700 {path}"
    )


def _disk(path: Path) -> Check:
    at = path
    while not at.exists() and at != at.parent:
        at = at.parent
    free = shutil.disk_usage(at).free
    found = f"{free / 1e9:.1f} GB free"
    return Check(
        "disk", free > 1e9, found, "" if free > 1e9 else "Free some space: below 32 MB nothing is acknowledged."
    )


def _clock() -> Check:
    year = time.gmtime().tm_year
    if year < 2025:
        return Check("clock", False, f"it is {year} here", "Set the clock (chrony, systemd-timesyncd) before starting.")
    synchronised = Path("/run/systemd/timesync/synchronized").exists() or Path("/run/chrony").exists()
    found = "synchronised" if synchronised else "set; no sign of a time service"
    return Check("clock", True, found)


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


async def _free(name: str, host: str, port: int, owner: str | None) -> Check:
    """Free, or ours already: a daemon that runs holds its own ports."""
    try:
        server = await asyncio.start_server(lambda _r, w: w.close(), host, port)
    except OSError as error:
        if owner:
            return Check(name, True, f"{host}:{port} is taken, as it should be: the running assaygate is {owner}")
        return Check(name, False, f"{host}:{port}: {os.strerror(error.errno or 0)}", "Stop what uses it, or change it.")
    server.close()
    return Check(name, True, f"{host}:{port} is free")


async def _broker(broker: BrokerOptions) -> Check:
    """Log in as the gateway would, under a name of our own."""
    import aiomqtt

    from gateway.sinks.mqtt import client_of

    name, where = f"broker {broker.id}", f"{broker.host}:{broker.number}"
    try:
        async with asyncio.timeout(PATIENCE), await client_of(broker, f"assaygate-doctor-{os.getpid()}", PATIENCE):
            pass
    except (aiomqtt.MqttError, OSError, ValueError, TimeoutError) as error:
        remedy = "Start the broker, or correct host, port, tls, username or password of brokers."
        return Check(name, False, f"{where}: {error or 'no answer'}", remedy)
    return Check(name, True, f"{where} lets us in")
