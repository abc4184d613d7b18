"""Fuzzing led by coverage: `make fuzz SECONDS=60`, or `python -m tests.fuzz [--seconds N] [TARGET ...]`.

Each target gets so many seconds in a process of its own, bounded in memory, and in time an input. Inputs worth keeping
stand in .fuzz/corpus and are taken up again; what broke something stands in .fuzz/found. Exit 1 where anything does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

PLACE: Final = Path(".fuzz")
LONGEST: Final = 16_384  # bytes of an input
ROOM: Final = 1500  # MB a target's process may hold
PATIENCE: Final = 30  # seconds an input may take
INSIDE: Final = "ASSAYGATE_FUZZ"  # set in a target's own process
TOTAL: Final = 300  # seconds for all targets, where nothing else is said


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    words.add_argument("targets", nargs="*", metavar="TARGET", help="drivers or readers by name; none: all")
    words.add_argument("--seconds", type=int, metavar="N", help="for each target; else five minutes for all")
    asked = words.parse_args()
    from tests.fuzz.targets import seeds, targets

    known = targets()
    if unknown := [name for name in asked.targets if name not in known]:
        words.error(f"no target is called {', '.join(unknown)}. There are: {', '.join(known)}.")
    chosen = asked.targets or list(known)
    seconds = asked.seconds or max(5, TOTAL // len(chosen))
    broken = [name for name in chosen if not searched(name, seeds(name), seconds)]
    print(f"\n{len(chosen)} targets, {len(broken)} broken{': ' if broken else ''}{', '.join(broken)}")
    return 1 if broken else 0


def searched(name: str, begin: list[bytes], seconds: int) -> bool:
    """Search one target and print a line; whether nothing was found."""
    corpus, found = PLACE / "corpus" / name, PLACE / "found" / name
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(begin):
        (corpus / f"seed-{number}").write_bytes(seed[:LONGEST])
    bounds = (f"-max_len={LONGEST}", f"-rss_limit_mb={ROOM}", f"-timeout={PATIENCE}", f"-max_total_time={seconds}")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.fuzz",
            *bounds,
            "-print_final_stats=1",
            f"-artifact_prefix={found}/",
            str(corpus),
        ],
        env={**os.environ, INSIDE: name},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    said = done.stderr + done.stdout
    tried = next((line.split()[-1] for line in said.splitlines() if "number_of_executed_units" in line), "?")
    print(f"{name:<20} {tried:>10} inputs  {'sound' if done.returncode == 0 else 'BROKEN'}", flush=True)
    if done.returncode:
        print(said[-6000:])
    return done.returncode == 0


def search(name: str) -> None:
    """Never returns: libFuzzer ends the process."""
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=["drivers"], enable_loader_override=False):
        from tests.fuzz.targets import targets  # imported before, drivers would not be seen from inside

        target = targets()[name]
        target(b"\0\0\0")  # imports what is imported when used
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    if INSIDE in os.environ:
        search(os.environ[INSIDE])
    sys.exit(main())
