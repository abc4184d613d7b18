"""Names of tests and quantities: an instrument's own, and what is made of them. Pure."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache


@lru_cache(maxsize=4096)
def trimmed(name: str) -> str:
    """A test's name without the delimiters around it: "^^^SARS" and "SARS" are one."""
    return name.strip("^ \t")


@lru_cache(maxsize=4096)
def local_codes(name: str) -> tuple[str, ...]:
    """The maker's code and name in a universal test ID (LIS02-A2 5.6.1), components 4 and 5: "^^^CRP^1^^" is CRP."""
    parts = name.split("^")
    return tuple(part.strip() for part in parts[3:5]) if len(parts) > 3 else ()


@lru_cache(maxsize=4096)
def slug(name: str) -> str:
    """A quantity's name from an instrument's: its most telling part, lower-case-with-hyphens.

    LYM# and LYM% are two: lym-count and lym-percent.
    """
    parts = [part for part in re.split(r"[\\^@]", name.strip()) if part.strip()]
    first = next((part for part in parts if re.search(r"[A-Za-z]", part)), parts[0] if parts else "")
    first = first.replace("#", " count").replace("%", " percent") if re.search(r"[A-Za-z]", first) else first
    ascii_ = unicodedata.normalize("NFKD", first).encode("ascii", "ignore").decode()
    made = re.sub(r"[^a-z0-9]+", "-", ascii_.lower()).strip("-")[:60].rstrip("-")
    return made or f"test-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
