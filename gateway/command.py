"""What every command shares: options, tables, and how errors are said."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
            from gateway.config_errors import ConfigError

            errors = list(_each(error))
            for one in errors:
                click.echo(str(one) or type(one).__name__, err=True)
            asked_wrongly = all(isinstance(one, ConfigError | LookupError) for one in errors)
            sys.exit(ASKED_WRONGLY if asked_wrongly else FOUND_A_PROBLEM)


def _each(error: Exception) -> Iterator[Exception]:
    """What went wrong, out of the groups tasks put it in."""
    if isinstance(error, ExceptionGroup):
        for one in error.exceptions:
            yield from _each(one)
    else:
        yield error


def load(path: Path) -> Config:
    """A configuration, checked. Errors: ConfigError."""
    from gateway import config

    return config.load(path)


def table(rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows in columns."""
    rows = list(rows)
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(len(rows[0]) if rows else 0)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def report(found: dict[str, Any], as_json: bool) -> None:
    """Print a mapping, a line an entry, or as JSON."""
    if as_json:
        click.echo(json.dumps(found))
        return
    for name, value in found.items():
        if isinstance(value, list):
            for one in value:
                click.echo(f"{name}: {one}")
        else:
            click.echo(f"{name}: {value}")
