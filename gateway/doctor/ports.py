"""Whose a port is: nobody's, our daemon's or a stranger's. By /proc, where the system has it."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from gateway.finding import Check, good, problem, unknown, warning

LISTENS = "0A"  # a socket's state in /proc/net/tcp


async def port(name: str, host: str, number: int, owner: str | None) -> Check:
    """`owner`: the process that has our data directory open, if any."""
    where = f"{host}:{number}"
    try:
        server = await asyncio.start_server(lambda _r, w: w.close(), host, number)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return await asyncio.to_thread(_taken, name, where, number, owner)
        what = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        return problem(name, f"{where}: {what}", "Correct the address: it must be one of this machine's.")
    server.close()
    if owner:
        remedy = "Reload it (SIGHUP) if the configuration is newer; else see its page or log."
        return warning(name, f"{where} is free, though assaygate runs (process {owner})", remedy)
    return good(name, f"{where} is free")


def _taken(name: str, where: str, number: int, owner: str | None) -> Check:
    wanted = listening(number)
    if owner:
        ours = sockets(owner)
        if ours is None or not wanted:
            why = f"{where} is taken, and which sockets the running assaygate (process {owner}) has may not be seen"
            return unknown(name, why, "Run doctor as the user it runs as.")
        if ours & wanted:
            return good(name, f"{where} is taken, as it should be: the running assaygate is process {owner}")
    who = next((f"{_called(pid)} (process {pid})" for pid in holding(wanted)), "another program")
    return problem(name, f"{where} is taken by {who}", "Stop what uses it, or change it.")


def listening(number: int) -> set[str]:
    """The sockets that take connections on a TCP port, named as in /proc/PID/fd."""
    found = set[str]()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[3] == LISTENS and int(columns[1].rpartition(":")[2], 16) == number:
                found.add(f"socket:[{columns[9]}]")
    return found


def sockets(pid: str) -> set[str] | None:
    """What a process has open, by name; None where that may not be seen."""
    found = set[str]()
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                found.add(str(entry.readlink()))
            except FileNotFoundError:
                continue  # closed meanwhile
    except OSError:
        return None
    return found


def holding(wanted: set[str]) -> Iterator[str]:
    """The processes, as far as they may be seen, that have one of these sockets open."""
    for folder in Path("/proc").glob("[0-9]*") if wanted else ():
        if wanted & (sockets(folder.name) or set()):
            yield folder.name


def _called(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "another program"
