"""Checksums instruments put on what they send."""

from __future__ import annotations

from typing import Final


def sum8(data: bytes) -> int:
    """The sum of all bytes modulo 256: over raw bytes, before any decoding (LIS01-A2 6.3.3)."""
    return sum(data) & 0xFF


def _crc16_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC16: Final = _crc16_table()


def crc16_modbus(data: bytes) -> int:
    """CRC-16/MODBUS: polynomial 8005 reflected, initial FFFF. On the wire its low byte comes first (Modbus over
    serial line V1.02, 2.5.1.2)."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC16[(crc ^ byte) & 0xFF]
    return crc


def lrc8(data: bytes) -> int:
    """The two's complement of the sum of all bytes modulo 256 (Modbus over serial line V1.02, 2.5.2.2)."""
    return -sum(data) & 0xFF
