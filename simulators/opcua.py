"""An OPC UA server whose variables follow a simulated instrument. Needs `pip install 'assaygate[opcua]'`.

It listens once every declared variable has had a value; a variable holds its last one. What nobody subscribes is not
heard by anybody, and nothing is acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import drivers
from drivers.opcua.units import UNECE
from simulators.endpoints import free_port
from simulators.plan import Plan
from simulators.source import settled

OWN: Final = "urn:assaygate:simulator"


class OpcUaEndpoint:
    """A server for the nodes of a plan. Errors of `OpcUaEndpoint(...)`: LookupError where asyncua is not installed."""

    acknowledges = False

    def __init__(self, host: str, port: int, plan: Plan) -> None:
        try:
            import asyncua
        except ImportError:
            raise LookupError("asyncua is not installed: pip install 'assaygate[opcua]'") from None
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        self._library = asyncua
        self.address = f"opc.tcp://{host}:{port or free_port(host)}"
        driver = drivers.load(plan.driver)
        self._wanted = {one.field: one.unit for one in driver.observed(settled(driver, plan))}
        self._last: dict[str, dict[str, Any]] = {}
        self._variables: dict[str, Any] = {}
        self._server: Any = None
        self.gone = asyncio.Event()

    async def open(self, received: Callable[..., None]) -> None:
        self.gone.clear()
        await self._serve()

    async def write(self, data: bytes, channel: str = "") -> None:
        """A variable's next value."""
        try:
            change = json.loads(data)
            node = change["node"]
        except (ValueError, KeyError, TypeError):
            return  # damaged on its way: no server publishes that
        self._last[node] = change
        if node in self._variables:
            await self._put(node)
        else:
            await self._serve()

    async def _serve(self) -> None:
        """Start once there is a value for everything."""
        if self._server is not None or not self._wanted or not self._wanted.keys() <= self._last.keys():
            return
        server = self._library.Server()
        await server.init()
        server.set_endpoint(self.address)
        server.set_server_name("assaygate simulator")
        server.set_security_policy([self._library.ua.SecurityPolicyType.NoSecurity])
        self._server = server
        own = await server.register_namespace(OWN)
        for node, unit in self._wanted.items():
            variable = self._variables[node] = await self._made(node, own)
            if unit:
                ua = self._library.ua
                said = ua.EUInformation(NamespaceUri=UNECE, UnitId=-1, DisplayName=ua.LocalizedText(unit))
                await variable.add_property(ua.NodeId(0, own), ua.QualifiedName("EngineeringUnits", 0), said)
            await self._put(node)
        await server.start()

    async def _made(self, node: str, own: int) -> Any:
        """The variable, where the host will look for it."""
        ua, objects = self._library.ua, self._server.nodes.objects
        first = self._variant(self._last[node]["value"])
        if not node.startswith("/"):
            place = await self._id(node)
            return await objects.add_variable(place, ua.QualifiedName(str(place.Identifier), own), first)
        *folders, name = node.removeprefix("/").replace("&/", "\0").split("/")
        for folder in (one.replace("\0", "/") for one in folders):
            inner = [child for child in await objects.get_children() if (await child.read_browse_name()).Name == folder]
            title = ua.QualifiedName(folder, own)
            objects = inner[0] if inner else await objects.add_folder(ua.NodeId(0, own), title)
        title = ua.QualifiedName(name.replace("\0", "/"), own)
        return await objects.add_variable(ua.NodeId(0, own), title, first)

    async def _id(self, node: str) -> Any:
        if node.startswith("nsu="):
            uri, _, rest = node[4:].partition(";")
            node = f"ns={await self._server.register_namespace(uri)};{rest}"
        place = self._library.ua.NodeId.from_string(node)
        for number in range(place.NamespaceIndex):
            if number >= len(await self._server.get_namespace_array()):
                await self._server.register_namespace(f"{OWN}:{number}")
        return place

    async def _put(self, node: str) -> None:
        ua, change = self._library.ua, self._last[node]
        at = datetime.fromisoformat(change["source_time"])
        status = ua.StatusCode(change.get("code", 0))
        told = ua.DataValue(self._variant(change["value"]), status, at, ServerTimestamp=at)
        await self._variables[node].write_value(told)

    def _variant(self, value: Any) -> Any:
        """Every number as a double: a reading of 37 is one of 37.0."""
        ua = self._library.ua
        if isinstance(value, bool):
            return ua.Variant(value, ua.VariantType.Boolean)
        if isinstance(value, int | float):
            return ua.Variant(float(value), ua.VariantType.Double)
        return ua.Variant(str(value), ua.VariantType.String)

    async def drop(self, how: str = "disconnect") -> None:
        """The server goes away; `open` brings it back with its last values."""
        server, self._server = self._server, None
        self._variables.clear()
        if server is not None:
            with contextlib.suppress(OSError, TimeoutError):
                await server.stop()

    async def close(self) -> None:
        await self.drop()
