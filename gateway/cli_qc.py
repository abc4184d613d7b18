"""The commands of quality control: how controls stand, charts, and what people do about them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.command import json_option, load, table

SEQ = click.IntRange(1, 2**62)
NO_FILE = "which configuration? Write -c FILE."
F = TypeVar("F", bound=Callable[..., Any])


def _configuration(ctx: click.Context, _parameter: click.Parameter, path: Path | None) -> Any:
    """Given to the command itself, or to the group before it."""
    if path is not None:
        return load(path)
    if ctx.obj is None and not isinstance(ctx.command, click.Group) and not ctx.resilient_parsing:
        raise click.UsageError(NO_FILE)
    return ctx.obj


config_option = click.option(
    "-c",
    "--config",
    "config",
    type=click.Path(path_type=Path),
    envvar="ASSAYGATE_CONFIG",
    callback=_configuration,
    help="The configuration file (also from ASSAYGATE_CONFIG).",
)
by_option = click.option("--by", required=True, help="Who does it.")
device_option = click.option("--device", help="On this device only.")
since_option = click.option("--since", default="90d", show_default=True, help="RFC 3339 time, or an age.")


def why_option(required: bool = True) -> Callable[[F], F]:
    return click.option("--why", required=required, default=None if required else "", help="For what reason.")


@click.group(invoke_without_command=True)
@config_option
@json_option
@click.pass_context
def qc(ctx: click.Context, config: Any, as_json: bool) -> None:
    """Quality control: how each control stands. Charts, held results and corrective actions are commands of it."""
    import time

    from gateway.qc.view import controls
    from gateway.reports import open_journal

    ctx.obj = config
    if ctx.invoked_subcommand is not None:
        return
    if config is None:
        raise click.UsageError(NO_FILE)
    with open_journal(config) as db:
        found = controls(db, config, time.time_ns() // 1000)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found]))
        return
    heads = ("control", "device", "last", "at", "n", "mean", "SD", "CV %", "sigma", "")
    table([heads, *(_row(one) for one in found)])


def _row(one: Any) -> tuple[str, ...]:
    numbers = (one.mean, one.own_sd, one.cv, one.sigma)
    told = ("-" if number is None else f"{number:.4g}" for number in numbers)
    why = f"{one.why} ({one.at_risk} results since it was accepted)" if one.at_risk else one.why
    return (one.id, one.device, one.verdict or "-", one.time or "-", str(one.n), *told, why)


@qc.command()
@config_option
@click.argument("control")
@device_option
@since_option
@json_option
def show(config: Any, control: str, device: str | None, since: str, as_json: bool) -> None:
    """List a CONTROL's measurements with their verdicts."""
    found = _points(config, control, device, since)
    if as_json:
        click.echo(json.dumps(found))
        return
    table(
        (str(one["seq"]), one["time"], one["device"], str(one["value"] if one["value"] is not None else ""),
         "" if one["z"] is None else f"{one['z']:+.2f}", one["verdict"], ", ".join(one["rules"]),
         one["reviewed"]["by"] + ": " + one["reviewed"]["why"] if one["reviewed"] else one["why"] or "")
        for one in found
    )  # fmt: skip


@qc.command()
@config_option
@click.argument("control")
@device_option
@since_option
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="An SVG file.")
def chart(config: Any, control: str, device: str | None, since: str, output: Path) -> None:
    """Draw a CONTROL's Levey-Jennings chart."""
    from gateway.qc.actions import controls
    from gateway.qc.chart import chart as draw

    (options,) = controls(config, control)
    found = _points(config, control, device, since)
    output.write_text(draw(f"{options.quantity} {options.name}", found), encoding="utf-8")
    click.echo(f"{output}: {len(found)} measurements")


def _points(config: Any, control: str, device: str | None, since: str) -> list[dict[str, Any]]:
    from gateway.qc.actions import controls
    from gateway.qc.view import devices, points
    from gateway.reports import moment, open_journal

    (options,) = controls(config, control)
    with open_journal(config) as db:
        return points(db, options, [device] if device else devices(config, options), moment(since))


@qc.command()
@config_option
@json_option
def held(config: Any, as_json: bool) -> None:
    """List the results that wait for their release, and why."""
    from gateway.qc.state import HELD

    _list(config, HELD, lambda one: one["why"], as_json)


