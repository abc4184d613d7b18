"""Passwords, hashed with Argon2id (RFC 9106)."""

from __future__ import annotations

import secrets
import unicodedata
from typing import Final

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

LEAST: Final = 12  # characters of a new password
MOST: Final = 1024  # bytes of any
MOST_MEMORY: Final = 1 << 20  # KiB a hash may ask for
MOST_TIME: Final = 100  # passes
_HASHER: Final = PasswordHasher()  # RFC 9106 section 4, the second recommended option: 3 passes over 64 MiB


def hashed(password: str) -> str:
    """A password as it is kept. Errors: ValueError (too short, too long)."""
    if len(password) < LEAST:
        raise ValueError(f"the password is too short. Take at least {LEAST} characters.")
    if len(_bytes(password)) > MOST:
        raise ValueError(f"the password is too long. Take at most {MOST} bytes.")
    return _HASHER.hash(_bytes(password))


def decoy(like: str | None) -> str:
    """A hash nobody has the password of, as costly to try as another: an unknown name takes as long as a known one."""
    hasher = PasswordHasher.from_parameters(extract_parameters(like)) if like else _HASHER
    return hasher.hash(secrets.token_bytes(16))


def fits(kept: str, password: str) -> bool:
    """Whether it is the password. Takes tens of milliseconds of a processor and the memory the hash asks for."""
    given = _bytes(password)
    try:
        return len(given) <= MOST and _HASHER.verify(kept, given)
    except (VerificationError, InvalidHashError):
        return False


def check(kept: str) -> None:
    """Errors: ValueError (not a hash of Argon2id, or one that would cost too much)."""
    try:
        cost = extract_parameters(kept)
    except InvalidHashError:
        raise ValueError("not an argon2id hash") from None
    if (
        cost.type is not Type.ID
        or cost.memory_cost > MOST_MEMORY
        or cost.time_cost > MOST_TIME
        or cost.parallelism > 64
    ):
        raise ValueError("not an argon2id hash of a bearable cost")


def _bytes(password: str) -> bytes:
    """As typed on any keyboard: composed or not, it is the same password."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace")
