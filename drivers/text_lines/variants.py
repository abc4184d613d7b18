"""What makers print, as data: patterns of lines, what is asked, and what their signs mean."""

from __future__ import annotations

from typing import Final

from drivers.kit.declare import Variant
from drivers.text_lines.balances import BALANCES
from drivers.text_lines.baths import BATHS
from drivers.text_lines.meters import METERS
from drivers.text_lines.strips import STRIPS

VARIANTS: Final[tuple[Variant, ...]] = (*BALANCES, *BATHS, *METERS, *STRIPS)
