"""What a laboratory's own script does: acknowledge, and add a line to a file. `python -m tests.compare.script astm PORT
FILE` or `... mqtt PORT FILE` (a session that stays, QoS 1)."""

from __future__ import annotations

import json
import socketserver
import sys
from pathlib import Path
from typing import Any


def astm(port: int, file: Path) -> None:
    """Every frame is checked and acknowledged; at EOT its results are written."""

    class Analyser(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            records: list[str] = []
            while byte := self.rfile.read(1):
                if byte == b"\x05":
                    records = []
                    self.wfile.write(b"\x06")
                elif byte == b"\x02":
                    frame = self.rfile.readline()
                    body, check = frame[:-4], frame[-4:-2]
                    good = f"{sum(body) % 256:02X}".encode() == check
                    self.wfile.write(b"\x06" if good else b"\x15")
                    records += [body[1:].decode(errors="replace").rstrip("\r\x03")] if good else []
                elif byte == b"\x04":
                    with file.open("a") as out:
                        out.writelines(f"{line}\n" for line in results(records))

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    Server(("127.0.0.1", port), Analyser).serve_forever()


def results(records: list[str]) -> list[str]:
    """Specimen and value of each result, as JSON."""
    specimen, found = "", []
    for record in records:
        fields = record.split("|")
        if fields[0].endswith("O"):
            specimen = fields[2]
        elif fields[0].endswith("R"):
            found.append(json.dumps([specimen, fields[3]]))
    return found


def mqtt(port: int, file: Path) -> None:
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    def keep(_client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        reading = json.loads(message.payload)
        with file.open("a") as out:
            out.write(json.dumps([reading["n"], reading["temp"]]) + "\n")

    def subscribe(client: paho.Client, *_: Any) -> None:
        client.subscribe("lab/freezer", 1)

    client = paho.Client(CallbackAPIVersion.VERSION2, "script", clean_session=False)
    client.on_message = keep
    client.on_connect = subscribe
    client.connect("127.0.0.1", port)
    client.loop_forever()


if __name__ == "__main__":
    {"astm": astm, "mqtt": mqtt}[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
