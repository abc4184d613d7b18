"""What is there to connect: serial ports and brokers. Nothing is opened to find out what is on it, since
opening a serial port resets some instruments."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that can be put into a configuration."""

    where: str  # a device path, or host:port
    what: str


def serial_ports() -> Iterator[Found]:
    """Serial ports by their lasting names: by-id, or by-path where the adapter has no serial number."""
    from serial.tools import list_ports

    stable: dict[str, str] = {}
    for folder in ("/dev/serial/by-path", "/dev/serial/by-id"):
        if Path(folder).is_dir():
            stable |= {str(link.resolve()): str(link) for link in Path(folder).iterdir()}
    for port in list_ports.comports():
        yield Found(stable.get(port.device, port.device), port.description or "serial port")


def brokers() -> Iterator[Found]:
    """An MQTT broker on this machine, by its usual ports."""
    for port, what in ((1883, "MQTT"), (8883, "MQTT over TLS")):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.3).close()
        except OSError:
            continue
        yield Found(f"127.0.0.1:{port}", what)


HEAD = """\
#:schema assaygate.schema.json
# assaygate's configuration. `assaygate check -c FILE` says whether it holds; `assaygate drivers` lists what can be
# connected, `assaygate drivers NAME` prints one driver's manual with an example for this file.

[gateway]
site = "my-laboratory"
data_dir = "{data_dir}"

[http]
listen = "127.0.0.1:8470"      # the page; any other address needs a token
"""

SERIAL = """
# {what}
# [[devices]]
# id = "balance-1"
# driver = "mt-sics"           # what is at the other end of the cable?
# link = {{ type = "serial", port = "{where}", baudrate = 9600 }}
# poll = "1s"
"""

BROKER = """
# {what} broker found here.
[[brokers]]
id = "bench"
host = "{host}"
port = {port}
# username = "gateway"
# password = {{ env = "BENCH_MQTT_PASSWORD" }}

# [[devices]]
# id = "freezer-1"
# driver = "mqtt-json"
# link = {{ type = "mqtt", broker = "bench", topic = "lab/freezer-1/+" }}
# readings = [ {{ quantity = "temperature", path = "$.temp", unit = "Cel" }} ]
"""

TAIL = """
# An analyser that connects to us over TCP and speaks ASTM:
# [[devices]]
# id = "analyser-1"
# driver = "astm"
# link = {{ type = "tcp-listen", host = "0.0.0.0", port = 5001, allow = ["10.20.0.0/24"] }}
# timezone = "Asia/Karachi"
# tests."^^^SARS" = {{ quantity = "sars-cov-2-ag", loinc = "94558-4" }}

# [[sinks]]
# id = "influx"
# type = "influxdb"
# url = "http://127.0.0.1:8086"
# org = "lab"
# bucket = "instruments"
# token = {{ env = "INFLUX_TOKEN" }}

# [[alarms]]
# id = "freezer-warm"
# when = {{ device = "freezer-*", quantity = "temperature", above = -70.0, for = "10m", clear_below = -72.0 }}
# priority = "critical"
"""


def configuration(data_dir: Path) -> str:
    """A commented configuration with what was found; it passes `assaygate check` as it stands."""
    text = HEAD.format(data_dir=data_dir)
    for found in serial_ports():
        text += SERIAL.format(what=found.what, where=found.where)
    for found in brokers():
        host, _, port = found.where.partition(":")
        text += BROKER.format(what=found.what, host=host, port=port)
    return text + TAIL.format()
