"""OPC UA: variables of a server, subscribed. Nothing is written, no method is called.

What the driver writes to the port is a request: `subscribe` with a node as its channel, or `browse {...}` with the
node to look below. Every change comes back as one whole chunk of JSON on the node's channel.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.backoff import Backoff
from gateway.links.link import Ear, LinkState
from gateway.links.options import OpcUaOptions
from gateway.links.requests import library

SETTLED: Final = 10.0


class OpcUaLink:
    """Connects to one server, for ever."""

    def __init__(self, options: OpcUaOptions) -> None:
        self._options = options

    async def run(self, ear: Ear) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff(longest=30.0)
        ear.state(LinkState.STARTING, self._options.address)
        try:
            client = await library("gateway.links.opcua_client", "asyncua", "opcua", ear)
            while True:
                started = loop.time()
                why = await client.converse(self._options, ear)
                if loop.time() - started > SETTLED:
                    backoff.succeeded()
                ear.state(LinkState.WAITING, f"{self._options.address}: {why}")
                await asyncio.sleep(backoff.next())
        finally:
            ear.state(LinkState.STOPPED, "")
