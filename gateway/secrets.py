"""Secrets: a configuration says where one is, never what it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

REMEDY = 'Write { env = "NAME" }, { file = "/path" } or { credential = "name" }.'


class SecretRef(BaseModel):
    """Where a secret is found, resolved when it is needed and never printed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    env: str | None = None  # an environment variable
    file: Path | None = None  # a file's content without its last line end
    credential: str | None = None  # a systemd credential

    @model_validator(mode="before")
    @classmethod
    def _not_plain(cls, given: Any) -> Any:
        if isinstance(given, str):
            raise ValueError(f"a secret must not stand in this file. {REMEDY}")
        return given

    @model_validator(mode="after")
    def _one_place(self) -> SecretRef:
        if sum(place is not None for place in (self.env, self.file, self.credential)) != 1:
            raise ValueError(f"needs exactly one place. {REMEDY}")
        return self

    def resolve(self) -> str:
        """The secret. Errors: ValueError, which names the place and not the content."""
        if self.env is not None:
            value = os.environ.get(self.env)
            if value is None:
                raise ValueError(f"the environment variable {self.env} is not set")
            return value
        path = self.file
        if path is None:
            folder = os.environ.get("CREDENTIALS_DIRECTORY")
            if not folder:
                raise ValueError(f"credential {self.credential}: not started by systemd with LoadCredential=")
            path = Path(folder) / str(self.credential)
        try:
            return path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the secret's file {path} cannot be read: {type(error).__name__}") from None


def missing(part: BaseModel, place: str = "") -> Iterator[str]:
    """`PLACE: why. Remedy.` of every secret in (a part of) a configuration that cannot be had now."""
    for name, value in part:
        for item in value if isinstance(value, tuple) else (value,):
            where = ".".join(filter(None, (place, name, getattr(item, "id", ""))))
            if isinstance(item, SecretRef):
                try:
                    item.resolve()
                except ValueError as error:
                    yield f"{where}: {error}. Put the secret there, or correct its place."
            elif isinstance(item, BaseModel):
                yield from missing(item, where)
