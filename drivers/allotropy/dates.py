"""Times as allotropy reads them, and what to think of those that could be two."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

NEVER: Final = "+23:47"  # the zone allotropy is given for times without one: no place on earth has it


class Dates:
    """Which of the file's dates could be two days: allotropy reads 03/04/2026 month first.

    `texts` are the file's, or its cells.
    """

    SLASHED: Final = re.compile(r"(?<!\d)(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?!\d)")

    def __init__(self, texts: Sequence[str], order: str | None) -> None:
        self._order = order
        self._twofold: set[str] = set()
        for text in texts:
            for match in self.SLASHED.finditer(text):
                month, day = int(match[1]), int(match[3])
                year = match[4] if len(match[4]) == 4 else f"20{match[4]}"
                if month != day and 1 <= month <= 12 and 1 <= day <= 12:
                    self._twofold.add(f"{year}-{month:02d}-{day:02d}")

    def read(self, text: str | None) -> tuple[str | None, str | None]:
        """A time as allotropy gives it as one to send on, and a doubt about it."""
        if text is None or text.startswith("1970-01-01T00:00:00"):
            return None, None
        date = text[:10]
        if date in self._twofold and self._order != "mdy":
            if self._order is None:
                return None, f"{date} may be two days: declare date_order"
            text = f"{date[:4]}-{date[8:10]}-{date[5:7]}{text[10:]}"
        if text.endswith(NEVER):
            text = text.removesuffix(NEVER)
            text = text.removesuffix("T00:00:00")  # a date alone
        return text, None
