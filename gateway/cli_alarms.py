"""The commands about alarms: what stands, why, what was, and what a rule would have done."""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import Any

import click
import orjson

from gateway.command import FOUND_A_PROBLEM, config_option, json_option, load, table

since_option = click.option("--since", default="30d", show_default=True, help="RFC 3339 time, or an age such as 7d.")
until_option = click.option("--until", help="Likewise; up to now where not given.")


@click.group(invoke_without_command=True)
@config_option
@json_option
@click.pass_context
def alarms(context: click.Context, config_path: Path, as_json: bool) -> None:
    """List the alarms that are not normal, gravest first, and what is suppressed."""
    context.obj = config = load(config_path)
    if context.invoked_subcommand:
        return
    from gateway.alarms.history import standing
    from gateway.reports import open_journal

    with open_journal(config) as db:
        panel = standing(db, config)
    views = [instance.view() for instance in panel.open()]
    asides = panel.suppressions.standing(time.time())
    if as_json:
        click.echo(orjson.dumps({"alarms": views, "suppressions": asides}).decode())
        return
    table((one.priority, one.state, one.id, one.raised or "", one.explanation) for one in views)
    for one in asides:
        click.echo(f"suppressed: {one['device']} by {one['suppression']} {one['by']}: {one['reason']}")
    if not views:
        click.echo("every alarm is normal")


@alarms.command("explain")
@click.argument("alarm")
@json_option
@click.pass_obj
def alarms_explain(config: Any, alarm: str, as_json: bool) -> None:
    """Say why ALARM (as `alarms` names it) is as it is: the rule, its transitions, the readings around."""
    from gateway.alarms.history import explain
    from gateway.reports import open_journal

    with open_journal(config) as db:
        found = explain(db, config, alarm)
    if as_json:
        click.echo(orjson.dumps(found).decode())
        return
    for name in ("id", "state", "title", "rule", "explanation", "consequence", "action", "text", "raised", "cleared"):
        if found[name]:
            click.echo(f"{name}: {found[name]}")
    for one in found["suppressions"]:
        click.echo(f"suppressed by: {one['suppression']} ({one['reason']})")
    click.echo("\nwhat became of it")
    table((one["time"], one["transition"], one["by"], one["why"]) for one in found["transitions"])
    click.echo("\nreadings around")
    table((one["time"], one["quantity"], f"{one['value']} {one['unit'] or ''}".strip(), one["quality"],
           f"raw {one['raw']}") for one in found["readings"])  # fmt: skip


@alarms.command("history")
@since_option
@until_option
@click.option("--alarm", default="*", help="Alarms (or devices, of maintenance), with * and ?.")
@click.option("--format", "form", type=click.Choice(("text", "ndjson", "csv")), default="text", show_default=True)
@click.pass_obj
def alarms_history(config: Any, since: str, until: str | None, alarm: str, form: str) -> None:
    """Every transition with who, when and why, oldest first, from the audit chain."""
    from gateway.alarms.history import history
    from gateway.reports import moment, open_journal

    with open_journal(config) as db:
        rows = history(db, moment(since) / 1e6, moment(until) / 1e6 if until else None, alarm)
        if form == "text":
            table((one["at"], one["priority"], one["transition"], one["alarm"] or one["device"], one["by"], one["why"])
                  for one in rows)  # fmt: skip
        elif form == "ndjson":
            for one in rows:
                click.echo(orjson.dumps(one).decode())
        else:
            from gateway.journal.export import cell

            writer = csv.writer(sys.stdout)
            writer.writerow(("n", "at", "time", "alarm", "device", "transition", "priority", "by", "why"))
            writer.writerows([cell(value) for value in one.values()] for one in rows)


@alarms.command("stats")
@since_option
@until_option
@json_option
@click.pass_obj
def alarms_stats(config: Any, since: str, until: str | None, as_json: bool) -> None:
    """Rates, floods, chattering, what stands and the ten worst, against the figures of EEMUA 191."""
    from gateway.alarms.history import measured
    from gateway.reports import moment, open_journal

    with open_journal(config) as db:
        found = measured(db, moment(since) / 1e6, moment(until) / 1e6 if until else time.time())
    if as_json:
        click.echo(orjson.dumps(found.as_dict()).decode())
        return
    click.echo(f"raised {found.raised} times: {found.per_hour:.2g} an hour, at most {found.peak} in ten minutes")
    if found.answered_within is not None:
        click.echo(f"half were acknowledged within {found.answered_within:.0f} s; not yet: {len(found.unanswered)}")
    table(("ok" if ok else "look", what, wanted) for what, ok, wanted in found.verdicts())
    for title, names in (("chattering", found.chattering), ("standing for over a day", found.standing)):
        if names:
            click.echo(f"{title}: {', '.join(names[:10])}")
    if found.worst:
        click.echo("the worst")
        table((str(count), name) for name, count in found.worst)


@alarms.command("test")
@since_option
@until_option
@click.option("--alarm", "only", multiple=True, help="Only these alarms of the configuration (id).")
@click.option("--against", type=click.Path(path_type=Path, exists=True), help="Another configuration to compare with.")
@json_option
@click.pass_obj
def alarms_test(
    config: Any, since: str, until: str | None, only: tuple[str, ...], against: Path | None, as_json: bool
) -> None:
    """How often would the alarms have rung? Over what the journal holds, nobody told and nothing changed.

    With --against, beside what another configuration (today's, where -c is a draft) would have done: exit 1 where they
    differ.
    """
    from gateway.alarms.backtest import compare
    from gateway.reports import moment, open_journal

    with open_journal(config) as db:
        bounds = (moment(since), moment(until) if until else None)
        found = compare(db, config, load(against) if against else None, bounds, only)
    if as_json:
        click.echo(orjson.dumps(found).decode())
    else:
        for one in found["alarms"]:
            before = f" (was {one['before']['raised']})" if one["before"] else ""
            hours = one["active_seconds"] / 3600
            click.echo(f"{one['alarm']}: {one['raised']} times{before}, {hours:.1f} h in all, the longest "
                       f"{one['longest_seconds'] / 60:.0f} min, suppressed {one['suppressed']} times")  # fmt: skip
            for at in one["times"][:10]:
                click.echo(f"    {at}")
        if not found["alarms"]:
            click.echo("none would have rung")
    sys.exit(FOUND_A_PROBLEM if found["differs"] else 0)
