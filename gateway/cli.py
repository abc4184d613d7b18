"""The command line: one function a command, no logic. What a command needs is imported when it runs."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gateway.config import Config

FOUND_A_PROBLEM = 1
ASKED_WRONGLY = 2

config_option = click.option(
    "-c",
    "--config",
    "config_path",
    required=True,
    type=click.Path(path_type=Path),
    envvar="ASSAYGATE_CONFIG",
    help="The configuration file (also from ASSAYGATE_CONFIG).",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


class Commands(click.Group):
    """Says what went wrong in one line with a remedy; `--debug` shows where."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except BrokenPipeError:
            sys.exit(0)
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            from gateway.config import ConfigError

            click.echo(str(error) or type(error).__name__, err=True)
            sys.exit(ASKED_WRONGLY if isinstance(error, ConfigError | LookupError) else FOUND_A_PROBLEM)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def main(debug: bool) -> None:
    """Connects laboratory instruments: what they send is kept durably, and only then acknowledged."""


def _load(path: Path) -> Config:
    from gateway.config import load

    return load(path)


def _table(rows: Iterable[tuple[str, ...]]) -> None:
    rows = list(rows)
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(len(rows[0]) if rows else 0)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@main.command()
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Keep the demo's journal here (default: a temporary folder)."
)
@click.option("--port", default=8470, show_default=True, help="Port of the page; 0: any free one.")
@click.option("--for", "seconds", type=float, help="Stop after so many seconds.")
def demo(data_dir: Path | None, port: int, seconds: float | None) -> None:
    """Show the main job on simulated instruments, with a live page."""
    from gateway.demo import run_demo

    run_demo(data_dir, port, seconds)


@main.command()
@config_option
def run(config_path: Path) -> None:
    """Run the daemon in the foreground; it logs `ready` with its addresses. SIGHUP reloads, SIGTERM stops."""
    from gateway.app import run_daemon

    run_daemon(config_path)


@main.command()
@config_option
@json_option
def check(config_path: Path, as_json: bool) -> None:
    """Validate the configuration without starting anything."""
    from gateway.config import ConfigError

    try:
        config = _load(config_path)
    except ConfigError as error:
        click.echo(json.dumps({"ok": False, "problems": error.problems}) if as_json else str(error), err=not as_json)
        sys.exit(ASKED_WRONGLY)
    counts = {name: len(getattr(config, name)) for name in ("devices", "brokers", "sinks", "alarms", "notifiers")}
    if as_json:
        click.echo(json.dumps({"ok": True, **counts}))
    else:
        click.echo(f"{config_path}: good. " + ", ".join(f"{count} {name}" for name, count in counts.items()) + ".")