@qc.command()
@config_option
@json_option
def critical(config: Any, as_json: bool) -> None:
    """List the critical values nobody has been told of yet."""
    from gateway.qc.state import CRITICAL

    _list(config, CRITICAL, lambda one: f"{one['side']} limit {one['limit']:g} {one['unit'] or ''}".rstrip(), as_json)


def _list(config: Any, what: str, words: Callable[[dict[str, Any]], str], as_json: bool) -> None:
    from gateway.qc.view import waiting
    from gateway.reports import open_journal

    with open_journal(config) as db:
        found = waiting(db, what)
    if as_json:
        click.echo(json.dumps(found))
    elif not found:
        click.echo("nothing waits")
    else:
        table((str(one["seq"]), one["time"], one["device"], one["quantity"], words(one)) for one in found)


@qc.command()
@config_option
@click.argument("seqs", metavar="SEQ...", type=SEQ, nargs=-1, required=True)
@by_option
@why_option()
def release(config: Any, seqs: tuple[int, ...], by: str, why: str) -> None:
    """Make held results final: each is stored once more, and the held one kept."""
    from gateway.qc import actions

    released = actions.offline(config, lambda t: actions.release(t, seqs, by, why))
    for seq, new in zip(dict.fromkeys(seqs), released, strict=True):
        click.echo(f"{seq} is released as {new}")


@qc.command()
@config_option
@click.argument("seq", type=SEQ)
@click.argument("decision", type=click.Choice(["accept", "reject", "rerun", "comment"]))
@by_option
@why_option()
def review(config: Any, seq: int, decision: Any, by: str, why: str) -> None:
    """Say of a control's measurement SEQ that it is accepted or rejected all the same, is run again, or anything."""
    from gateway.qc import actions

    stands = actions.offline(config, lambda t: actions.review(t, seq, decision, by, why))
    click.echo(f"{seq}: {actions.DONE[decision]}" + (f", it stands as {stands}" if stands != seq else ""))


@qc.command()
@config_option
@click.argument("control")
@device_option
@by_option
@why_option()
def action(config: Any, control: str, device: str | None, by: str, why: str) -> None:
    """Record a corrective action on a CONTROL's test: the rules count anew from there."""
    from gateway.qc import actions

    options = actions.controls(config, control)
    actions.offline(config, lambda t: actions.act(t, options, device, by, why))
    click.echo(f"{control}: the rules count anew")


@qc.command("read-back")
@config_option
@click.argument("seq", type=SEQ)
@by_option
@click.option("--to", required=True, help="Who was told.")
@click.option("--at", help="When; RFC 3339 (default: now).")
@click.option("--repeated/--not-repeated", default=True, help="Whether the value was read back; else it stays listed.")
@why_option(required=False)
def read_back(config: Any, seq: int, by: str, to: str, at: str | None, repeated: bool, why: str) -> None:
    """Record that somebody was told the critical value SEQ."""
    from gateway.qc import actions
    from gateway.reports import moment

    when = moment(at) if at else None
    actions.offline(config, lambda t: actions.read_back(t, seq, by, to, repeated, why, when))
    click.echo(f"{seq}: {to} was told" + ("" if repeated else ", and has not read it back"))


@qc.command()
@config_option
@click.argument("quantity")
@click.option("--device", default="*", metavar="GLOB")
@since_option
@json_option
def lots(config: Any, quantity: str, device: str, since: str, as_json: bool) -> None:
    """Compare the kit lots of a QUANTITY's results: invalid, positive, mean, SD, control line."""
    from fnmatch import filter as among

    from gateway.qc.lots import lots as compare
    from gateway.reports import moment, open_journal

    with open_journal(config) as db:
        found = compare(db, quantity, among([one.id for one in config.devices], device), moment(since))
    if as_json:
        click.echo(json.dumps(found))
        return
    heads = ("lot", "first", "n", "invalid", "positive", "mean", "SD", "control line", "SD", "per day")
    numbers = ("mean", "sd", "control_line", "control_line_sd", "control_line_per_day")
    table([heads, *((
        one["lot"] or "-", one["first"], str(one["n"]), f"{one['invalid_rate']:.1%}",
        "-" if one["positive_share"] is None else f"{one['positive_share']:.1%}",
        *("-" if one[name] is None else f"{one[name]:.4g}" for name in numbers),
    ) for one in found)])  # fmt: skip
