"""Analysers and readers: specimens one after the other, with controls and failures between them."""

from __future__ import annotations

import math
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from simulators.models.world import Drawn, Specimens

ASSAYS: Final = MappingProxyType(
    # test: (unit, median, spread of the logarithm, digits, upper limit)
    {
        "CRP": ("mg/L", 4.0, 1.1, 1, 5.0),
        "GLU": ("mmol/L", 5.4, 0.25, 2, 6.1),
        "CREA": ("umol/L", 75.0, 0.3, 0, 104.0),
        "PCT": ("ng/mL", 0.08, 1.2, 2, 0.5),
    }
)


class Chemistry(Specimens):
    """A chemistry analyser: a panel a specimen, a control run every twentieth time."""

    def draw(self, now: datetime) -> Drawn:
        control = self.count % 20 == 19
        specimen = self.specimen("QC" if control else "S")
        results = []
        for test, (unit, median, spread, digits, limit) in ASSAYS.items():
            value = round(median * math.exp(self.rng.gauss(0, 0.03 if control else spread)), digits)
            flags = ["H"] if value > limit and not control else []
            results.append({"test": f"^^^{test}", "quantity": test.lower(), "value": f"{value:.{digits}f}",
                            "unit": unit, "flags": flags})  # fmt: skip
        return {
            "time": now,
            "kind": "qc" if control else "result",
            "specimen": specimen,
            "patient": None if control else f"P{self.rng.randrange(10**6):06d}",
            "operator": self.rng.choice(("op1", "op2", "op7")),
            "results": results,
        }


class GeneXpert(Specimens):
    """Cartridges for HIV viral load and SARS-CoV-2; some fail."""

    HIV: Final = "^^^HIV-1_VL^2^Xpert_HIV-1 Viral Load^2^^"
    COV: Final = "^^^SARS-CoV-2^2^Xpert Xpress SARS-CoV-2^1^^"

    def draw(self, now: datetime) -> Drawn:
        specimen = self.specimen("X")
        chance = self.rng.random()
        result: dict[str, Any]
        if chance < 0.05:
            result = {"test": self.COV, "interpretation": "invalid", "value": None, "error_code": "5017"}
        elif chance < 0.5:
            call = "detected" if self.rng.random() < 0.3 else "not-detected"
            result = {"test": self.COV, "interpretation": call, "value": None}
        elif chance < 0.75:
            result = {"test": self.HIV, "interpretation": "not-detected", "value": None}
        else:
            copies = f"{10 ** self.rng.uniform(1.7, 6):.2f}"
            result = {"test": self.HIV, "interpretation": "detected", "value": copies, "unit": "copies/mL"}
        return {
            "time": now,
            "specimen": specimen,
            "operator": "op3",
            "lot": "1113243530",
            "lot_expiry": "20270825",
            "run": str(630000 + self.count),
            "results": [result],
        }


class Cassettes(Specimens):
    """A rapid-test reader: a cassette a draw, some positive, some without a control line."""

    def draw(self, now: datetime) -> Drawn:
        control = self.rng.gauss(900, 90)
        positive = self.rng.random() < 0.25
        line = self.rng.gauss(420, 140) if positive else abs(self.rng.gauss(8, 5))
        if self.rng.random() < 0.06:
            control, line = abs(self.rng.gauss(20, 10)), 0.0
        valid = control >= 200
        result = {
            "test": "SARS-CoV-2 Ag",
            "quantity": "sars-cov-2-ag",
            "interpretation": ("positive" if line > 40 else "negative") if valid else "invalid",
            "control_line": round(control),
            "test_line": max(0, round(line)),
            "ratio": round(max(0.0, line) / max(control, 1), 3),
        }
        return {
            "time": now,
            "specimen": self.specimen("C"),
            "patient": f"P{self.rng.randrange(10**6):06d}",
            "operator": "op5",
            "lot": "LF2611A",
            "lot_expiry": "2027-11",
            "run": str(self.count),
            "results": [result],
        }
