"""Promises broken on purpose, one by one: what a row of the table must notice.

A mutation is named `MODULE.FUNCTION` and changes the daemon's code in the daemon's own process before it starts.
"""

from __future__ import annotations

from importlib import import_module


def break_it(mutation: str) -> None:
    """Do what a mutation's name says; "": nothing. Errors: ImportError, AttributeError (no such name)."""
    if mutation:
        module, _, function = mutation.partition(".")
        getattr(import_module(f"{__name__}.{module}"), function)()