@main.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
def init(folder: Path) -> None:
    """Find serial ports and brokers and write a commented configuration into FOLDER."""
    from gateway.discover import configuration

    path = folder / "assaygate.toml"
    if path.exists():
        raise click.UsageError(f"{path} is already there. Move it away, or name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(configuration((folder / "data").resolve()), encoding="utf-8")
    click.echo(f"Wrote {path}. Edit it, then: assaygate check -c {path} && assaygate run -c {path}")


@main.command()
@config_option
@click.argument("device", required=False)
@click.option(
    "--listen", "seconds", type=float, default=10.0, show_default=True, help="With DEVICE: for so many seconds."
)
@json_option
def doctor(config_path: Path, device: str | None, seconds: float, as_json: bool) -> None:
    """Check ports, permissions, brokers, stores, disk and clock; of DEVICE listen to the wire and say what is wrong.

    Nothing is acknowledged while the doctor listens: the instrument will say it again to the daemon.
    """
    from gateway.diagnosis import Check
    from gateway.doctor import examine, hear

    config = _load(config_path)
    chosen = next((one for one in config.devices if one.id == device), None)
    if device and chosen is None:
        raise LookupError(f"no device is called {device!r}. Known are: {', '.join(d.id for d in config.devices)}.")

    async def collect() -> list[Check]:
        checks = []
        async for one in hear(config, chosen, seconds) if chosen else examine(config):
            checks.append(one)
            if not as_json:
                mark = "ok  " if one.ok else "FAIL"
                click.echo(f"{mark}  {one.name}: {one.found}" + (f"  -> {one.remedy}" if one.remedy else ""))
        return checks

    checks = asyncio.run(collect())
    if as_json:
        click.echo(json.dumps([{"name": c.name, "ok": c.ok, "found": c.found, "remedy": c.remedy} for c in checks]))
    sys.exit(0 if all(one.ok for one in checks) else FOUND_A_PROBLEM)


@main.command("drivers")
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
    from gateway.workbench import check, known, new, table

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
        click.echo(table(), nl=False)
        return
    if checking:
        if name is None:
            raise click.UsageError("name the driver to check.")
        report, good = check(name, variant, seed, None if as_json else click.echo)
        if as_json:
            click.echo(json.dumps(report))
        sys.exit(0 if good else FOUND_A_PROBLEM)
    if name is None:
        every = [drivers.load(one) for one in drivers.names()]
        if as_json:
            click.echo(json.dumps([manual.as_dict(driver) for driver in every]))
        else:
            _table((d.name, ", ".join(d.links), d.evidence.name.lower(), d.summary) for d in every)
        return
    driver = known(name)
    click.echo(json.dumps(manual.as_dict(driver)) if as_json else manual.page(driver))


@main.command()
@click.argument("driver", required=False)
@click.option(
    "--link",
    default=None,
    help="pty[:PATH], tcp:HOST:PORT, tcp-listen:HOST:PORT, rfc2217:HOST:PORT, mqtt:HOST:PORT/TOPIC or folder:PATH; "
    "with --scenario the broker, mqtt:HOST:PORT.",
)
@click.option(
    "--rate", type=float, default=1.0, show_default=True, help="Messages a second; 0: as fast as acknowledged."
)
@click.option("--speed", type=float, default=1.0, show_default=True, help="Model seconds a real second.")
@click.option("--seed", type=int, default=None, help="Of the model and the faults. The same seed does the same again.")
@click.option(
    "--fault", "faults", multiple=True, metavar="NAME=P", help="A named fault and its probability; repeatable."
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


@main.command()
@config_option
@click.argument("device")
@json_option
def tap(config_path: Path, device: str, as_json: bool) -> None:
    """Show a device's live wire traffic: readable beside hex, bad checksums with what was wanted."""
    from gateway.foreground import run as run_on
    from gateway.traffic import watch

    run_on(watch(_load(config_path).gateway.data_dir, device, click.echo, as_json=as_json))


@main.command()
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
    config = _load(config_path)
    driver = next((d.driver for d in config.devices if d.id == device), "")
    run_on(traffic.record(config.gateway.data_dir, device, driver, output, seconds, chosen, click.echo))


@main.command()
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
        _differences(_load(config_path), device, since, store=store, as_json=as_json)
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


@main.command()
@config_option
@click.option("--since", help="RFC 3339 time, or an age such as 2h or 7d.")
@click.option("--until", help="RFC 3339 time, or an age.")
@click.option("--device", metavar="GLOB")
@click.option("--quantity", metavar="GLOB")
@click.option("--format", "form", type=click.Choice(["ndjson", "csv", "parquet"]), default="ndjson", show_default=True)
@click.option("-o", "--output", type=click.File("wb"), default="-", help="A file (default: standard output).")
def export(
    config_path: Path,
    since: str | None,
    until: str | None,
    device: str | None,
    quantity: str | None,
    form: str,
    output: IO[bytes],
) -> None:
    """Write the journal's observations, oldest first; also while the daemon runs."""
    from gateway.reports import export_to

    export_to(_load(config_path), since, until, device, quantity, form, output)


@main.command()
@config_option
@click.option(
    "--against", "ledgers", multiple=True, type=click.Path(path_type=Path, exists=True), help="A simulator's ledger."
)
@json_option
def verify(config_path: Path, ledgers: tuple[Path, ...], as_json: bool) -> None:
    """Check the journal and its audit chain; against ledgers: acknowledged, lost, doubled, altered, invented."""
    from gateway.reports import verify_journal

    report, good = verify_journal(_load(config_path), ledgers)
    _report(report, as_json)
    sys.exit(0 if good else FOUND_A_PROBLEM)


@main.group(invoke_without_command=True)
@config_option
@json_option
@click.pass_context
def quarantine(ctx: click.Context, config_path: Path, as_json: bool) -> None:
    """What could not be decoded, with its raw bytes and why."""
    from gateway.quarantine import Quarantine

    ctx.obj = Quarantine(_load(config_path))
    if ctx.invoked_subcommand is None:
        _list_quarantine(ctx.obj.entries(), as_json)


def _list_quarantine(entries: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(entries))
    elif not entries:
        click.echo("nothing is in quarantine")
    else:
        _table((str(e["id"]), e["at"], e["device"], e["reason"], e["detail"]) for e in entries)


@quarantine.command("show")
@click.argument("entry", type=int)
@click.pass_obj
def quarantine_show(found: Any, entry: int) -> None:
    """Print one entry's bytes."""
    from gateway.wire_text import dump

    message, reason = found.show(entry)
    click.echo(reason)
    for line in dump(message.data):
        click.echo(line)


@quarantine.command("retry")
@click.argument("entries", type=int, nargs=-1)
@click.pass_obj
def quarantine_retry(found: Any, entries: tuple[int, ...]) -> None:
    """Decode entries again with today's configuration and drivers (default: all)."""
    resolved, left = found.retry(entries)
    click.echo(f"{resolved} understood now, {left} still not")
    sys.exit(FOUND_A_PROBLEM if left else 0)


@main.command()
@json_option
def version(as_json: bool) -> None:
    """Print the versions of the gateway and what it runs on."""
    from gateway.reports import versions

    _report(versions(), as_json)


def _report(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report))
        return
    for name, value in report.items():
        if isinstance(value, list):
            for one in value:
                click.echo(f"{name}: {one}")
        else:
            click.echo(f"{name}: {value}")


if __name__ == "__main__":
    main()
