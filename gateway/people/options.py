"""What the `[people]` table may say, and the file of people it names."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    ValidationError,
    field_validator,
    model_validator,
)

from drivers.kit.durations import Duration
from gateway.people.passwords import check
from gateway.people.roles import Role

MOST_PEOPLE: Final = 10_000
MOST_FILE: Final = 4 << 20  # bytes
# Printed as they are in lists, logs and the audit chain: no blanks, no markup, nothing invisible.
NAME: Final = r"^[^\W_][\w.@+-]{0,63}$"
TAKEN: Final = ("assaygate", "token", "loopback")  # who acts where nobody has signed in


def _free(name: str) -> str:
    if name.lower() in TAKEN:
        raise ValueError(f"{name!r} is not a person's name here")
    return name


Name = Annotated[str, Field(pattern=NAME, description="letters, digits, . @ + _ -"), AfterValidator(_free)]


class PeopleOptions(BaseModel):
    """Who may sign in. Without this table nobody is asked for more than the token of [http]."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path | None = Field(
        None, description="names, roles and passwords (argon2id): `assaygate people add` writes it"
    )
    proxy_header: str | None = Field(
        None,
        pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$",
        description="in which a reverse proxy names who has signed in there",
    )
    proxy: tuple[IPvAnyNetwork, ...] = Field(
        (), description="addresses of reverse proxies: only from there a name, or where a visitor is, is believed"
    )
    roles: dict[Name, Role] = Field({}, description="of people named by the proxy; who is not here is refused")
    hosts: tuple[str, ...] = Field((), description="names the page is opened under through a proxy on this machine")
    token_role: Role = Field(Role.VIEWER, description="what programs with the token of [http] may do")
    patients: Role = Field(Role.TECHNICIAN, description="the least role that sees patients")
    idle: Duration = Field(8 * 3600.0, ge=60, description="a session that does nothing for so long ends")
    longest: Duration = Field(7 * 86_400.0, ge=60, description="a session ends after so long in any case")

    @field_validator("hosts")
    @classmethod
    def _lower(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one.lower() for one in given)

    @model_validator(mode="after")
    def _one_way(self) -> PeopleOptions:
        if (self.file is None) == (self.proxy_header is None):
            raise ValueError('needs one way to sign in. Write file = "people.toml", or proxy_header and proxy.')
        if self.proxy_header and not (self.proxy and self.roles):
            raise ValueError(
                'proxy_header needs the addresses it is believed from, and roles. Write proxy = ["127.0.0.1"] and '
                'roles = { ada = "supervisor" }.'
            )
        if self.roles and not self.proxy_header:
            raise ValueError("roles are of people named by a proxy. Write them into the file of people.")
        return self


class Person(BaseModel):
    """One table of the file of people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Role
    password: str

    @field_validator("password")
    @classmethod
    def _hashed(cls, given: str) -> str:
        check(given)
        return given


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    people: dict[Name, Person] = Field(max_length=MOST_PEOPLE)


MARK: Final = "# Written by `assaygate people add`; roles may be changed by hand.\n"


def written(name: str, role: str, password: str) -> str:
    """One person's table. Errors: ValueError (a name that cannot be one)."""
    if not re.fullmatch(NAME, name):
        raise ValueError(f"{name!r} cannot be a name. Use up to 64 letters, digits, '.', '@', '+', '_' and '-'.")
    return f'[people."{_free(name)}"]\nrole = "{role}"\npassword = "{password}"\n'


def read_people(path: Path) -> Mapping[str, Person]:
    """The people of a file, by name. Errors: ValueError (why, with a remedy; never what a password is)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            if stat.S_IMODE(mode) & 0o077:
                raise ValueError(f"{path} can be read by others. Write: chmod 600 {path}")
            text = file.read(MOST_FILE).decode()
        return _File.model_validate(tomllib.loads(text)).people
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}. `assaygate people add NAME --role ROLE` makes one.") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise ValueError(f"{path} is not TOML. `assaygate people add` writes it.") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{path}: {where}: {first['msg']}. `assaygate people add` writes it.") from None
