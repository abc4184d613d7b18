"""The terminal view. What the command needs is imported when it runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from gateway.command import load


@click.command()
@click.option("-c", "--config", "config_path", type=click.Path(path_type=Path), envvar="ASSAYGATE_CONFIG",
              help="Watch the daemon of this configuration file (also from ASSAYGATE_CONFIG).")  # fmt: skip
@click.option("--url", metavar="http://HOST:PORT", help="Or a daemon by its address.")
@click.option("--token-env", metavar="NAME", help="The environment variable with its token.")
@click.option("--by", default="", help="Your name, for what you acknowledge and shelve (else it is asked once).")
def watch(config_path: Path | None, url: str | None, token_env: str | None, by: str) -> None:
    """Watch a running daemon on a terminal: alarms, devices, results; acknowledge and shelve. `?` shows the keys."""
    try:
        import textual  # noqa: F401
    except ImportError:
        raise ValueError("watch needs another package: pip install 'assaygate[watch]'") from None
    from gateway.terminal.connection import configured, given
    from gateway.terminal.screen import Watch

    token = ""
    if token_env:
        token = os.environ.get(token_env, "")
        if not token or not token.isprintable():
            raise LookupError(f"the environment variable {token_env} holds no token")
    if url:
        if not url.startswith(("http://", "https://")):
            raise LookupError(f"--url {url}: is not an address. Write http://127.0.0.1:8470.")
        address = given(url, token)
    elif config_path:
        options = load(config_path).http
        if options.token and not token:
            token = options.token.resolve()
        address = configured(options, token)
    else:
        raise click.UsageError("say which daemon: -c FILE, or --url http://127.0.0.1:8470")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("watch needs a terminal. For programs there are /api/v1/live and /api/v1/stream.")
    Watch(address, by).run()
