"""The engineer's commands: drivers, simulators, the wire. What a command needs is imported when it runs."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.command import FOUND_A_PROBLEM, config_option, json_option, load, table

if TYPE_CHECKING:
    from gateway.config import Config


@click.command("drivers")
@click.argument("name", required=False)
@click.option(
    "--check", "checking", is_flag=True, help="Test NAME as every driver is tested; print the tier it has earned."
)
@click.option(
    "--new", "new_name", metavar="NAME", help="With --from: write a driver's folder, and say what was recognised."
)
@click.option("--from", "recorded", type=click.Path(path_type=Path, exists=True), help="A recording, or raw bytes.")
@click.option("--into", type=click.Path(path_type=Path), default=".", help="With --new: where the folder goes.")
@click.option("--expect", is_flag=True, help="Take what the driver in the folder NAME reads of its recording as right.")
@click.option("--table", "as_table", is_flag=True, help="Print every supported instrument as a Markdown table.")
@click.option("--variant", help="With --check: this variant only.")
@click.option("--seed", type=int, default=1, show_default=True, help="With --check: of everything random.")
@json_option
def drivers_(
    name: str | None,
    checking: bool,
    new_name: str | None,
    recorded: Path | None,
    into: Path,
    expect: bool,
    as_table: bool,
    variant: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """List drivers, or print one driver's manual. NAME may be a driver's folder.

    --check tests it as every driver is tested; --new begins one from a recording.
    """
    import drivers
    from drivers.kit import manual
    from gateway.workbench import check, instruments, known, new

    if new_name:
        if recorded is None:
            raise click.UsageError("name the recording: --from FILE. `assaygate capture` makes one.")
        new(new_name, recorded, into, click.echo)
        return
    if expect:
        from gateway.scaffold import expect as expected

        count = expected(Path(name or "."))
        click.echo(f"{count} values are expected now. Look at them: {Path(name or '.') / 'cases' / 'recorded.ndjson'}")
        return
    if as_table:
        click.echo(instruments(), nl=False)
        return
    if checking:
        if name is None:
            raise click.UsageError("name the driver to check.")
        found, good = check(name, variant, seed, None if as_json else click.echo)
        if as_json:
            click.echo(json.dumps(found))
        sys.exit(0 if good else FOUND_A_PROBLEM)
    if name is None:
        every = [drivers.load(one) for one in drivers.names()]
        if as_json:
            click.echo(json.dumps([manual.as_dict(driver) for driver in every]))
        else:
            table((d.name, ", ".join(d.links), d.evidence.name.lower(), d.summary) for d in every)
        return
    driver = known(name)
    click.echo(json.dumps(manual.as_dict(driver)) if as_json else manual.page(driver))


@click.command()
@click.argument("driver", required=False)
@click.option(
    "--link",
    default=None,
    help="pty[:PATH], tcp:HOST:PORT, tcp-listen:HOST:PORT, rfc2217:HOST:PORT, mqtt:HOST:PORT/TOPIC, folder:PATH, "
    "opcua:HOST:PORT or sila:HOST:PORT (default: what the driver is met on); with --scenario the broker, "
    "mqtt:HOST:PORT.",
)
@click.option(
    "--rate", type=float, default=1.0, show_default=True, help="Messages a second; 0: as fast as acknowledged."
)
@click.option("--speed", type=float, default=1.0, show_default=True, help="Model seconds a real second.")
@click.option("--seed", type=int, default=None, help="Of the model and the faults. The same seed does the same again.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME=P",
    help="A fault and its probability a write; repeatable. `--fault list` describes them all.",
)
@click.option("--scenario", type=click.Path(path_type=Path, exists=True), help="A whole bench from a TOML file.")
@click.option(
    "--config", type=click.Path(path_type=Path), help="With --scenario: write the gateway's configuration for it here."
)
@click.option(
    "--control",
    type=int,
    metavar="PORT",
    help="Obey lines on this loopback port (0: any): status, faults, fault NAME=P, event NAME, rate X, pause, resume, "
    "stop; each may end with an instrument's id. Answers are JSON.",
)
@click.option("--relay", metavar="LINK", help="Hand on a real instrument at serial:PATH[@RATE] or tcp:HOST:PORT.")
@click.option("--record", type=click.Path(path_type=Path), help="Record the wire traffic, for replay.")
@click.option(
    "--ledger", type=click.Path(path_type=Path), help="Write what was meant and acknowledged; of a scenario: a folder."
)
@click.option("--for", "seconds", type=float, help="Stop after so many seconds.")
@click.option("--count", type=int, help="Stop when so many messages are acknowledged.")
@click.option("--device", default="", help="The configured device id, for the ledger.")
@click.option("--model", help="What it measures (default: the driver's usual).")
@click.option("--variant", default="", help="A variant of the driver.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="A driver option, as TOML; repeatable.")
def simulate(**asked: Any) -> None:
    """Run one simulated instrument, or a whole bench, and print where it can be reached."""
    from gateway.demo import run_simulation

    run_simulation(asked, click.echo)


@click.command()
@config_option
@click.argument("device")
@json_option
def tap(config_path: Path, device: str, as_json: bool) -> None:
    """Show a device's live wire traffic: readable beside hex, bad checksums with what was wanted."""
    from gateway.foreground import run as run_on
    from gateway.traffic import watch

    run_on(watch(load(config_path).gateway.data_dir, device, click.echo, as_json=as_json))


