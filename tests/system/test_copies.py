"""Backup under load, restore, and salvage, as an operator does them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.journal import seals
from gateway.journal.copies import AHEAD
from gateway.journal.schema import FILE
from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import Analyser

DEVICE = """
[[devices]]
id = "analyser"
driver = "astm"
link = {{ type = "tcp-listen", port = {port} }}
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path, DEVICE.format(port=free_port()))
    yield made
    made.stop()


@pytest.fixture
def analyser(daemon: Daemon) -> Iterator[Analyser]:
    port = int(daemon.config.read_text().split("port = ")[1].split()[0])
    made = Analyser(port, "S", 1_000_000)
    yield made
    made.stop()


def specimens(daemon: Daemon) -> set[str]:
    return {row["specimen"] for row in daemon.export() if row["kind"] == "result"}


def test_a_backup_made_under_load_is_whole_and_can_be_put_back(daemon: Daemon, analyser: Analyser) -> None:
    daemon.start()
    analyser.start()
    assert eventually(lambda: len(analyser.acknowledged) > 50)
    before = set(analyser.acknowledged)
    target = daemon.folder / "copy.sqlite"
    done = daemon.command("backup", "-o", str(target), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["problems"] == []
    assert not before - set(analyser.acknowledged)
    time.sleep(0.5)
    analyser.stop()
    assert eventually(lambda: len(specimens(daemon)) == len(analyser.acknowledged))
    last = max(row["seq"] for row in daemon.export())
    daemon.stop()

    refused = daemon.command("restore", str(target))
    assert refused.returncode == 1
    assert "already there" in refused.stderr

    shutil.move(daemon.data_dir / FILE, daemon.folder / "lost.sqlite")
    for beside in ("-wal", "-shm"):
        (daemon.data_dir / (FILE + beside)).unlink(missing_ok=True)
    done = daemon.command("restore", str(target), "--json")
    assert done.returncode == 0, done.stderr
    daemon.start()
    # What was received before the backup is there as soon as it has been decoded.
    assert eventually(lambda: before <= specimens(daemon))
    assert daemon.verify()["exit"] == 0
    assert max(row["seq"] for row in daemon.export()) > last, "a position is used twice"


def test_a_backup_needs_the_key_it_was_sealed_with(daemon: Daemon) -> None:
    daemon.start()
    assert eventually(lambda: "none yet" not in daemon.verify()["seals"])
    target = daemon.folder / "copy.sqlite"
    assert daemon.command("backup", "-o", str(target)).returncode == 0
    again = daemon.command("backup", "-o", str(target))
    assert (again.returncode, "already there" in again.stderr) == (1, True)
    daemon.stop()
    key = daemon.folder / "kept-elsewhere"
    shutil.move(daemon.data_dir / seals.KEY, key)
    shutil.rmtree(daemon.data_dir)
    done = daemon.command("restore", str(target))
    assert (done.returncode, "--key" in done.stderr) == (1, True)
    assert daemon.command("restore", str(target), "--key", str(key)).returncode == 0
    assert daemon.verify()["exit"] == 0


def test_a_backup_that_was_altered_is_not_put_back(daemon: Daemon, analyser: Analyser) -> None:
    daemon.start()
    analyser.start()
    assert eventually(lambda: len(analyser.acknowledged) > 20)
    analyser.stop()
    assert eventually(lambda: ", 0 not sealed" in daemon.verify()["seals"])
    target = daemon.folder / "copy.sqlite"
    assert daemon.command("backup", "-o", str(target)).returncode == 0
    daemon.stop()
    content = target.read_bytes()
    assert b"S-00007" in content
    target.write_bytes(content.replace(b"S-00007", b"S-00008"))
    shutil.move(daemon.data_dir / FILE, daemon.folder / "away.sqlite")
    done = daemon.command("restore", str(target))
    assert done.returncode == 1
    assert "altered" in done.stderr
    assert not (daemon.data_dir / FILE).exists()


def test_a_damaged_journal_is_not_opened_and_what_is_salvaged_goes_on(daemon: Daemon, analyser: Analyser) -> None:
    daemon.start()
    analyser.start()
    assert eventually(lambda: len(analyser.acknowledged) > 50)
    analyser.stop()
    assert eventually(lambda: len(specimens(daemon)) == len(analyser.acknowledged))
    daemon.stop()  # everything is in the file, nothing in its log
    daemon.start()
    daemon.kill()
    path = daemon.data_dir / FILE
    content = bytearray(path.read_bytes())
    for page in range(2, len(content) // 4096, 7):
        content[4096 * page : 4096 * page + 2000] = b"\xa5" * 2000
    path.write_bytes(content)
    with pytest.raises(AssertionError, match="salvage"):
        daemon.start()
    new = daemon.folder / "new"
    done = daemon.command_plain("salvage", str(daemon.data_dir), str(new), "--json")
    report = json.loads(done.stdout)
    assert done.returncode == (1 if report["raw"]["missing_count"] or report["observation"]["missing_count"] else 0)
    shutil.move(daemon.data_dir, daemon.folder / "damaged")
    shutil.move(new, daemon.data_dir)
    daemon.start()
    assert eventually(lambda: daemon.verify()["exit"] == 0), daemon.verify()
    assert len(specimens(daemon)) > 10
    assert specimens(daemon) <= set(analyser.acknowledged)
    assert max(row["seq"] for row in daemon.export()) > AHEAD
