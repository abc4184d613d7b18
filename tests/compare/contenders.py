"""What a user would pick instead, each set up as its own manual says, as a process that can be killed.

Node-RED stands in `.compare/` (`make compare` installs it); senaite.astm takes part where its command
`senaite-astm-server` is on the path.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.system.daemon import Daemon, eventually, free_port, listens
from tests.system.peers import Broker

ROOT: Final = Path(__file__).parent.parent.parent
HOME: Final = ROOT / ".compare"
Kept = Iterator[tuple[str | int, float]]  # a specimen's or reading's name, and its value


class Contender:
    """One program in one setting. It hears an analyser on `port`, or `link` "mqtt": the topic `lab/freezer`."""

    name = ""
    link = "astm"

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.folder, self.broker, self.port = folder, broker, free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)

    @staticmethod
    def missing() -> str:
        """Why it cannot take part here; "": it can."""
        return ""

    def words(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        """Returns when it hears."""
        log = (self.folder / "log.txt").open("ab")
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            self.words(),
            stdin=subprocess.DEVNULL,
            stdout=self.output() or log,
            stderr=log,
            env=environment,
            cwd=ROOT,
        )
        log.close()
        if not eventually(self.hears, 60):
            raise RuntimeError((self.folder / "log.txt").read_text(errors="replace")[-2000:])

    def hears(self) -> bool:
        return listens(self.port)

    def output(self) -> Any:
        """Where its standard output goes; None: into the log."""
        return None

    def kill(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def kept(self) -> Kept:
        """What it has stored."""
        file = self.folder / "kept.txt"
        for line in file.read_text(errors="replace").splitlines() if file.exists() else ():
            with suppress(ValueError):
                name, value = json.loads(line)
                yield name, float(value)

    def stop(self) -> None:
        self.kill()


class Script(Contender):
    name = "a script that acknowledges and writes a file"

    def words(self) -> list[str]:
        port = self.broker.port if self.link == "mqtt" else self.port
        return [sys.executable, "-m", "tests.compare.script", self.link, str(port), str(self.folder / "kept.txt")]


class MqttScript(Script):
    name = "a script, paho, a session that stays"
    link = "mqtt"

    def hears(self) -> bool:
        return True


class Library(Contender):
    name = "PyPI astm-2025, its server writing a file"

    def words(self) -> list[str]:
        return [sys.executable, "-m", "tests.system.astm_peer", "server", str(self.port)]

    def output(self) -> Any:
        return (self.folder / "records.txt").open("ab")

    def kept(self) -> Kept:
        specimen = ""
        for line in (self.folder / "records.txt").read_text(errors="replace").splitlines():
            with suppress(ValueError):
                record = json.loads(line)
                if record[0] == "O":
                    specimen = record[2]
                elif record[0] == "R":
                    yield specimen, float(record[3])


class Senaite(Contender):
    name = "senaite.astm, writing files"

    @staticmethod
    def missing() -> str:
        return "" if shutil.which("senaite-astm-server") else "senaite-astm-server is not installed"

    def words(self) -> list[str]:
        (self.folder / "out").mkdir(exist_ok=True)
        return ["senaite-astm-server", "-l", "127.0.0.1", "-p", str(self.port), "-o", str(self.folder / "out")]

    def kept(self) -> Kept:
        for file in sorted((self.folder / "out").rglob("*")):
            specimen = ""
            for record in file.read_text(errors="replace").splitlines() if file.is_file() else ():
                fields = record.split("|")
                if fields[0].endswith("O"):
                    specimen = fields[2]
                elif fields[0].endswith("R"):
                    yield specimen, float(fields[3])


class NodeRed(Contender):
    """TCP in, a function that speaks LIS01-A2, a file: as its editor would save it."""

    name = "Node-RED 4, tcp in, function, write file"

    @staticmethod
    def missing() -> str:
        return "" if (HOME / "node_modules" / "node-red").exists() else "node-red is not installed: make compare"

    def words(self) -> list[str]:
        (self.folder / "flows.json").write_text(json.dumps(self.flow()))
        (self.folder / "settings.js").write_text(
            f'module.exports = {{ flowFile: "flows.json", uiPort: {free_port()}, uiHost: "127.0.0.1", diagnostics: '
            "{ enabled: false }, telemetry: { enabled: false, updateNotification: false } }"
        )
        command = str(HOME / "node_modules" / ".bin" / "node-red")
        return [command, "--userDir", str(self.folder), "--settings", str(self.folder / "settings.js")]

    def flow(self) -> list[dict[str, Any]]:
        tab = {"id": "t", "type": "tab", "label": "lab"}
        file = {
            "id": "file",
            "type": "file",
            "z": "t",
            "filename": str(self.folder / "kept.txt"),
            "filenameType": "str",
            "appendNewline": True,
            "createDir": False,
            "overwriteFile": "false",
            "encoding": "none",
            "wires": [[]],
        }
        nodes = [file, *self.source()]
        # What has no place on the sheet is taken for a configuration shared by others.
        return [tab, *({"x": 100, "y": 100, **node} if "z" in node else node for node in nodes)]

    def source(self) -> list[dict[str, Any]]:
        return [
            {
                "id": "in",
                "type": "tcp in",
                "z": "t",
                "server": "server",
                "host": "",
                "port": str(self.port),
                "datamode": "stream",
                "datatype": "buffer",
                "newline": "",
                "wires": [["function"]],
            },
            {
                "id": "function",
                "type": "function",
                "z": "t",
                "func": (Path(__file__).parent / "nodered.js").read_text(),
                "outputs": 2,
                "wires": [["out"], ["file"]],
            },
            {"id": "out", "type": "tcp out", "z": "t", "beserver": "reply", "base64": False, "end": False, "wires": []},
        ]


class NodeRedMqtt(NodeRed):
    name = "Node-RED 4, mqtt in with a session that stays, write file"
    link = "mqtt"

    def source(self) -> list[dict[str, Any]]:
        return [
            {
                "id": "broker",
                "type": "mqtt-broker",
                "broker": "127.0.0.1",
                "port": str(self.broker.port),
                "clientid": "node-red",
                "autoConnect": True,
                "protocolVersion": "4",
                "keepalive": "60",
                "cleansession": False,
            },
            {
                "id": "in",
                "type": "mqtt in",
                "z": "t",
                "topic": "lab/freezer",
                "qos": "1",
                "datatype": "json",
                "broker": "broker",
                "wires": [["function"]],
            },
            {
                "id": "function",
                "type": "function",
                "z": "t",
                "func": "return { payload: JSON.stringify([msg.payload.n, msg.payload.temp]) };",
                "outputs": 1,
                "wires": [["file"]],
            },
        ]

    def hears(self) -> bool:
        return b"Connected to broker" in (self.folder / "log.txt").read_bytes().rpartition(b"Welcome to Node-RED")[2]


class Assaygate(Contender):
    name = "assaygate"
    _device = '[[devices]]\nid = "d"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n'

    def __init__(self, folder: Path, broker: Broker) -> None:
        super().__init__(folder, broker)
        self._daemon = Daemon(folder, self._device.format(port=self.port, broker=broker.port))

    def start(self) -> None:
        self._daemon.start()

    def kill(self) -> None:
        self._daemon.kill()

    def kept(self) -> Kept:
        for row in self._daemon.export():
            yield (int(row["attributes"]["n"]) if self.link == "mqtt" else str(row["specimen"])), float(row["value"])


class AssaygateMqtt(Assaygate):
    link = "mqtt"
    _device = (
        '[[brokers]]\nid = "b"\nhost = "127.0.0.1"\nport = {broker}\n[[devices]]\nid = "d"\ndriver = "mqtt-json"\n'
        'link = {{ type = "mqtt", broker = "b", topic = "lab/freezer" }}\n'
        'readings = [ {{ quantity = "temperature", path = "$.temp", unit = "Cel" }} ]\n'
    )


CONTENDERS: Final[tuple[type[Contender], ...]] = (
    Script,
    Library,
    Senaite,
    NodeRed,
    Assaygate,
    MqttScript,
    NodeRedMqtt,
    AssaygateMqtt,
)
