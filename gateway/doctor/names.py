"""One MQTT client id, one connection: a broker throws out whoever was there when the same name comes again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Final

from gateway import control
from gateway.config import Config
from gateway.finding import Check, good, problem, unknown, warning
from gateway.links.link import LinkState
from gateway.links.mqtt import Broker

WATCHED: Final = 5.0  # seconds
EVERY: Final = 0.25
OFTEN: Final = 2  # losses in that time that no cable makes


def twice(config: Config) -> Iterator[Check]:
    """Names that would be used twice. Resolves hosts' names: blocks."""
    names = [(f"broker {one.id}", client_id(config, one.id), one) for one in config.brokers]
    names += [
        (f"sink {sink.id}", f"assaygate-{config.gateway.site}-sink-{sink.id}", config.broker(sink.broker))
        for sink in config.sinks
        if sink.type == "mqtt"
    ]
    for place, (ours, name, broker) in enumerate(names):
        for theirs, other, at in names[:place]:
            if name != other:
                continue
            remedy = "Give each of the brokers its own client_id, or none."
            if _address(broker.host) == _address(at.host) and broker.number == at.number:
                found = f"{name} is also the client id of {theirs}: each throws the other out, for ever"
                yield problem(f"{ours}: client id", found, remedy)
            else:
                found = f"{name} is also the client id of {theirs}, which matters if both lead to one broker"
                yield warning(f"{ours}: client id", found, remedy)


def client_id(config: Config, broker: str) -> str:
    return Broker(config.broker(broker), config.gateway.site, lambda _chunk, _done: None).client_id


def _address(host: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return host


async def taken_over(config: Config, owner: str | None) -> AsyncIterator[Check]:
    """Is somebody else connected as us? Only the running daemon can tell: to try the name would throw it out, or
    another one elsewhere, and take what was sent meanwhile."""
    devices = {one.id: one.link.broker for one in config.devices if one.link.type == "mqtt"}
    lost: dict[str, set[int]] = {}  # broker -> the counts of losses seen
    why: dict[str, str] = {}
    try:
        for _ in range(round(WATCHED / EVERY)) if devices and owner else ():
            for device, (state, detail, losses) in (await control.links(config.gateway.data_dir)).items():
                if device in devices:
                    lost.setdefault(devices[device], set()).add(losses)
                if device in devices and state is LinkState.WAITING:
                    why[devices[device]] = detail
            await asyncio.sleep(EVERY)
    except ConnectionError as error:
        owner, unseen = None, str(error)
    else:
        unseen = "only the running assaygate can tell"
    for broker in sorted(set(devices.values())):
        name, ours = f"broker {broker}: client id", client_id(config, broker)
        times = max(lost.get(broker, {0})) - min(lost.get(broker, {0}))
        if owner is None:
            yield unknown(name, unseen, "Let assaygate run, then ask again.")
        elif times >= OFTEN:
            found = f"somebody else seems to connect as {ours}: we were thrown out {times} times in {WATCHED:g} s"
            yield problem(name, found, "Stop the other one, or give each gateway its own site (or brokers.client_id).")
        elif broker in why or times:
            found = f"assaygate has no lasting connection ({why.get(broker, 'lost once')})"
            yield warning(name, found, f"Mend the connection, or look for a second client called {ours}.")
        else:
            yield good(name, f"nobody else connected as {ours} in {WATCHED:g} s")
