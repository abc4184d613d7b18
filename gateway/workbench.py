"""What an engineer who writes a driver asks: does it do what every driver must?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import drivers
from drivers.kit import manual, recording
from gateway import scaffold
from gateway.units import is_ucum

if TYPE_CHECKING:
    from drivers.kit.declare import Driver
    from simulators.conformance import Finding

HEAD = """# Supported instruments

Made from the drivers' declarations by `assaygate drivers --table`: {drivers} drivers, {ways} ways to use them. Evidence
says what a claim rests on: `manual` a public document; `recording` published traffic of a real instrument, which it
decodes; `hardware` the instrument itself. A model that is not named may well speak one of these.

"""
Echo = Callable[[str], None]


def known(name: str) -> Driver:
    """The driver called `name`, or the one in a folder of that path. Errors: LookupError."""
    if "/" in name or "." in name:
        return scaffold.at(Path(name))
    try:
        return drivers.load(name)
    except KeyError:
        raise LookupError(f"no driver is called {name!r}. Known are: {', '.join(drivers.names())}.") from None


def instruments() -> str:
    """The page of supported instruments, `docs/instruments.md`."""
    every = [(drivers.load(name), len(recording.cases(drivers.folder(name)))) for name in drivers.built_in()]
    ways = sum(1 + len(driver.variants) for driver, _ in every)
    return HEAD.format(drivers=len(every), ways=ways) + manual.instruments(every)


def new(name: str, recorded: Path, into: Path, echo: Echo) -> None:
    """The `drivers --new` command. Errors: LookupError, OSError, RecordingError."""
    folder, told = scaffold.write(name, recorded, into)
    for line in told:
        echo(line)
    if folder is None:
        return
    echo("")
    echo(f"Wrote {folder}: driver.py, and the recording as its first case.")
    echo(f"Next: correct names, units and kinds in {folder / 'driver.py'};")
    echo(f"      assaygate drivers --expect {folder}/   # after you have looked: what it reads is what it must read")
    echo(f"      assaygate drivers --check {folder}/")
    echo(f"      pip install -e {into}                  # then it has the name {name}")


def check(name: str, variant: str | None, seed: int, echo: Echo | None) -> tuple[dict[str, Any], bool]:
    """The kit's findings on a driver and its variants (or the one named), and whether all but the last tier hold.

    Errors: LookupError.
    """
    from simulators.conformance import Tier, check, earned

    driver = known(name)
    folder = Path(name) if "/" in name or "." in name else drivers.folder(name)
    ways = [variant] if variant else ["", *(one.name for one in driver.variants)]
    report: dict[str, Any] = {"driver": name, "seed": seed, "ways": []}
    good = True
    for way in ways:
        options = driver.trial(way)
        found = check(driver, options, seed, variant=way, folder=folder, unit_known=is_ucum)
        tier = earned(found)
        good = good and tier >= Tier.GOLD
        findings = [{"name": f.name, "ok": f.ok, "detail": f.detail, "tier": f.tier.name.lower()} for f in found]
        report["ways"].append({"variant": way, "tier": tier.name.lower(), "findings": findings})
        if echo:
            _tell(name, way, seed, found, tier.name.lower(), echo, whole=way == ways[0])
    return report, good


def _tell(name: str, variant: str, seed: int, found: Sequence[Finding], tier: str, echo: Echo, *, whole: bool) -> None:
    title = f"{name} {variant}".rstrip()
    echo(f"{title}: {tier}")
    for one in found:
        if whole or not one.ok:
            mark = "pass" if one.ok else "----" if one.tier.name == "PLATINUM" else "FAIL"
            echo(f"  {mark}  {one.tier.name.lower():<9} {one.name}" + (f": {one.detail}" if one.detail else ""))
    if any(not one.ok and one.tier.name != "PLATINUM" for one in found):
        chosen = f" --variant {variant}" if variant else ""
        echo(f"  Again: assaygate drivers --check {name}{chosen} --seed {seed}")
