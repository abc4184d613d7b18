"""Is this machine's clock kept right, as far as it can know?"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import time
from typing import Final

from gateway.finding import Check, good, problem, unknown, warning

UNSYNC: Final = 0x40  # STA_UNSYNC of adjtimex(2)
_NAME: Final = "clock"
_REMEDY: Final = "Set up a time service: apt-get install chrony (or timedatectl set-ntp true)."


class _Timex(ctypes.Structure):
    """The first fields of the kernel's struct timex, and room for the others (adjtimex(2))."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # microseconds
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 512),
    )


def synchronised() -> Check:
    """By the kernel, which time services tell; chrony without `rtcsync` does not, so it is asked itself."""
    year = time.gmtime().tm_year
    if year < 2025:
        return problem(_NAME, f"it is {year} here", "Set the clock (chrony, systemd-timesyncd) before starting.")
    told = _kernel()
    if isinstance(told, int):
        return good(_NAME, f"synchronised, at most {told / 1e6:.3g} s off")
    if (says := _chrony()) is not None:
        return good(_NAME, "synchronised by chrony") if says else warning(_NAME, "chrony has no time yet", _REMEDY)
    if told is None:
        return warning(_NAME, "set, but no time service keeps it right (or it does not tell the kernel)", _REMEDY)
    return unknown(_NAME, told, "Look yourself: timedatectl, or chronyc tracking.")


def _kernel() -> int | str | None:
    """Microseconds it may be off; None: not synchronised; a text: why it cannot be told."""
    asked = _Timex(modes=0)
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(asked))
    except (OSError, AttributeError):
        return "this system has no adjtimex"
    if answer < 0:
        return f"adjtimex: {os.strerror(ctypes.get_errno())}"
    return None if asked.status & UNSYNC else int(asked.maxerror)


def _chrony() -> bool | None:
    """None: it is not there, or does not answer."""
    program = shutil.which("chronyc", path=f"{os.environ.get('PATH', '')}:/usr/bin:/usr/sbin")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            [program, "-n", "tracking"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"^Leap status\s*: (.+)$", done.stdout, re.MULTILINE)
    return found[1] != "Not synchronised" if done.returncode == 0 and found else None
