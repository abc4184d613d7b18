"""How the doctor judges what it measured or read: facts a machine of ours does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.doctor import brokers, clock, disk, mosquitto
from gateway.doctor.probe import MESSAGES, Measured

MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /srv/lab rw,relatime - nfs4 server:/lab rw
31 22 0:41 / /srv/lab/local\040disk rw - xfs /dev/sdb1 rw
32 22 0:42 / /run rw - tmpfs tmpfs rw
33 22 0:43 / /mnt/usb rw - fuseblk /dev/sdc1 rw
34 22 0:44 / /mnt/cloud rw - fuse.rclone remote: rw
35 22 0:45 / /container rw - overlay overlay rw
36 22 0:46 / /mnt/odd rw - fuse.odd odd rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "grade"),
    [
        ("/var/lib/assaygate", "ext4", "ok"),
        ("/srv/lab/data", "nfs4", "problem"),
        ("/srv/lab/local disk/data", "xfs", "ok"),
        ("/srv/laboratory", "ext4", "ok"),
        ("/run/assaygate", "tmpfs", "problem"),
        ("/mnt/usb/data", "fuseblk", "ok"),
        ("/mnt/cloud/data", "fuse.rclone", "problem"),
        ("/mnt/odd", "fuse.odd", "warning"),
        ("/container/data", "overlay", "warning"),
    ],
)
def test_the_file_system_of_a_path_is_judged_by_its_kind(path: str, kind: str, grade: str) -> None:
    mount = disk.mounted(Path(path), MOUNTS)
    assert mount
    assert mount.type == kind
    assert disk.file_system(Path(path), mount).grade == grade


@pytest.mark.parametrize(
    ("milliseconds", "kind", "grade"),
    [
        (0.1, "flash", "ok"),
        (0.005, "flash", "warning"),  # no disk is so fast
        (0.5, "plate", "warning"),  # a turn takes 8 ms
        (9.0, "plate", "ok"),
        (0.5, "virtual", "ok"),
        (300.0, "flash", "warning"),  # instruments wait
    ],
)
def test_flushes_faster_than_the_disk_can_be_are_not_believed(milliseconds: float, kind: disk.Kind, grade: str) -> None:
    check = disk.judge("disk flush", [milliseconds / 1e3] * 20, kind)
    assert check.grade == grade
    assert bool(check.remedy) == (grade != "ok")


@pytest.mark.parametrize(
    ("measured", "grade", "word"),
    [
        (Measured(1, True, MESSAGES, MESSAGES, None, {}), "ok", "1200"),
        (Measured(1, True, MESSAGES, 1000, None, {}), "problem", "1000 were kept"),
        (Measured(1, True, 900, 900, None, {}), "warning", "their sender knows"),
        (Measured(1, False, MESSAGES, 0, None, {}), "problem", "forgotten"),
        (Measured(0, True, MESSAGES, 0, None, {}), "problem", "QoS 0"),
    ],
)
def test_what_a_broker_kept_is_judged(measured: Measured, grade: str, word: str) -> None:
    (check,) = brokers.judge("broker b: queue", measured, 86400.0)
    assert check.grade == grade
    assert word in check.found


def test_a_session_that_ends_sooner_than_asked_and_what_was_dropped_before_are_told() -> None:
    told = {"$SYS/broker/version": "mosquitto 2", "$SYS/broker/publish/messages/dropped": "7"}
    checks = list(brokers.judge("queue", Measured(1, True, MESSAGES, MESSAGES, 3600.0, told), 86400.0))
    assert [one.grade for one in checks] == ["ok", "warning", "warning"]
    assert "3600 s" in checks[1].found
    assert "dropped 7 messages" in checks[2].found


@pytest.mark.parametrize(
    ("told", "grade"),
    [
        ({}, "problem"),
        ({"persistence": "true"}, "warning"),  # every half hour
        ({"persistence": "true", "autosave_interval": "60"}, "ok"),
        ({"persistence": "true", "autosave_interval": "0"}, "warning"),
    ],
)
def test_a_mosquitto_that_would_forget_is_told(told: dict[str, str], grade: str) -> None:
    assert mosquitto.judge("persistence", told, "/etc/mosquitto/mosquitto.conf").grade == grade


@pytest.mark.parametrize(
    ("kernel", "chrony", "grade"),
    [
        (1200, None, "ok"),
        (None, True, "ok"),
        (None, False, "warning"),
        (None, None, "warning"),
        ("why", None, "unknown"),
    ],
)
def test_the_kernel_is_believed_then_chrony(
    kernel: int | str | None, chrony: bool | None, grade: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "_kernel", lambda: kernel)
    monkeypatch.setattr(clock, "_chrony", lambda: chrony)
    check = clock.synchronised()
    assert check.grade == grade
    assert bool(check.remedy) == (grade != "ok")


def test_the_kernel_answers() -> None:
    told = clock._kernel()
    assert told is None or isinstance(told, str) or told >= 0
