"""The real daemon in a process of its own, and free ports to run it on."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

PATIENCE = 20.0


def free_port() -> int:
    """Outside the range outgoing connections take theirs from: a daemon that is down for a moment finds it free."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def eventually(true: Callable[[], bool], within: float = 20.0) -> bool:
    """Whether it comes true in time (seconds)."""
    end = time.monotonic() + within
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class Daemon:
    """`assaygate run` on a folder. `start` returns once it has logged `ready`."""

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self.config = folder / "assaygate.toml"
        self.data_dir = folder / "data"
        self.http = free_port()
        self.config.write_text(
            f'[gateway]\nsite = "test"\ndata_dir = "{self.data_dir}"\n'
            f'[http]\nlisten = "127.0.0.1:{self.http}"\n{config}'
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.log: list[str] = []
        self._reader: threading.Thread | None = None

    @property
    def program(self) -> list[str]:
        """What is run as the daemon, before its own words."""
        return [sys.executable, "-m", "gateway.cli"]

    def start(self) -> None:
        """Returns once it is ready. Errors: AssertionError."""
        ready = self.begin()
        if not ready.wait(PATIENCE) or not self.alive:
            self.kill()
            raise AssertionError("the daemon did not become ready:\n" + "".join(self.log[-40:]))

    def begin(self) -> threading.Event:
        """Start it and do not wait; the event is set once it is ready, or has ended."""
        self.process = subprocess.Popen(
            [*self.program, "run", "-c", str(self.config)],
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self.process, ready))
        self._reader.start()
        return ready

    def _read(self, process: subprocess.Popen[bytes], ready: threading.Event) -> None:
        assert process.stderr
        with process.stderr:
            for line in process.stderr:
                self.log.append(line.decode(errors="replace"))
                if b'"event": "ready"' in line or b'"event":"ready"' in line:
                    ready.set()
        process.wait()  # its output ends a moment before it does
        ready.set()

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; the exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        if self._reader:
            self._reader.join()
        self.process = None
        return status

    def stop(self) -> int:
        return self.kill(signal.SIGTERM)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a page. Errors: OSError (no answer)."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def connected(self, device: str) -> bool:
        """Whether its link is: on MQTT, whether the broker has granted what it subscribes to."""
        return any(one["id"] == device and one["state"] == "connected" for one in self.devices())

    def devices(self) -> list[dict[str, Any]]:
        """As the page has them."""
        listed: list[dict[str, Any]] = json.loads(self.get("/api/v1/devices")[1])["items"]
        return listed

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another assaygate command with this configuration."""
        name, *rest = arguments
        return self.command_plain(name, "-c", str(self.config), *rest)

    def command_plain(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command that takes no configuration."""
        return subprocess.run(
            [sys.executable, "-m", "gateway.cli", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def export(self, *arguments: str) -> list[dict[str, Any]]:
        done = self.command("export", *arguments)
        assert done.returncode == 0, done.stderr
        return [orjson.loads(line) for line in done.stdout.splitlines()]

    def verify(self, *ledgers: Path) -> dict[str, Any]:
        done = self.command("verify", "--json", *(f"--against={ledger}" for ledger in ledgers))
        assert done.stdout, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return {**report, "exit": done.returncode}

    def until(self, count: int, *arguments: str) -> list[dict[str, Any]]:
        """Wait until the journal holds `count` observations."""
        end = time.monotonic() + PATIENCE
        while len(rows := self.export(*arguments)) < count and time.monotonic() < end:
            time.sleep(0.1)
        return rows
