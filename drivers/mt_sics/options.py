"""What a `[[devices]]` table may say about a balance."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from drivers.kit.declare import Options
from drivers.kit.durations import Duration


class MtSicsOptions(Options):
    """Without `poll` and `stream` the gateway only listens (the print key, a balance set to send by itself)."""

    poll: Duration | None = None
    """How often the weight is asked for: "1s". One question at a time."""
    command: Literal["SI", "S"] = "SI"
    """What is asked: "SI" the weight now, "S" the next stable weight."""
    stream: Literal["SIR", "SNR"] | None = None
    """Let the balance send by itself: "SIR" continuously, "SNR" each new stable weight. Takes the place of `poll`."""
    identify: bool = True
    """Ask once, on connecting, for model, software and serial number. A balance that is only listened to is not."""
    timeout: Duration | None = None
    """How long an answer may take before the question is asked again; by default 3 s, and 60 s for "S"."""
    unit: str | None = Field(None, min_length=1)
    """The unit of a weight that is sent without one."""
    width: int = Field(10, ge=0, le=40)
    """Characters a padded weight is right-aligned in; a weight that stands elsewhere has lost some. 0: not checked."""
