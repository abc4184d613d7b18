"""What a `[[devices]]` table may say about a centrifuge."""

from __future__ import annotations

from pydantic import Field

from drivers.kit.declare import Options
from drivers.kit.durations import Duration


class HettichOptions(Options):
    """The centrifuge is asked, never told anything."""

    poll: Duration = Field(10.0, description="how often each value is asked for")
    address: str = Field(
        "]", pattern=r"^[A-Z\[\\\]]$", description="the centrifuge's address on its bus, ] as delivered"
    )
    timeout: Duration = Field(0.4, ge=0.2, description="how long an answer may take (the maker says 150 ms at most)")
