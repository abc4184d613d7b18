"""The commands about telling people. What a command needs is imported when it runs."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import click

from gateway.command import FOUND_A_PROBLEM, config_option, load


@click.group()
def notify() -> None:
    """Tell people: try whether a notifier reaches them."""


@notify.command("test")
@click.argument("notifier")
@config_option
def notify_test(notifier: str, config_path: Path) -> None:
    """Send one message, marked as a test, through NOTIFIER; exit 1 and why when it does not go."""
    from gateway.notify.delivery import test_message
    from gateway.notify.ways import send

    config = load(config_path)
    chosen = next((one for one in config.notifiers if one.id == notifier), None)
    if chosen is None:
        known = ", ".join(one.id for one in config.notifiers) or "none"
        raise LookupError(f"no notifier is called {notifier!r}. Known are: {known}.")
    why = asyncio.run(send(chosen, config, test_message("`assaygate notify test`"), time.time()))
    if why:
        click.echo(f"{notifier}: not sent: {why}", err=True)
        sys.exit(FOUND_A_PROBLEM)
    click.echo(f"{notifier}: sent. Look whether it has arrived.")
