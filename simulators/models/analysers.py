"""Analysers and readers: specimens one after the other, with controls and failures between them."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta
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
    """A chemistry analyser: a panel a specimen, a control every twentieth time.

    Its reagents have a lot. A lot that drifts reads higher with every draw, patients and controls alike, until a new
    lot is opened; `qc-shift` moves the controls alone (an old control material) until `qc-good`.
    """

    EVENTS: Final = ("lot-drift", "new-lot", "qc-shift", "qc-good", "control")
    DRIFT: Final = 0.004  # of the value, a draw
    SHIFT: Final = 0.12  # of a control's value: four of its standard deviations
    SPREAD: Final = 0.03  # of a control, in parts of its value

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._lot, self._bias, self._drifts, self._shift, self._asked = 1, 0.0, False, 0.0, False

    def happen(self, event: str) -> None:
        match event:
            case "lot-drift":
                self._drifts = True
            case "new-lot":
                self._lot, self._bias, self._drifts = self._lot + 1, 0.0, False
            case "qc-shift" | "qc-good":
                self._shift = self.SHIFT if event == "qc-shift" else 0.0
            case "control":
                self._asked = True
            case _:
                super().happen(event)

    def draw(self, now: datetime) -> Drawn:
        control = self.count % 20 == 19 or self._asked
        self._asked = False
        specimen = self.specimen("QC" if control else "S")
        self._bias += self.DRIFT if self._drifts else 0.0
        factor = 1 + self._bias + (self._shift if control else 0.0)
        results = []
        for test, (unit, median, spread, digits, limit) in ASSAYS.items():
            value = round(factor * median * math.exp(self.rng.gauss(0, self.SPREAD if control else spread)), digits)
            flags = ["H"] if value > limit and not control else []
            results.append({"test": f"^^^{test}", "quantity": test.lower(), "value": f"{value:.{digits}f}",
                            "unit": unit, "flags": flags})  # fmt: skip
        return {
            "time": now,
            "kind": "qc" if control else "result",
            "specimen": specimen,
            "patient": None if control else f"P{self.rng.randrange(10**6):06d}",
            "operator": self.rng.choice(("op1", "op2", "op7")),
            "lot": f"R{2600 + self._lot}",
            "results": results,
        }


class Outbreak:
    """How likely a patient is positive: `usual`, and during an outbreak more by the day, up to most of them."""

    DOUBLED: Final = timedelta(days=1.5)  # in how long the odds double
    EVENTS: Final = ("outbreak", "outbreak-over")

    def __init__(self, usual: float) -> None:
        self._usual = usual
        self._announced = False
        self._began: datetime | None = None

    def happen(self, event: str) -> bool:
        """Whether it was one of its events."""
        if event not in self.EVENTS:
            return False
        self._announced, self._began = event == "outbreak", None
        return True

    def share(self, now: datetime) -> float:
        """Of positives, by now."""
        if not self._announced:
            return self._usual
        self._began = self._began or now
        odds = self._usual / (1 - self._usual) * 2 ** ((now - self._began) / self.DOUBLED)
        return odds / (1 + odds)


class GeneXpert(Specimens):
    """Cartridges for HIV viral load and SARS-CoV-2; some fail. An outbreak makes more of the latter positive."""

    HIV: Final = "^^^HIV-1_VL^2^Xpert_HIV-1 Viral Load^2^^"
    COV: Final = "^^^SARS-CoV-2^2^Xpert Xpress SARS-CoV-2^1^^"
    EVENTS: Final = Outbreak.EVENTS

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._outbreak = Outbreak(0.3)

    def happen(self, event: str) -> None:
        if not self._outbreak.happen(event):
            super().happen(event)

    def draw(self, now: datetime) -> Drawn:
        specimen = self.specimen("X")
        chance = self.rng.random()
        result: dict[str, Any]
        if chance < 0.05:
            result = {"test": self.COV, "interpretation": "invalid", "value": None, "error_code": "5017"}
        elif chance < 0.5:
            call = "detected" if self.rng.random() < self._outbreak.share(now) else "not-detected"
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
    """A rapid-test reader: a cassette a draw, some positive, some without a control line. A lot that went bad (too
    warm, too old) loses its control lines."""

    EVENTS: Final = (*Outbreak.EVENTS, "bad-lot", "new-lot")

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._outbreak = Outbreak(0.25)
        self._failing, self._lot = 0.06, "LF2611A"

    def happen(self, event: str) -> None:
        match event:
            case "bad-lot":
                self._failing = 0.5
            case "new-lot":
                self._failing, self._lot = 0.06, "LF2612B"
            case _ if not self._outbreak.happen(event):
                super().happen(event)

    def draw(self, now: datetime) -> Drawn:
        control = self.rng.gauss(900, 90)
        positive = self.rng.random() < self._outbreak.share(now)
        line = self.rng.gauss(420, 140) if positive else abs(self.rng.gauss(8, 5))
        if self.rng.random() < self._failing:
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
            "lot": self._lot,
            "lot_expiry": "2027-11",
            "run": str(self.count),
            "results": [result],
        }
