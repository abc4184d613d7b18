"""What `assaygate simulate` does: one instrument, a whole bench, or a relay before a real instrument."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drivers
from simulators.control import Control
from simulators.endpoints import Endpoint, build
from simulators.faults import Faults
from simulators.instrument import Instrument
from simulators.placing import place, whole
from simulators.plan import Plan
from simulators.recorder import Relay, Tape
from simulators.scenario import Bench, Scenario
from simulators.serial_line import SerialEndpoint

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked besides the plan."""

    control: int | None  # a loopback port for commands; 0: any free one
    config: Path | None  # write the gateway's configuration for the bench here
    broker: str  # "mqtt:HOST:PORT" for a scenario's publishers
    ledgers: Path | None  # a folder, for a scenario
    speed: float
    seed: int
    seconds: float | None


def usual_link(name: str) -> str:
    """Where an instrument is simulated if nothing is said. Errors: LookupError where nothing here is like it."""
    try:
        links = drivers.load(name).links
    except KeyError:
        return "pty"  # whoever makes the instrument says it better
    usual = {
        "serial": "pty",
        "tcp": "tcp-listen:127.0.0.1:0",
        "tcp-listen": "tcp-listen:127.0.0.1:0",
        "mqtt": f"mqtt:127.0.0.1:1883/lab/{name}",
        "file": f"folder:{name}-files",
        "opcua": "opcua:127.0.0.1:4840",
        "sila": "sila:127.0.0.1:50052",
    }
    for link, ours in usual.items():
        if link in links:
            return ours
    raise LookupError(f"{name} is met on {', '.join(links)}, which is not simulated.")


async def instrument(plan: Plan, wishes: Wishes, tell: Tell) -> None:
    """One instrument to its end. Errors: LookupError, ValueError, OSError."""
    one = Instrument(plan)
    tell(f"{plan.driver} at {one.address}")
    await _controlled({plan.device or plan.driver: one}, wishes.control, one.run(), tell)
    tell(f"{one.sent} sent, {one.acknowledged} acknowledged, {one.faults.count} faults")


async def scenario(chosen: Scenario, wishes: Wishes, tell: Tell) -> None:
    """Every instrument of a scenario, plugged in where the configuration written says."""
    folder = (wishes.config.parent if wishes.config else wishes.ledgers or Path()).resolve()
    host, _, port = wishes.broker.removeprefix("mqtt:").partition(":")
    broker = (host or "127.0.0.1", int(port.partition("/")[0] or 1883))
    placed = place(chosen, folder, broker)
    for one in filter(None, (folder, wishes.ledgers)):
        await asyncio.to_thread(one.mkdir, parents=True, exist_ok=True)
    if wishes.config:
        await asyncio.to_thread(wishes.config.write_text, whole(chosen, placed, folder, broker), encoding="utf-8")
        tell(f"the gateway for it: assaygate run -c {wishes.config}")
    bench = Bench(chosen, placed.links, wishes.ledgers, wishes.speed, wishes.seed)

    async def run() -> None:
        try:
            async with asyncio.timeout(wishes.seconds):
                await bench.run(tell)
        except TimeoutError:
            pass

    await _controlled(bench.instruments, wishes.control, run(), tell)
    for name, it in bench.instruments.items():
        tell(f"{name}: {it.sent} sent, {it.acknowledged} acknowledged, {it.faults.count} faults")


async def relay(plan: Plan, real: str, tell: Tell, tape: Tape | None = None) -> None:
    """A real instrument at `real`, handed on at the plan's link and recorded. Errors: LookupError, OSError."""
    host = _real(plan.link) if plan.link.startswith("serial:") else build(plan, lambda: None, Faults({}, 1))
    if host.acknowledges:
        raise LookupError("a relay passes bytes on, not messages. Give pty, tcp, tcp-listen, serial or rfc2217.")
    between = Relay(_real(real), host, Faults(plan.faults, plan.seed), tape or Tape(plan.record, plan.driver), tell)
    tell(f"{real} is handed on at {between.address}")
    try:
        async with asyncio.timeout(plan.seconds):
            await between.run()
    except TimeoutError:
        pass


def _real(link: str) -> Endpoint:
    kind, _, rest = link.partition(":")
    if kind == "serial":
        path, _, rate = rest.partition("@")
        return SerialEndpoint(path, int(rate or 9600))
    if kind in ("tcp", "tcp-listen"):
        return build(Plan("", link), lambda: None, Faults({}, 1))
    raise LookupError(
        f"{link!r} is no real instrument. Write serial:PATH[@RATE], tcp:HOST:PORT or tcp-listen:HOST:PORT."
    )


async def _controlled(
    instruments: Mapping[str, Instrument], port: int | None, work: Coroutine[Any, Any, None], tell: Tell
) -> None:
    if port is None:
        await work
        return
    try:
        server = await Control(instruments).serve(port)
    except OSError:
        work.close()
        raise
    try:
        tell(f"control at 127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await work
    finally:
        server.close()
