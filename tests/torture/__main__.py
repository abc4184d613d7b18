"""The proof, on your own machine: `make torture`, or `python -m tests.torture [--only GLOB] [--scale N] [--unbroken]`;
`make torture HOURS=8` is a soak instead.

Brings every fault about under load and prints, row by row, what was sent, what was acknowledged, and what became of it;
then breaks the promise on purpose and shows that each row notices. Exit 1 where a row is red, or could not be.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.torture.row import Row, Tally, happen
from tests.torture.rows import ROWS
from tests.torture.soak import soak

HEADS = ("fault", "messages", "acknowledged", "stored", "lost", "doubled", "wrong")
WIDTHS = (46, 9, 13, 9, 6, 8, 6)


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    words.add_argument("--only", default="*", metavar="GLOB", help="rows by name, as in 'disk: *'")
    words.add_argument("--scale", type=int, default=1, metavar="N", help="N times as much of everything")
    words.add_argument("--unbroken", action="store_true", help="do not break the promise on purpose afterwards")
    words.add_argument("--hours", type=float, metavar="N", help="instead, a full laboratory for so long")
    words.add_argument("--holding", type=int, default=20_000_000, metavar="N", help="observations there before a soak")
    asked = words.parse_args()
    if asked.hours:
        with tempfile.TemporaryDirectory(prefix="assaygate-soak-") as folder:
            return soak(Path(folder), asked.hours, asked.holding)
    rows = [row for row in ROWS if fnmatch(row.name, asked.only)]
    if not rows:
        print("No row is called that. There are: " + "; ".join(row.name for row in ROWS), file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="assaygate-torture-") as folder:
        red = table(rows, Path(folder), asked.scale)
        blind = 0 if asked.unbroken else broken(rows, Path(folder))
    if red or blind:
        print(f"\n{red} rows red; {blind} broken promises not noticed", file=sys.stderr)
    return 1 if red or blind else 0


def table(rows: Sequence[Row], folder: Path, scale: int) -> int:
    """Run and print every row; how many are red."""
    began, red, total = time.monotonic(), 0, [0] * 6
    print(_line(HEADS))
    print("-" * sum(WIDTHS))
    for number, row in enumerate(rows):
        try:
            tally = happen(row, folder / str(number), scale=scale)
        except pytest.skip.Exception as missing:
            print(f"{row.name:<{WIDTHS[0]}}  cannot be tried here: {missing}", flush=True)
            continue
        figures = _figures(tally)
        total = [a + b for a, b in zip(total, figures, strict=True)]
        print(_line((row.name, *figures)), "" if tally.good else "RED", flush=True)
        for words in (*tally.broken, *([tally.failed] if tally.failed else ())):
            print(f"    {words}")
        red += not tally.good
    print("-" * sum(WIDTHS))
    print(_line((f"{len(rows)} faults in {(time.monotonic() - began) / 60:.1f} minutes", *total)))
    return red


def broken(rows: Sequence[Row], folder: Path) -> int:
    """Break the promise on purpose, row by row; how many times nothing was noticed."""
    print("\nThe promise broken on purpose")
    blind = 0
    for number, (row, mutation) in enumerate((one, mutation) for one in rows for mutation in one.mutations):
        try:
            tally = happen(row, folder / f"broken-{number}", mutation)
        except pytest.skip.Exception:
            continue
        noticed = tally.red and not tally.failed
        blind += not noticed
        why = "noticed" if noticed else f"NOT NOTICED {tally.failed}"
        print(f"{row.name:<46} {mutation:<32} {why}", flush=True)
    return blind


def _figures(tally: Tally) -> tuple[int, ...]:
    return tally.messages, tally.acknowledged, tally.stored, tally.lost, tally.doubled, tally.wrong


def _line(cells: Sequence[object]) -> str:
    first, *others = cells
    return f"{first!s:<{WIDTHS[0]}}" + "".join(f"{cell!s:>{w}}" for cell, w in zip(others, WIDTHS[1:], strict=True))


if __name__ == "__main__":
    sys.exit(main())
