"""`assaygate demo` and `assaygate simulate`: a gateway on a simulated bench, and one simulated instrument."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.app import serve
from gateway.config import parse
from gateway.foreground import run as foreground
from gateway.links.link import LinkState
from gateway.logs import configure
from gateway.traffic import options_from

if TYPE_CHECKING:
    from simulators.run import Wishes
    from simulators.scenario import Bench, Scenario

Tell = Callable[[str], None]


def run_demo(data_dir: Path | None, port: int, seconds: float | None) -> None:
    """The `demo` command, in the foreground. Errors: OSError where the page's port is taken."""
    configure(quiet=True)
    with contextlib.ExitStack() as stack:
        folder = data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assaygate-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(_demo(folder, port or _free_port(), seconds))


async def _demo(folder: Path, port: int, seconds: float | None) -> None:
    from simulators.scenario import SHIPPED, Bench, load

    with socket.create_server(("127.0.0.1", port)):
        pass  # a taken port is said before anything is started
    scenario = load(SHIPPED / "demo.toml")
    broker, broker_port = await _start_broker()
    links, text = configuration(scenario, folder, port, broker_port)
    path = folder / "assaygate.toml"
    path.write_text(text, encoding="utf-8")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    bench = Bench(scenario, links, folder)
    try:
        async with asyncio.TaskGroup() as group:
            listening = asyncio.Event()
            gateway = group.create_task(serve(parse(text, str(path)), path, stop, ready=listening.set))
            listener = group.create_task(listening.wait())
            await asyncio.wait({gateway, listener}, return_when=asyncio.FIRST_COMPLETED)
            listener.cancel()
            work = _subscribed(bench, port)
            others = [group.create_task(work, name="bench"), group.create_task(_after(seconds, stop))]
            if not gateway.done():
                _welcome(port, path)
            await gateway
            for other in others:
                other.cancel()
    finally:
        await broker.shutdown()


async def _subscribed(bench: Bench, port: int) -> None:
    """Run the bench once every topic is subscribed: what is published before that, a broker gives nobody."""

    def waiting() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/devices", timeout=5) as answer:
            told = {one["id"]: one["state"] for one in json.load(answer)["items"]}
        placed = bench.scenario.instruments
        return any(told.get(one.id) != LinkState.CONNECTED for one in placed if one.link == "mqtt")

    for _ in range(50):
        if not await asyncio.to_thread(waiting):
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)  # asked for is not yet subscribed
    await bench.run()


def _welcome(port: int, path: Path) -> None:
    click.echo(
        f"\n  assaygate is running on a simulated laboratory.\n\n  Page:           http://127.0.0.1:{port}\n"
        f"  Configuration:  {path}\n  Try:            assaygate export -c {path} | head\n\n"
        "  In about half a minute freezer 2 grows warm and raises an alarm. Ctrl-C stops everything.\n"
    )


async def _after(seconds: float | None, stop: asyncio.Event) -> None:
    if seconds is not None:
        await asyncio.sleep(seconds)
        stop.set()


async def _start_broker() -> tuple[Any, int]:
    """An embedded MQTT broker on a free loopback port."""
    try:
        from amqtt.broker import Broker
    except ImportError:
        raise RuntimeError("the demo needs amqtt: pip install 'assaygate[demo]'") from None
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    port = _free_port()
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": 100}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    return broker, port


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def configuration(scenario: Scenario, folder: Path, port: int, broker: int) -> tuple[Mapping[str, str], str]:
    """Where each simulated instrument is plugged in, and the gateway's configuration for that bench."""
    from simulators.placing import place

    bench = place(scenario, folder, ("127.0.0.1", broker))
    text = f'[gateway]\nsite = "demo"\ndata_dir = "{folder / "data"}"\n\n[http]\nlisten = "127.0.0.1:{port}"\n\n'
    text += f'[[brokers]]\nid = "bench"\nhost = "127.0.0.1"\nport = {broker}\nprotocol = "3.1.1"\n'
    return bench.links, text + bench.text


# ---- simulate


def run_simulation(asked: dict[str, Any], echo: Tell) -> None:
    """The `simulate` command. Errors: LookupError, ValueError, OSError."""
    from simulators import faults, run
    from simulators.plan import Plan
    from simulators.scenario import load

    if "list" in asked["faults"]:
        echo(faults.table())
        return
    if asked["scenario"]:
        if asked["driver"]:
            raise LookupError("a scenario names its drivers. Leave DRIVER away, or --scenario.")
        foreground(run.scenario(load(asked["scenario"]), _wishes(asked), echo))
        return
    if not asked["driver"]:
        raise LookupError("nothing to simulate. Name a DRIVER (assaygate drivers lists them), or give --scenario.")
    plan = Plan(
        driver=asked["driver"],
        link=asked["link"] or run.usual_link(asked["driver"]),
        model=asked["model"] or "",
        variant=asked["variant"],
        options=options_from(asked["options"]),
        rate=asked["rate"],
        speed=asked["speed"],
        seed=asked["seed"] if asked["seed"] is not None else 1,
        faults=faults.parse(asked["faults"]),
        ledger=asked["ledger"],
        device=asked["device"],
        seconds=asked["seconds"],
        count=asked["count"],
        record=asked["record"],
    )
    work = run.relay(plan, asked["relay"], echo) if asked["relay"] else run.instrument(plan, _wishes(asked), echo)
    foreground(work)


def _wishes(asked: Mapping[str, Any]) -> Wishes:
    from simulators.run import Wishes

    return Wishes(asked["control"], asked["config"], asked["link"] or "", asked["ledger"], asked["speed"],
                  asked["seed"] or 0, asked["seconds"])  # fmt: skip
