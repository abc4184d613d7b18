"""A SiLA 2 server whose properties follow a simulated instrument. Needs `pip install 'assaygate[sila]'`.

It listens once every declared property has had a value, since its features say of what type each is; a new subscriber
is told the last one. What nobody subscribes is not heard by anybody, and nothing is acknowledged. Without TLS, on this
machine: SiLA 2 Part B wants certificates of servers that others reach.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5
from xml.sax.saxutils import escape

import drivers
from drivers.kit.exchange import DecodeError
from drivers.kit.protobuf import bytes_of, fields, put_bytes, put_double, put_number, text_of
from simulators.endpoints import free_port
from simulators.plan import Plan
from simulators.source import settled

SERVICE: Final = "org.silastandard/core/SiLAService/v1"
BEHIND: Final = 1000  # values a subscriber may be behind before the instrument waits for it


class SilaEndpoint:
    """A server for the properties of a plan. Errors of `SilaEndpoint(...)`: LookupError (grpcio is missing)."""

    acknowledges = False

    def __init__(self, host: str, port: int, plan: Plan) -> None:
        try:
            import grpc
            import grpc.aio
        except ImportError:
            raise LookupError("grpcio is not installed: pip install 'assaygate[sila]'") from None
        self._grpc: Any = grpc
        self.address = f"{host}:{port or free_port(host)}"
        driver = drivers.load(plan.driver)
        self._wanted = {one.field: one.unit for one in driver.observed(settled(driver, plan))}
        self._last: dict[str, Any] = {}
        self._subscribers: dict[str, set[asyncio.Queue[bytes]]] = {name: set() for name in self._wanted}
        self._server: Any = None
        self.gone = asyncio.Event()

    async def open(self, received: Callable[..., None]) -> None:
        self.gone.clear()
        await self._serve()

    async def write(self, data: bytes, channel: str = "") -> None:
        """A property's next value."""
        try:
            told = json.loads(data)
            name, value = told["property"], told["value"]
        except (ValueError, KeyError, TypeError):
            return  # damaged on its way: no server publishes that
        if name not in self._wanted:
            return
        self._last[name] = value
        await self._serve()
        for queue in tuple(self._subscribers[name]):
            await queue.put(_response(value))

    async def drop(self, how: str = "disconnect") -> None:
        """The server goes away; `open` brings it back with its last values."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)

    async def close(self) -> None:
        await self.drop()

    # ---- the server

    async def _serve(self) -> None:
        """Start once there is a value for everything."""
        if self._server is not None or not self._wanted or not self._wanted.keys() <= self._last.keys():
            return
        server = self._server = self._grpc.aio.server()
        server.add_generic_rpc_handlers((_Handler(self._grpc, self._calls()),))
        server.add_insecure_port(self.address)
        await server.start()

    def _calls(self) -> dict[str, Callable[..., Any]]:
        """What can be called, by its path; streams are asynchronous generators."""
        features = self._features()
        service = _service(SERVICE)
        own = {
            "ServerName": "assaygate simulator",
            "ServerType": "Simulator",
            "ServerUUID": str(uuid5(NAMESPACE_URL, f"assaygate:{self.address}")),
            "ServerDescription": "A simulated instrument.",
            "ServerVersion": "1.0",
            "ServerVendorURL": "https://localhost",
        }
        calls: dict[str, Callable[..., Any]] = {
            f"{service}Get_{name}": _constant(put_bytes(1, put_bytes(1, text))) for name, text in own.items()
        }
        listed = b"".join(put_bytes(1, put_bytes(1, one)) for one in (SERVICE, *features))
        calls[f"{service}Get_ImplementedFeatures"] = _constant(listed)
        calls[f"{service}GetFeatureDefinition"] = self._definition(features)
        for name in self._wanted:
            feature, _, title = name.rpartition("/")
            calls[f"{_service(_whole(feature))}Subscribe_{title}"] = self._subscription(name)
        return calls

    def _features(self) -> dict[str, str]:
        """Feature -> its definition."""
        parts: dict[str, list[str]] = {}
        for name, unit in self._wanted.items():
            feature, _, title = name.rpartition("/")
            parts.setdefault(_whole(feature), []).append(_property(title, self._last[name], unit))
        return {whole: _feature(whole, "".join(properties)) for whole, properties in parts.items()}

    def _definition(self, features: dict[str, str]) -> Callable[[bytes, Any], Awaitable[bytes]]:
        async def answer(request: bytes, context: Any) -> bytes:
            try:
                (asked,) = (text_of(one) for one in fields(bytes_of(next(fields(request)))))
                return put_bytes(1, put_bytes(1, features[asked]))
            except (DecodeError, StopIteration, ValueError, KeyError):
                await context.abort(self._grpc.StatusCode.INVALID_ARGUMENT, "no such feature")
                return b""

        return answer

    def _subscription(self, name: str) -> Callable[[bytes, Any], AsyncIterator[bytes]]:
        async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
            queue: asyncio.Queue[bytes] = asyncio.Queue(BEHIND)
            self._subscribers[name].add(queue)
            try:
                yield _response(self._last[name])
                while True:
                    yield await queue.get()
            finally:
                self._subscribers[name].discard(queue)
                with contextlib.suppress(asyncio.QueueEmpty):
                    while True:
                        queue.get_nowait()  # the instrument may be waiting for room

        return stream


def _constant(message: bytes) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def answer(request: bytes, context: Any) -> bytes:
        return message

    return answer


class _Handler:
    """Finds what a path calls (a `grpc.GenericRpcHandler`)."""

    def __init__(self, grpc: Any, calls: dict[str, Callable[..., Any]]) -> None:
        self._grpc, self._calls = grpc, calls

    def service(self, details: Any) -> Any:
        call = self._calls.get(details.method)
        if call is None:
            return None
        if "/Subscribe_" in details.method:
            return self._grpc.unary_stream_rpc_method_handler(call)
        return self._grpc.unary_unary_rpc_method_handler(call)


# ---- what SiLA 2 Part B makes of features and values


def _whole(feature: str) -> str:
    """The fully qualified identifier: as it was declared, or one of ours."""
    return feature if "/" in feature else f"org.assaygate/simulation/{feature}/v1"


def _service(whole: str) -> str:
    originator, category, name, major = whole.split("/")
    return f"/sila2.{originator}.{category}.{name.lower()}.{major}.{name}/"


def _kind(value: Any) -> str:
    """Every number is a Real: a reading of 37 is one of 37.0."""
    return "Boolean" if isinstance(value, bool) else "Real" if isinstance(value, int | float) else "String"


def _response(value: Any) -> bytes:
    match _kind(value):
        case "Boolean":
            inner = put_number(1, int(value))
        case "Real":
            inner = put_double(1, float(value))
        case _:
            inner = put_bytes(1, str(value))
    return put_bytes(1, inner)


def _named(name: str) -> str:
    return (
        f"<Identifier>{name}</Identifier><DisplayName>{name}</DisplayName><Description>{name}, simulated.</Description>"
    )


def _property(title: str, value: Any, unit: str | None) -> str:
    kind = f"<DataType><Basic>{_kind(value)}</Basic></DataType>"
    if unit and _kind(value) == "Real":
        component = "<UnitComponent><SIUnit>Dimensionless</SIUnit><Exponent>1</Exponent></UnitComponent>"
        label = f"<Unit><Label>{escape(unit)}</Label><Factor>1</Factor><Offset>0</Offset>{component}</Unit>"
        kind = f"<DataType><Constrained>{kind}<Constraints>{label}</Constraints></Constrained></DataType>"
    return f"<Property>{_named(title)}<Observable>Yes</Observable>{kind}</Property>"


def _feature(whole: str, properties: str) -> str:
    originator, category, name, major = whole.split("/")
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<Feature SiLA2Version="1.0" FeatureVersion="{major[1:]}.0" Originator="{originator}" Category="{category}"'
        ' xmlns="http://www.sila-standard.org" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:schemaLocation="http://www.sila-standard.org FeatureDefinition.xsd">'
        f"{_named(name)}{properties}</Feature>"
    )
