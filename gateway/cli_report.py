"""The command that makes a report about one piece of equipment."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import click

from gateway.command import config_option, load

FORMS = ("html", "csv", "pdf", "json")  # those of gateway.equipment.forms, which is imported when it is needed


@click.command("report")
@config_option
@click.argument("device")
@click.option("--quantity", default="temperature", show_default=True)
@click.option("--since", help="RFC 3339 time, a local time or day, or an age such as 30d (default: 7d before the end).")
@click.option("--until", help="Likewise; the end is not included (default: now).")
@click.option("--low", type=float, help="Low limit, instead of those of the configured alarms.")
@click.option("--high", type=float, help="High limit, likewise.")
@click.option(
    "--gap", metavar="DURATION", help="Longer than this without a sample is unknown (default: 3 x the usual)."
)
@click.option("--format", "form", type=click.Choice(FORMS), default="html", show_default=True)
@click.option("--timezone", help="Of the report's times, like Asia/Karachi (default: the device's).")
@click.option(
    "--unstamped", is_flag=True, help="Leave out when and by which version it was made: always the same bytes."
)
@click.option("-o", "--output", type=click.File("wb"), default="-", help="A file (default: standard output).")
def report_(
    config_path: Path,
    device: str,
    quantity: str,
    since: str | None,
    until: str | None,
    low: float | None,
    high: float | None,
    gap: str | None,
    form: str,
    timezone: str | None,
    unstamped: bool,
    output: IO[bytes],
) -> None:
    """Report on DEVICE over a period: excursions, gaps, alarms, calibration. Also while the daemon runs."""
    from gateway.equipment import forms
    from gateway.equipment.asked import Asked
    from gateway.equipment.make import make
    from gateway.reports import open_journal

    config = load(config_path)
    asked = Asked(device, quantity, since, until, low, high, timezone, gap)
    with open_journal(config) as db:
        report = make(db, config, asked)
    output.write(forms.FORMS[form].write(report, "" if unstamped else forms.made()))
