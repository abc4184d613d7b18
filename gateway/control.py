"""The daemon's own door for commands on the same machine: a socket in the data directory, for its owner only.

One request a connection, a line of JSON: `{"tap": "DEVICE"}` answers with one line of JSON for every piece of
wire traffic, until the asker hangs up; `{"links": true}` with one line: device -> [state of its link, why, losses].
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from gateway.links.link import LinkState
from gateway.session import Session

SOCKET = "control.sock"
BACKLOG = 10_000  # pieces of traffic a slow asker may be behind; older ones are counted as missed


async def serve(data_dir: Path, sessions: Callable[[], Mapping[str, Session]]) -> None:
    """Answer until cancelled."""
    path = data_dir / SOCKET
    path.unlink(missing_ok=True)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            try:
                await _answer(reader, writer, sessions())
            finally:
                writer.close()

    server = await asyncio.start_unix_server(answer, path)
    path.chmod(0o600)
    try:
        async with server:
            await server.serve_forever()
    finally:
        path.unlink(missing_ok=True)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sessions: Mapping[str, Session]) -> None:
    try:
        request = orjson.loads(await reader.readline())
        if request.get("links"):
            found = {one.device: [one.link_state, one.link_detail, one.losses] for one in sessions.values()}
            writer.write(orjson.dumps(found) + b"\n")
            await writer.drain()
            return
        session = sessions[request["tap"]]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        writer.write(orjson.dumps({"error": f"no such device; there are: {', '.join(sorted(sessions))}"}) + b"\n")
        await writer.drain()
        return
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(BACKLOG)
    missed = 0

    def tap(direction: str, peer: str, data: bytes) -> None:
        nonlocal missed
        try:
            queue.put_nowait({"at": time.time(), "direction": direction, "peer": peer, "hex": data.hex()})
        except asyncio.QueueFull:
            missed += 1

    gone = asyncio.ensure_future(reader.read())
    session.taps.append(tap)
    try:
        writer.write(orjson.dumps({"tapping": session.device, "peers": session.peers}) + b"\n")
        while not gone.done():
            piece = asyncio.ensure_future(queue.get())
            await asyncio.wait({piece, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not piece.done():
                piece.cancel()
                return
            writer.write(orjson.dumps({**piece.result(), "missed": missed}) + b"\n")
            missed = 0
            await writer.drain()
    finally:
        session.taps.remove(tap)
        gone.cancel()


async def tap(data_dir: Path, device: str) -> AsyncIterator[dict[str, Any]]:
    """Live wire traffic of a device, from the daemon that runs on `data_dir`.

    Errors: ConnectionError (no daemon there), LookupError (no such device)."""
    reader, writer = await _ask(data_dir, {"tap": device})
    try:
        async for line in reader:
            piece = orjson.loads(line)
            if "error" in piece:
                raise LookupError(piece["error"])
            yield piece
    finally:
        writer.close()


async def links(data_dir: Path) -> dict[str, tuple[LinkState, str, int]]:
    """How every device's link is: its state, why, and how often it was lost. Errors: ConnectionError (no daemon)."""
    reader, writer = await _ask(data_dir, {"links": True})
    try:
        found = orjson.loads(await reader.readline() or b"{}")
    finally:
        writer.close()
    return {device: (LinkState(state), detail, losses) for device, (state, detail, losses) in found.items()}


async def _ask(data_dir: Path, request: dict[str, Any]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        reader, writer = await asyncio.open_unix_connection(data_dir / SOCKET)
    except OSError as error:
        raise ConnectionError(f"no assaygate is running on {data_dir}") from error
    writer.write(orjson.dumps(request) + b"\n")
    return reader, writer
