"""The command line: one function a command, no logic. What a command needs is imported when it runs."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import IO, Any

import click

from gateway import cli_alarms, cli_engineer, cli_journal, cli_notify, cli_people, cli_qc, cli_report, cli_watch
from gateway.command import ASKED_WRONGLY, FOUND_A_PROBLEM, Commands, config_option, json_option, load, report, table


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def main(debug: bool) -> None:
    """Connects laboratory instruments: what they send is kept durably, and only then acknowledged."""


for command in (
    cli_alarms.alarms,
    cli_engineer.drivers_,
    cli_engineer.simulate,
    cli_engineer.tap,
    cli_engineer.capture,
    cli_engineer.replay,
    cli_journal.verify,
    cli_journal.backup,
    cli_journal.restore,
    cli_journal.salvage,
    cli_journal.sinks,
    cli_notify.notify,
    cli_people.people,
    cli_qc.qc,
    cli_report.report_,
    cli_watch.watch,
):
    main.add_command(command)


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
    from gateway.config_errors import ConfigError

    try:
        config = load(config_path)
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

    Of a broker it is measured what it keeps for a client that is away, with a client and a topic of the doctor's own
    (assaygate-doctor/...); a store is asked to write nothing. Nothing is acknowledged while the doctor listens: the
    instrument will say it again to the daemon.
    """
    from gateway.doctor import examine, hear
    from gateway.finding import Check

    config = load(config_path)
    chosen = next((one for one in config.devices if one.id == device), None)
    if device and chosen is None:
        raise LookupError(f"no device is called {device!r}. Known are: {', '.join(d.id for d in config.devices)}.")

    async def collect() -> list[Check]:
        checks = []
        async for one in hear(config, chosen, seconds) if chosen else examine(config):
            checks.append(one)
            if not as_json:
                mark = {"ok": "ok", "warning": "warn", "problem": "FAIL", "unknown": "?"}[one.grade]
                click.echo(f"{mark:4}  {one.name}: {one.found}" + (f"  -> {one.remedy}" if one.remedy else ""))
        return checks

    checks = asyncio.run(collect())
    if as_json:
        keys = ("name", "grade", "ok", "found", "remedy")
        click.echo(json.dumps([{key: getattr(one, key) for key in keys} for one in checks]))
    sys.exit(0 if all(one.ok for one in checks) else FOUND_A_PROBLEM)


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

    export_to(load(config_path), since, until, device, quantity, form, output)


@main.group(invoke_without_command=True)
@config_option
@json_option
@click.pass_context
def quarantine(ctx: click.Context, config_path: Path, as_json: bool) -> None:
    """What could not be decoded, with its raw bytes and why."""
    from gateway.quarantine import Quarantine

    ctx.obj = Quarantine(load(config_path))
    if ctx.invoked_subcommand is None:
        _list_quarantine(ctx.obj.entries(), as_json)


def _list_quarantine(entries: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(entries))
    elif not entries:
        click.echo("nothing is in quarantine")
    else:
        table((str(e["id"]), e["at"], e["device"], e["reason"], e["detail"]) for e in entries)


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

    report(versions(), as_json)


if __name__ == "__main__":
    main()
