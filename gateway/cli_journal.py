"""The commands that look after the journal and what it owes: verify, backup, restore, salvage, sinks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from gateway.command import FOUND_A_PROBLEM, config_option, json_option, load, report, table

a_file = click.Path(path_type=Path, dir_okay=False)
key_option = click.option("--key", type=a_file, help="The seals' key (default: seal.key in the journal's folder).")


@click.command()
@config_option
@click.option(
    "--against", "ledgers", multiple=True, type=click.Path(path_type=Path, exists=True), help="A simulator's ledger."
)
@click.option("--head", default="", help="A seals' head from the log or an earlier verify: it must be in the chain.")
@json_option
def verify(config_path: Path, ledgers: tuple[Path, ...], head: str, as_json: bool) -> None:
    """Check the journal, its seals and audit chain; against ledgers: acknowledged, lost, doubled, altered, invented."""
    from gateway.reports import verify_journal

    found, good = verify_journal(load(config_path), ledgers, head)
    report(found, as_json)
    sys.exit(0 if good else FOUND_A_PROBLEM)


@click.command()
@config_option
@click.option("-o", "--output", type=a_file, required=True, help="A new file.")
@json_option
def backup(config_path: Path, output: Path, as_json: bool) -> None:
    """Copy the journal as it is now, also while the daemon writes, and check the copy.

    Keep the key (seal.key in gateway.data_dir) too, in another place: it proves that a journal is as it was.
    """
    from gateway.journal import copies

    report(copies.backup(load(config_path).gateway.data_dir, output), as_json)


@click.command()
@config_option
@click.argument("source", type=a_file)
@key_option
@json_option
def restore(config_path: Path, source: Path, key: Path | None, as_json: bool) -> None:
    """Make SOURCE, a backup, the journal of gateway.data_dir, which must have none. The daemon must not run."""
    from gateway.journal import copies

    report(copies.restore(load(config_path).gateway.data_dir, source, key), as_json)


@click.command()
@click.argument("damaged", type=click.Path(path_type=Path, exists=True))
@click.argument("target", type=click.Path(path_type=Path, file_okay=False))
@key_option
@json_option
def salvage(damaged: Path, target: Path, key: Path | None, as_json: bool) -> None:
    """Read what is left of a DAMAGED journal (its folder or file) into a new one in the folder TARGET.

    The damaged one is not changed. The report says what is missing or altered; it is kept as TARGET/salvage.json.
    Exit 1 where something is.
    """
    from gateway.journal import salvage as salvaging

    found = salvaging.salvage(damaged, target, key)
    report({name: value for name, value in found.items() if name != "audit"}, as_json)
    lost = any(found[table][count] for table in ("raw", "observation") for count in ("altered_count", "missing_count"))
    sys.exit(FOUND_A_PROBLEM if lost else 0)


@click.group(invoke_without_command=True)
@config_option
@json_option
@click.pass_context
def sinks(ctx: click.Context, config_path: Path, as_json: bool) -> None:
    """How far each sink has come, and what its store would not have."""
    from gateway.sinks.commands import standing

    ctx.obj = load(config_path)
    if ctx.invoked_subcommand is not None:
        return
    told = standing(ctx.obj)
    if as_json:
        click.echo(json.dumps(told))
        return
    for one in told:
        again = one["to_be_sent_again_after"]
        more = f", to be sent again after {again}" if again is not None else ""
        since = f" since {one['oldest']}" if one["oldest"] else ""
        click.echo(f"{one['id']} ({one['type']}): at {one['cursor']} of {one['last']}, {one['behind']} behind{since}, "
                   f"{one['refused']} refused{more}")  # fmt: skip


@sinks.command("refused")
@click.argument("sink")
@click.pass_obj
def sinks_refused(config: Any, sink: str) -> None:
    """List what SINK's store would not have, and why."""
    from gateway.sinks.commands import refused

    table((str(one["seq"]), one["device"] or "", one["quantity"] or "", one["reason"]) for one in refused(config, sink))


@sinks.command("resend")
@click.argument("sink")
@click.option("--since", required=True, help="RFC 3339 time, or an age such as 2h or 7d.")
@click.pass_obj
def sinks_resend(config: Any, sink: str, since: str) -> None:
    """Send again to SINK what was measured since then, what was refused included."""
    from gateway.reports import moment
    from gateway.sinks.commands import resend

    click.echo(f"{resend(config, sink, moment(since))} observations will be sent again")


@sinks.command("reconcile")
@click.argument("sink")
@click.option("--since", help="RFC 3339 time, or an age such as 2h or 7d; from the beginning where not given.")
@click.option("--until", help="Likewise; up to what was delivered last.")
@click.option("--resend", is_flag=True, help="Have it sent again from the first that is missing or different on.")
@json_option
@click.pass_obj
def sinks_reconcile(config: Any, sink: str, since: str | None, until: str | None, resend: bool, as_json: bool) -> None:
    """Read SINK's store back and compare it with the journal, observation by observation.

    Exit 1 where it lacks one, has one otherwise or twice, or one that is not ours."""
    from gateway.reports import moment
    from gateway.sinks.commands import resend_after
    from gateway.sinks.reconcile import reconcile

    found = reconcile(config, sink, moment(since) if since else None, moment(until) if until else None)
    again = [*found["missing"], *found["different"]]
    if resend and again:
        found["sent_again"] = resend_after(config, sink, min(again) - 1)
    report(found, as_json)
    sys.exit(0 if found["equal"] else FOUND_A_PROBLEM)