@click.command()
@click.option("-c", "--config", "config_path", type=click.Path(path_type=Path), envvar="ASSAYGATE_CONFIG")
@click.argument("device", required=False)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--for", "seconds", type=float, help="Stop after so many seconds (default: at Ctrl-C).")
@click.option(
    "--between",
    nargs=2,
    metavar="INSTRUMENT HOST",
    help="Stand between an instrument (serial:PATH[@RATE], tcp:HOST:PORT, tcp-listen:HOST:PORT) and its present host "
    "(the same, or pty:PATH); hand everything on and record it, masked.",
)
@click.option("--mask/--unmasked", default=None, help="Hide names and identifiers (default: with --between).")
@click.option("--mask-also", multiple=True, metavar="REGEX", help="Hide what fits this, too; repeatable.")
def capture(
    config_path: Path | None,
    device: str | None,
    output: Path,
    seconds: float | None,
    between: tuple[str, str] | None,
    mask: bool | None,
    mask_also: tuple[str, ...],
) -> None:
    """Record wire traffic, both ways, with its timing: a DEVICE's, or between an instrument and another host."""
    import secrets

    from drivers.kit.masking import Mask
    from gateway import traffic
    from gateway.foreground import run as run_on

    hidden = bool(between or mask_also) if mask is None else mask
    chosen = Mask(secrets.token_bytes(16), mask_also) if hidden else None
    if between:
        run_on(traffic.between(*between, output, seconds, chosen, click.echo))
        return
    if config_path is None or device is None:
        raise click.UsageError("name a device (-c FILE DEVICE), or --between INSTRUMENT HOST.")
    config = load(config_path)
    driver = next((d.driver for d in config.devices if d.id == device), "")
    run_on(traffic.record(config.gateway.data_dir, device, driver, output, seconds, chosen, click.echo))


@click.command()
@click.argument("recording", required=False, type=click.Path(path_type=Path, exists=True))
@click.option("--driver", help="Decode with this driver.")
@click.option("--variant", default="", help="A variant of the driver.")
@click.option(
    "--option", "options", multiple=True, metavar="KEY=VALUE", help="A key of the device, as TOML; repeatable."
)
@click.option("--to", "address", metavar="HOST:PORT", help="Send the instrument's side there instead of decoding.")
@click.option("--diff", is_flag=True, help="Read the journal's raw bytes again; show which observations would change.")
@click.option("--apply", "store", is_flag=True, help="With --diff: store corrections, the former observations kept.")
@click.option("-c", "--config", "config_path", type=click.Path(path_type=Path), envvar="ASSAYGATE_CONFIG")
@click.option("--device", metavar="GLOB", help="With --diff: these devices only.")
@click.option("--since", default="", help="With --diff: what arrived after this time or within this age.")
@json_option
def replay(
    recording: Path | None,
    driver: str | None,
    variant: str,
    options: tuple[str, ...],
    address: str | None,
    diff: bool,
    store: bool,
    config_path: Path | None,
    device: str | None,
    since: str,
    as_json: bool,
) -> None:
    """Decode a RECORDING, or send it again; with --diff decode what the journal holds once more."""
    if diff:
        if config_path is None or recording is not None:
            raise click.UsageError(
                "--diff reads the journal of a configuration. Write: assaygate replay --diff -c FILE"
            )
        _differences(load(config_path), device, since, store=store, as_json=as_json)
        return
    if recording is None or store:
        raise click.UsageError("name a recording, or --diff -c FILE [--apply].")
    from gateway.traffic import decode_recording, send_recording

    if address:
        asyncio.run(send_recording(recording, address, click.echo))
        return
    if driver is None:
        raise click.UsageError("name the driver to decode with: --driver NAME. `assaygate drivers` lists them.")
    for line in decode_recording(recording, driver, variant, options):
        click.echo(line)


def _differences(config: Config, device: str | None, since: str, *, store: bool, as_json: bool) -> None:
    from gateway.reports import moment
    from gateway.rereading import reread

    found, stored = reread(config, device, moment(since) if since else 0, store=store)
    if as_json:
        click.echo(json.dumps({"differences": [one.as_dict() for one in found], "stored": stored}))
    else:
        for one in found:
            click.echo(one.line)
        click.echo(f"{len(found)} would be otherwise" + (f"; {stored} corrections stored" if store else ""))
    sys.exit(FOUND_A_PROBLEM if found and not store else 0)
