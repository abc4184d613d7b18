"""What comes in a request, checked, and how it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from gateway.people.roles import Who
from gateway.reports import moment

MOST_BODY: Final = 65_536
MOST_GLOB: Final = 200
MOST_STARS: Final = 4  # each multiplies what a pattern may cost
Asked = TypeVar("Asked", bound=BaseModel)
Handler = Callable[[Request], Awaitable[Response]]


class ApiError(Exception):
    """An answer that is not 2xx: what is wrong and what to do."""

    def __init__(self, status: int, error: str, remedy: str) -> None:
        super().__init__(error)
        self.status, self.error, self.remedy = status, error, remedy


def answer(data: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(data), status, media_type="application/json")


def glob(request: Request, name: str) -> str | None:
    given = request.query_params.get(name)
    if given and (len(given) > MOST_GLOB or given.count("*") > MOST_STARS):
        raise ApiError(422, f"{name} is too long a pattern", f"Use at most {MOST_STARS} stars.")
    return given


def moment_of(request: Request, name: str) -> int | None:
    given = request.query_params.get(name)
    try:
        # A + that was not escaped arrives as a blank.
        return moment(given.replace(" ", "+")) if given else None
    except (LookupError, OverflowError) as error:
        raise ApiError(400, f"{name}: {error}", "Write a time or an age.") from None


def is_number(given: str) -> bool:
    """Whether it is a whole number as a journal's positions are; superscripts are digits to some."""
    return given.isascii() and given.isdigit() and len(given) < 19


def integer(request: Request, name: str, default: int | None) -> int | None:
    given = request.query_params.get(name)
    if given is None:
        return default
    if not is_number(given):
        raise ApiError(400, f"{name} is not a whole number", "Write digits.")
    return int(given)


def path_number(request: Request) -> int:
    given = request.path_params["id"]
    if not is_number(given):
        raise ApiError(404, f"{given!r} is not a number", "Take an id from a list.")
    return int(given)


async def sent(request: Request) -> bytes:
    whole = b""
    async for chunk in request.stream():
        whole += chunk
        if len(whole) > MOST_BODY:
            raise ApiError(413, "too much was sent", f"Send less than {MOST_BODY} bytes.")
    return whole


def signed_in(request: HTTPConnection) -> Who | None:
    """Who asks; None where no people are configured."""
    who: Who | None = request.scope.get("person")
    return who


def sees_patients(request: HTTPConnection) -> bool:
    who = signed_in(request)
    return who is None or who.patients


def person(request: Request, sent: bytes, model: type[BaseModel]) -> bytes:
    """What was sent with `by` as it is: where people are configured whoever has signed in, whatever was sent."""
    who = signed_in(request)
    if who is None or "by" not in model.model_fields:
        return sent
    try:
        told = orjson.loads(sent)
    except orjson.JSONDecodeError:  # what the model might still read, under the name that was sent
        raise ApiError(422, "this is not JSON", "See /api/openapi.json.") from None
    return orjson.dumps({**told, "by": who.name}) if isinstance(told, dict) else sent


async def body(request: Request, model: type[Asked]) -> Asked:
    try:
        return model.model_validate_json(person(request, await sent(request) or b"{}", model))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ApiError(422, f"{where}: {first['msg']}", "See /api/openapi.json.") from None
