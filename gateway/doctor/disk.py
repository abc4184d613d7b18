"""Does what is written to the data directory stay there: its file system, its space, and whether a flush is one."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from gateway.finding import Check, good, problem, unknown, warning

PAGE: Final = 4096  # bytes, a page of the journal
PAGES: Final = 64  # written round and round, as the journal's log is
FLUSHES: Final = 200
WITHIN: Final = 2.0  # seconds for all flushes
# No disk known to us answers sooner: the fastest with their own power reserve take some 20 us. A plate at 7200 turns a
# minute needs 8.3 ms for one.
FASTEST: Final = 15e-6
FASTEST_PLATE: Final = 1e-3
SLOW: Final = 0.1

# https://www.sqlite.org/wal.html: all processes of a WAL database must be on one machine; shared memory is mapped.
NETWORK: Final = re.compile(
    r"nfs\d?|cifs|smb\w*|9p|afs|ceph|lustre|glusterfs|fuse\.(sshfs|glusterfs|s3fs|rclone|ceph\w*)|vboxsf|prl_fs"
)
MEMORY: Final = re.compile(r"tmpfs|ramfs|devtmpfs")
LAYERS: Final = re.compile(r"overlay|aufs")
VIRTUAL: Final = re.compile(r"QEMU|VBOX|VMware|Virtual|Msft|Xen|Google|Amazon", re.IGNORECASE)
MOUNTS: Final = Path("/proc/self/mountinfo")

Kind = Literal["plate", "flash", "virtual", ""]


def look(path: Path) -> Iterator[Check]:
    """Everything about the data directory; where it is not there yet, about the folder it will be made in."""
    at = path
    while not at.exists() and at != at.parent:
        at = at.parent
    if not os.access(at, os.W_OK):
        yield problem("data directory", f"{path} cannot be written", f"Create it: install -d -m 700 {path}")
        return
    yield good("data directory", f"{path} can be written")
    free = shutil.disk_usage(at).free
    found = f"{free / 1e9:.1f} GB free"
    yield (
        good("disk", found)
        if free > 1e9
        else problem("disk", found, "Free some space: below 32 MB nothing is acknowledged.")
    )
    mount = mounted(at.resolve())
    yield file_system(path, mount)
    if free > 2 * PAGE * PAGES and not (mount and MEMORY.fullmatch(mount.type)):
        yield _flush(at)


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system, and where it is mounted."""

    type: str
    at: str


def mounted(path: Path, table: str | None = None) -> Mount | None:
    """The file system a resolved path is on. `table`: as /proc/self/mountinfo has it (proc(5))."""
    try:
        lines = (MOUNTS.read_text(encoding="utf-8", errors="replace") if table is None else table).splitlines()
    except OSError:
        return None
    found = None
    for line in lines:
        place, _, kind = line.partition(" - ")
        at = re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), place.split()[4])
        # The longest that leads there; of two mounted over each other the later one is seen.
        if path.is_relative_to(at) and (found is None or len(at) >= len(found.at)):
            found = Mount(kind.split()[0], at)
    return found


def file_system(path: Path, mount: Mount | None) -> Check:
    """Is it one the journal can be on?"""
    name = "file system"
    if mount is None:
        return unknown(name, "this system has no /proc/self/mountinfo", "Use a local disk, no network drive.")
    found = f"{path} is on {mount.type} ({mount.at})"
    local = "Set gateway.data_dir to a folder on a local disk."
    if NETWORK.fullmatch(mount.type):
        return problem(name, f"{found}, a network's: SQLite's log does not work there, and locks may not hold", local)
    if MEMORY.fullmatch(mount.type):
        return problem(name, f"{found}, which is memory: a power cut takes what was acknowledged", local)
    if LAYERS.fullmatch(mount.type):
        return warning(name, f"{found}, a container's own layer: it goes when the container goes", "Mount a volume.")
    if mount.type.startswith("fuse") and mount.type != "fuseblk":
        return warning(name, f"{found}: a program stands between us and the disk and may keep writes to itself", local)
    return good(name, found)


def _flush(at: Path) -> Check:
    name = "disk flush"
    try:
        times = _measure(at)
    except OSError as error:
        return problem(name, f"a test file in {at} cannot be flushed: {error.strerror}", "Look at the disk.")
    return judge(name, times, kind(at))


def _measure(at: Path) -> list[float]:
    """Seconds of each flush of a page that is written over, as the journal's log does."""
    times: list[float] = []
    with tempfile.NamedTemporaryFile(dir=at, prefix=".assaygate-doctor-") as file:
        number = file.fileno()
        os.pwrite(number, os.urandom(PAGE * PAGES), 0)
        os.fsync(number)
        end = time.monotonic() + WITHIN
        while len(times) < FLUSHES and time.monotonic() < end:
            os.pwrite(number, os.urandom(PAGE), PAGE * (len(times) % PAGES))
            began = time.perf_counter()
            os.fdatasync(number)
            times.append(time.perf_counter() - began)
    return times


def judge(name: str, times: list[float], disk: Kind) -> Check:
    """`times` in seconds, not empty."""
    plate = disk == "plate"
    middle, worst = statistics.median(times), max(times)
    found = f"{1 / middle:,.0f} flushes a second (half within {middle * 1e3:.3g} ms, slowest {worst * 1e3:.3g} ms)"
    if middle < FASTEST or (plate and middle < FASTEST_PLATE):
        return warning(
            name,
            f"{found}: faster than {'a disk that turns' if plate else 'a disk'} can be. What is acknowledged may be in "
            "memory only, and a power cut takes it",
            "Only persistent memory or a cache with a battery may be so fast. Else switch the disk's write cache off "
            "(hdparm -W 0); of a virtual machine set the disk's cache mode to none or writethrough; run without "
            "eatmydata.",
        )
    if middle > SLOW:
        return warning(name, f"{found}: instruments wait for it", "Use an SSD, or find what else keeps the disk busy.")
    if disk == "virtual":
        found += "; whether the machine below flushes as well could not be determined"
    return good(name, found)


def kind(at: Path, sys: Path = Path("/sys")) -> Kind:
    """What the block device of an existing path is, as the kernel sees it."""
    number = at.stat().st_dev
    device = (sys / f"dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    for disk in (device, device.parent):  # a partition lies within its disk
        if (disk / "queue").is_dir():
            maker, model, turns = (_word(disk / name) for name in ("device/vendor", "device/model", "queue/rotational"))
            # Virtual disks say that they turn whatever is below; so do controllers with a cache of their own.
            if disk.name.startswith(("vd", "xvd")) or VIRTUAL.search(f"{maker} {model}"):
                return "virtual"
            if turns == "0":
                return "flash"
            return "plate" if maker == "ATA" else ""
    return ""


def _word(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
