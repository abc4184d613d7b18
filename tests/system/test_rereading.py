"""What the journal holds, read again by a configuration that knows better: shown, corrected, the former kept."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.system.daemon import Daemon, free_port
from tests.system.peers import deliver, frames


def device(port: int, more: str = "") -> str:
    return (
        f'[[devices]]\nid = "a"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n'
        f'timezone = "Asia/Karachi"\n{more}\n'
    )


@contextmanager
def told(daemon: Daemon, port: int) -> Iterator[None]:
    """The daemon running, with one result of 12,4 acknowledged; stopped afterwards."""
    daemon.start()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            assert deliver(sock, b"\x05", *frames("S-1", "12,4")) == b"\x06" * 6
        yield
    finally:
        daemon.stop()


def differences(daemon: Daemon, *more: str) -> tuple[int, list[dict[str, Any]], int]:
    done = daemon.command("replay", "--diff", "--json", *more)
    told = json.loads(done.stdout)
    return done.returncode, told["differences"], told["stored"]


def test_a_better_configuration_corrects_what_was_stored_and_keeps_it(tmp_path: Path) -> None:
    port = free_port()
    daemon = Daemon(tmp_path, device(port))
    with told(daemon, port):
        (stored,) = daemon.until(1)
    assert (stored["value"], stored["quality"]) == ("12,4", "uncertain")
    assert differences(daemon) == (0, [], 0)

    daemon.config.write_text(daemon.config.read_text() + 'decimal = ","\n')
    code, (found,), kept = differences(daemon)
    assert (code, found["change"], found["seq"], kept) == (1, "changed", stored["seq"], 0)
    assert found["fields"]["value"] == ["12,4", 12.4]
    assert len(daemon.export()) == 1  # looking changes nothing

    code, _, kept = differences(daemon, "--apply")
    assert (code, kept) == (0, 1)
    first, second = daemon.export()
    assert first == stored
    assert (second["value"], second["status"], second["quality"]) == (12.4, "corrected", "good")
    assert (second["attributes"]["corrects"], second["raw"]) == (stored["seq"], stored["raw"])
    assert differences(daemon, "--apply") == (0, [], 0)  # corrected once
    report = daemon.verify()
    assert (report["exit"], report["unaccounted"]) == (0, 0)

    # A correction is itself corrected when the configuration is changed back.
    daemon.config.write_text(daemon.config.read_text().replace('decimal = ","\n', ""))
    assert differences(daemon, "--apply")[2] == 1
    third = daemon.export()[2]
    assert (third["value"], third["attributes"]["corrects"]) == ("12,4", second["seq"])
    assert differences(daemon) == (0, [], 0)


def test_what_is_no_longer_read_is_cancelled_and_what_is_new_is_added(tmp_path: Path) -> None:
    port = free_port()
    daemon = Daemon(tmp_path, device(port, "tests.CRP = { ignore = true }"))
    with told(daemon, port):
        pass
    assert daemon.export() == []
    daemon.config.write_text(daemon.config.read_text().replace("tests.CRP = { ignore = true }", ""))
    _, (new,), kept = differences(daemon, "--apply")
    assert (new["change"], kept) == ("new", 1)
    daemon.config.write_text(daemon.config.read_text() + "tests.CRP = { ignore = true }\n")
    _, (gone,), kept = differences(daemon, "--apply")
    assert (gone["change"], kept) == ("gone", 1)
    was, cancelled = daemon.export()
    assert (cancelled["status"], cancelled["value"], cancelled["quality"]) == ("cancelled", None, "bad")
    assert cancelled["attributes"]["corrects"] == was["seq"]
    assert cancelled["time"] == was["time"]
    assert differences(daemon, "--apply") == (0, [], 0)
