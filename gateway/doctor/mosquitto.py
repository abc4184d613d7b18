"""What a mosquitto on this machine was told, where its configuration may be read: nothing else says whether it keeps
anything over a restart. Keys and their defaults: mosquitto.conf(5)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.doctor.ports import holding, listening
from gateway.finding import Check, good, problem, unknown, warning

CONF: Final = "/etc/mosquitto/mosquitto.conf"
SAVED: Final = 1800  # seconds between two saves, unless told otherwise
OFTEN: Final = 60
REMEDY: Final = (
    "In mosquitto.conf write: persistence true / persistence_location /var/lib/mosquitto/ / autosave_interval 60"
)
_DEPTH: Final = 10  # folders within folders; more is a circle


def persistence(name: str, host: str, port: int) -> Check:
    """Does a restart of the broker lose what it keeps for us?"""
    if not _here(host):
        return unknown(name, "the broker is on another machine, and no broker tells", f"See there. {REMEDY}.")
    for pid in holding(listening(port)):
        words = _words(pid)
        if not words or Path(words[0]).name != "mosquitto":
            continue
        path = words[words.index("-c") + 1] if "-c" in words[:-1] else None
        try:
            told = dict(_read(Path(f"/proc/{pid}"), path)) if path else {}
        except OSError as error:
            return unknown(name, f"its configuration {path}: {error.strerror}", f"Run doctor as root. {REMEDY}.")
        return judge(name, told, path or "none")
    return unknown(
        name,
        "what listens there is no mosquitto that we may look at",
        f"Run doctor as root, or see yourself. {REMEDY}.",
    )


def judge(name: str, told: dict[str, str], where: str) -> Check:
    """By what stands in the configuration, the last of a key."""
    by = f"(its configuration: {where})"
    if told.get("persistence", "false") != "true":
        return problem(name, f"off: a restart of the broker loses our session and what waits for us {by}", f"{REMEDY}.")
    every = told.get("autosave_interval", str(SAVED))
    unit = "changes" if told.get("autosave_on_changes") == "true" else "s"
    found = f"on, saved {'only when it stops' if every == '0' else f'every {every} {unit}'} {by}"
    if every.isdigit() and 0 < int(every) <= OFTEN:
        return good(name, found)
    return warning(name, f"{found}: killed or without power, the broker loses what came since", f"{REMEDY}.")


def _here(host: str) -> bool:
    """Whether a name leads to this machine."""
    try:
        addresses = {str(one[4][0]) for one in socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)}
    except OSError:
        return False
    for address in addresses:
        kind = socket.AF_INET6 if ipaddress.ip_address(address.partition("%")[0]).version == 6 else socket.AF_INET
        with socket.socket(kind, socket.SOCK_DGRAM) as ours:
            try:
                ours.bind((address, 0))
            except OSError:
                continue
            return True
    return False


def _words(pid: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").rstrip("\0").split("\0")
    except OSError:
        return []


def _read(process: Path, path: str, depth: int = _DEPTH) -> Iterator[tuple[str, str]]:
    """Keys and values as the process sees its files (it may be in a container), in their order. Errors: OSError."""
    whole = path if path.startswith("/") else str((process / "cwd").readlink() / path)
    file = process / "root" / whole.lstrip("/")
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(" ")
        if line.startswith("#") or not key:
            continue
        if key != "include_dir":
            yield key, value.strip()
        elif depth:
            folder = process / "root" / value.strip().lstrip("/")
            for more in sorted(one.name for one in folder.iterdir() if one.name.endswith(".conf")):
                yield from _read(process, f"{value.strip().rstrip('/')}/{more}", depth - 1)
