"""The first two stages of a simulated instrument: a model that is drawn from, and its driver's messages.

What is said is noted in a ledger: meant, sent, acknowledged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

import drivers
from drivers.kit.declare import Driver, Identity
from simulators import ledger as ledgers
from simulators.faults import DAY, DRIFT, JUMP, Faults
from simulators.models import Clock, Model, model
from simulators.plan import Plan
from simulators.probe import carried, plugged

RUN = 20  # messages an instrument sends again when it sends a run again
RESENT = 10_000  # messages that may wait to be sent again
OWN_EVENTS = ("resend-run",)


def settled(driver: Driver, plan: Plan) -> Any:
    """The options of the instrument: the plan's over the driver's defaults, as a configuration has them; over the
    example's where the defaults alone do not make an instrument. With its link and what its variant presets of the
    device, as drivers see them. Errors: LookupError, pydantic's ValidationError."""
    variant = driver.preset(plan.variant) if plan.variant else None
    return plugged(_options(driver, plan, variant.options if variant else {}), plan.link, variant)


def _options(driver: Driver, plan: Plan, preset: Mapping[str, Any]) -> Any:
    if plan.example:
        return driver.trial(plan.variant, plan.options)
    try:
        options = driver.options.model_validate({**preset, **plan.options})
    except ValidationError:
        return driver.trial(plan.variant, plan.options)
    if driver.model or plan.model or driver.observed(options):
        return options
    return driver.trial(plan.variant, plan.options)


class Source:
    """What an instrument has to say. Errors: LookupError for what there is not, ValueError for wrong options."""

    def __init__(self, plan: Plan, start: datetime) -> None:
        self.plan = plan
        try:
            self.driver: Driver = drivers.load(plan.driver)
        except KeyError:
            known = ", ".join(drivers.names())
            raise LookupError(f"no driver is called {plan.driver!r}. Known are: {known}.") from None
        self.options = settled(self.driver, plan)
        self.model: Model = model(plan.model or self.driver.model, plan.seed, self.driver.observed(self.options))
        self.faults = Faults(plan.faults, plan.seed)
        self.sent = self.acknowledged = 0
        self.speed = plan.speed
        self._clock = Clock(start, plan.speed)
        self._off = timedelta()  # what the instrument's clock is ahead
        self._carried = carried(self.driver, self.options, plan.model)
        self.identified = self.driver.identity(self.options) is Identity.CONTENT
        self._unsettled: deque[tuple[int | None, bytes]] = deque()  # offered, not delivered; None: was sent before
        self._recent: deque[bytes] = deque(maxlen=RUN)
        self._again: deque[tuple[float, bytes]] = deque(maxlen=RESENT)  # when, what
        self._ledger: ledgers.Ledger | None = None

    def begin(self, *, confirmed: bool) -> None:
        """Open the ledger. `confirmed`: somebody acknowledges. Errors: OSError."""
        plan = self.plan
        header = {"driver": plan.driver, "device": plan.device, "seed": plan.seed, "confirmed": confirmed}
        self._ledger = ledgers.Ledger(plan.ledger, header)
        self._confirmed = confirmed

    def end(self) -> None:
        """Close the ledger."""
        if self._ledger:
            self._ledger.close()

    def happen(self, event: str) -> None:
        """An event of a scenario: the instrument's own, or its model's. ValueError where neither knows it."""
        if event == "resend-run":
            self._again.extend((0.0, message) for message in self._recent)
        else:
            self.model.happen(event)

    def draw(self, elapsed: float) -> bytes:
        """The next message, `elapsed` seconds after the start."""
        if self.faults.happens("clock-jump"):
            self._off += timedelta(seconds=JUMP)
        if self.faults.happens("clock-drift"):
            self._off += timedelta(seconds=DRIFT)
        drawn = self.model.draw(self._clock.at(elapsed))
        if drawn.get("kind") == "qc" and not self._carried.controls:
            drawn = self.model.draw(self._clock.at(elapsed))  # it could not say so, and would be taken for a patient's
        drawn = {**drawn, "time": drawn["time"] + self._off}  # the world does not mind what the clock says
        message = self.driver.encode(drawn, self.options)
        self.sent += 1
        if self._ledger:
            self._ledger.meant(self.sent, ledgers.meant(drawn, self._carried))
            self._ledger.sent(self.sent)
        self._unsettled.append((self.sent, message))
        self._recent.append(message)
        if self.faults.happens("resend-next-day"):
            self._again.append((elapsed + DAY / self.speed, message))
        return message

    @property
    def again_at(self) -> float | None:
        """When a message is to be sent again, in seconds after the start."""
        return min((at for at, _ in self._again), default=None)

    def resend(self, elapsed: float) -> list[bytes]:
        """The messages whose time to be sent again has come."""
        due = [message for at, message in self._again if at <= elapsed]
        if due:
            self._again = deque((one for one in self._again if one[0] > elapsed), RESENT)
            self._unsettled.extend((None, message) for message in due)
        return due

    @property
    def waiting(self) -> int:
        """Messages offered and not delivered."""
        return len(self._unsettled)

    @property
    def unsettled(self) -> list[bytes]:
        """Those messages."""
        return [message for _, message in self._unsettled]

    def give_up(self) -> None:
        """They are not tried again."""
        self._unsettled.clear()

    def delivered(self) -> None:
        """One message more has been delivered."""
        number, _ = self._unsettled.popleft()
        if number is None:
            return
        self.acknowledged += 1
        if self._ledger and self._confirmed:
            self._ledger.acknowledged(number)
