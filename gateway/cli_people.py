"""The commands about people who sign in. What a command needs is imported when it runs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

ROLES = ("viewer", "technician", "supervisor", "administrator")  # those of gateway.people.roles


@click.group()
def people() -> None:
    """Who may sign in at the page, and as what."""


@people.command("add")
@click.argument("name")
@click.option("--role", required=True, type=click.Choice(ROLES))
@click.option(
    "--file", "path", type=click.Path(path_type=Path, dir_okay=False), help="Write it here (default: print it)."
)
def people_add(name: str, role: str, path: Path | None) -> None:
    """Add NAME, or give NAME another password and role: asked for twice, or read from standard input.

    A running daemon takes the file up by itself; sessions of a changed NAME end.
    """
    from gateway.people.files import put
    from gateway.people.options import MARK, read_people, written
    from gateway.people.passwords import hashed

    known = dict(read_people(path)) if path and path.exists() else {}
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    try:
        table = written(name, role, hashed(password))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if path is None:
        click.echo(table)
        return
    known.pop(name, None)
    tables = [written(one, person.role, person.password) for one, person in known.items()]
    put(path, "\n".join([MARK, *tables, table]).encode())
    click.echo(f"{path}: {name} is {role} now")
