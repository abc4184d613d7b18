"""What a simulated instrument exports: a digital PCR table, which is enough to meet allotropy's reader."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any, Final

from drivers.allotropy.options import AllotropyOptions
from drivers.kit.declare import Quantity
from drivers.kit.observation import Kind

SIMULATED: Final = "QIACUITY_DPCR"
TARGETS: Final = ("N1", "RPP30")
HEAD: Final = (
    *("", "Sample/NTC/Control", "Type", "Plate ID", "Reaction Mix", "Target", "IC", "Control type"),
    *("Concentration (copies/µL)", "CI (95%)", "Partitions (valid)", "Partitions (positive)"),
    *("Partitions (negative)", "Threshold"),
)


def observes(_options: AllotropyOptions) -> tuple[Quantity, ...]:
    """What the simulated instrument measures. What a real one does is in its files."""
    return tuple(
        Quantity(name="concentration", kind=Kind.RESULT, field=target, low=0.1, high=9000.0, step=0.1)
        for target in TARGETS
    )


def encode(drawn: Mapping[str, Any], options: AllotropyOptions) -> bytes:
    """One plate's export. Errors: ValueError for vendors that are not simulated."""
    if options.vendor != SIMULATED:
        raise ValueError(f"only {SIMULATED} is simulated")
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(["sep=,"])
    writer.writerow(HEAD)
    role = "Control" if drawn.get("kind") == "qc" else "Sample"
    moment = drawn["time"]
    for number, result in enumerate(drawn.get("results", ()), 1):
        sample = (f"A{number}", drawn.get("specimen"), role, f"{moment:%Y%m%d%H%M%S}", "mix")
        writer.writerow([*sample, result["test"], "-", "-", result["value"], "5.0%", 25000, 1000, 24000, 50.0])
    return written.getvalue().encode("utf-8")
