"""Checksums instruments put on what they send."""

from __future__ import annotations


def sum8(data: bytes) -> int:
    """The sum of all bytes modulo 256: over raw bytes, before any decoding (LIS01-A2 6.3.3)."""
    return sum(data) & 0xFF
