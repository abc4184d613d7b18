"""SiLA 2: properties of a server, subscribed or polled. No command is ever sent.

What the driver writes to the port is a request: `subscribe SECONDS`, its channel is "FEATURE/PROPERTY". Every value
comes back as one whole chunk of JSON on that channel.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

from gateway.backoff import Backoff
from gateway.links.link import Ear, LinkState
from gateway.links.options import SilaOptions
from gateway.links.requests import library

SETTLED: Final = 10.0


class SilaLink:
    """Connects to one server, for ever."""

    def __init__(self, options: SilaOptions) -> None:
        self._options = options

    async def run(self, ear: Ear) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff(longest=30.0)
        ear.state(LinkState.STARTING, self._options.address)
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what matters of it is in the link's state
        try:
            client = await library("gateway.links.sila_client", "grpcio", "sila", ear)
            while True:
                started = loop.time()
                why = await client.converse(self._options, ear)
                if loop.time() - started > SETTLED:
                    backoff.succeeded()
                ear.state(LinkState.WAITING, f"{self._options.address}: {why}")
                await asyncio.sleep(backoff.next())
        finally:
            ear.state(LinkState.STOPPED, "")
