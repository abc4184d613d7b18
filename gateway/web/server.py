"""uvicorn in the daemon's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from gateway.people.people import People
from gateway.views import AppViews
from gateway.web.api import build
from gateway.web.live import Hub
from gateway.web.options import HttpOptions


class _Server(uvicorn.Server):
    """Leaves signals to the daemon and says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: asyncio.Event) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()


async def serve(views: AppViews, options: HttpOptions, ready: asyncio.Event) -> None:
    """Serve page and API until cancelled. Errors: OSError where the address cannot be had, ValueError where the file of
    people cannot."""
    people = None
    if views.config.people:
        people = People(views.config.people, views.journal, options.token.resolve() if options.token else None)
        await people.open()
    sock = socket.create_server(
        (options.host, options.port), family=socket.AF_INET6 if ":" in options.host else socket.AF_INET
    )
    hub = Hub(views)
    config = uvicorn.Config(
        build(views, hub, options, people),
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,  # whom to believe is ours to say
        timeout_graceful_shutdown=1,
        ws_max_size=65536,
        ws_per_message_deflate=False,
        limit_concurrency=1000,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
    )
    server = _Server(config, ready)
    feeding = asyncio.create_task(hub.run(), name="live")
    serving = asyncio.create_task(server.serve(sockets=[sock]), name="http")
    keeping = [asyncio.create_task(people.run(), name="people")] if people else []
    try:
        done, _ = await asyncio.wait((feeding, serving, *keeping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Not cancelled: uvicorn says goodbye to open connections first.
        hub.closing.set()
        server.should_exit = True
        for one in (feeding, *keeping):
            one.cancel()
        await asyncio.gather(feeding, serving, *keeping, return_exceptions=True)
        sock.close()
    for task in done:
        task.result()
