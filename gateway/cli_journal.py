"""The commands that look after the journal: verify, backup, restore, salvage."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.command import FOUND_A_PROBLEM, config_option, json_option, load, report

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
