"""The broker is restarted, killed, forgets, repeats itself, refuses and floods; devices on other links are served."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

import paho.mqtt.client as mqtt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion

from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import Broker
from tests.system.stores import needed
from tests.torture.daemon import OnFaultyDisk
from tests.torture.load import FLOOD, Load
from tests.torture.relay import Relay
from tests.torture.row import Room, Row, Tally
from tests.torture.rows.wire import ROOMY, grown

STORM: Final = 3000  # retained topics


def restarted(room: Room) -> Tally:
    """Stopped and started anew: it has its sessions and what was queued."""

    def again(broker: Broker) -> None:
        broker.stop()
        broker.start()

    return _again_and_again(room, again)


def killed(room: Room) -> Tally:
    """Killed: what it had not written down of sessions is gone, and with them who had subscribed."""

    def again(broker: Broker) -> None:
        broker.kill()
        broker.start()

    return _again_and_again(room, again)


def forgotten(room: Room) -> Tally:
    """It comes back without our session: we subscribe anew, and say so."""

    def again(broker: Broker) -> None:
        broker.stop()
        broker.forget()
        broker.start()

    return _again_and_again(room, again, "broker forgot the session")


def _again_and_again(room: Room, again: Callable[[Broker], None], said: str = "") -> Tally:
    chance = random.Random(20260121)
    load = _numbered(room)
    daemon = load.begin()
    assert load.broker
    for _ in range(3 * room.scale):
        time.sleep(chance.uniform(0.3, 1.0))
        again(load.broker)
        room.check(eventually(lambda: _reads_on(load), 60), "nothing comes from the broker any more")
        room.check(load.goes_on(5), "other instruments wait for the broker")
    room.check(not said or any(said in line for line in daemon.log), f"not said: {said}")
    return load.tally(daemon)


def redelivered(room: Room) -> Tally:
    """Connections break between a delivery and its acknowledgement: it comes again, and is one reading."""
    load = Load(room, astm=1, hl7=0, serial=0)
    assert load.broker
    relay = Relay(load.broker.port)
    room.also.callback(relay.stop)
    load.to_broker = relay.port
    daemon = load.begin()
    relay.faults({"reset": 0.1}, {"reset": 0.02})
    room.check(eventually(lambda: relay.happened > 3 * room.scale, 120), "the faults never came")
    relay.faults({}, {})
    room.check(load.goes_on(), "other instruments wait for the broker")
    return load.tally(daemon)


def storm(room: Room) -> Tally:
    """Thousands of retained messages at every new subscription: each is stored once, however often it comes."""
    load = _numbered(room)
    assert load.broker
    load.more = (
        f'[[devices]]\nid = "{FLOOD}"\ndriver = "mqtt-json"\nlink = {{ type = "mqtt", broker = "bench", '
        f'topic = "retained/#" }}\nreadings = [ {{ quantity = "temperature", path = "$.temp", unit = "Cel" }} ]\n'
    )
    relay = Relay(load.broker.port)
    room.also.callback(relay.stop)
    load.to_broker = relay.port
    load.broker.start()
    _retain(load.broker.port)
    load.broker.stop()
    daemon = load.begin()

    def stored() -> int:
        return sum(row["device"] == FLOOD for row in daemon.export())

    room.check(eventually(lambda: stored() >= STORM, 90), "not every retained message arrives")
    for _ in range(room.scale):
        relay.black.set()  # what is published while we are subscribed is new, retained or not
        load.broker.stop()
        load.broker.forget()
        load.broker.start()
        _retain(load.broker.port)
        relay.black.clear()
        room.check(eventually(lambda: _reads_on(load), 60), "nothing comes from the broker any more")
        room.check(load.goes_on(5), "other instruments wait for the storm")
    tally = load.tally(daemon)
    room.check(stored() == STORM, f"{stored()} of {STORM} retained messages are stored")
    return tally.noting(room.broken)


def too_much_in_flight(room: Room) -> Tally:
    """More is under way than may be at once, over a slow disk: it waits at the broker, not in memory."""
    load = Load(room, astm=1, hl7=0, serial=0, pause=0.0005)
    load.broker_more = "receive_maximum = 10\n"
    daemon = load.begin(obeying_disk=True)
    assert isinstance(daemon, OnFaultyDisk) and load.publisher
    more = grown(daemon)
    daemon.disk(slow=0.2)
    before = load.publisher.sent
    room.check(eventually(lambda: load.publisher.sent > before + 3000 * room.scale, 60), "the flood never came")  # type: ignore[union-attr]
    room.check(load.goes_on(2), "other instruments wait for the broker")
    waiting = load.publisher.sent - len(daemon.export())
    room.check(waiting > 1000, f"only {waiting} wait: the fault never came")
    room.check(more() < ROOMY, f"grew by {more() / 1e6:.0f} MB")
    daemon.disk()
    return load.tally(daemon)


def wrong_password(room: Room) -> Tally:
    """The broker does not know our password any more: said, tried again in patience, and back once it is right."""
    load = _numbered(room)
    assert load.broker
    passwords = room.folder / "passwords"
    _password(passwords, "right")
    load.broker.configure(f"allow_anonymous true\npassword_file {passwords}\n")
    (room.folder / "secret").write_text("right\n")
    load.broker_more = f'username = "gateway"\npassword = {{ file = "{room.folder / "secret"}" }}\n'
    daemon = load.begin()
    for _ in range(room.scale):
        _password(passwords, "another")
        _restart(load.broker)
        room.check(_names(daemon, "not authori"), "does not say that it is refused")
        room.check(load.goes_on(5), "other instruments wait for the broker")
        _password(passwords, "right")
        _restart(load.broker)
        room.check(eventually(lambda: daemon.connected("freezer"), 60), "does not come back")
    return load.tally(daemon)


def expired(room: Room) -> Tally:
    """The broker's certificate expires: said, and nothing is trusted until it is renewed."""
    load = _numbered(room)
    assert load.broker
    folder, load.to_broker = room.folder, free_port()
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "key.pem").write_bytes(_pem(key))
    _certificate(folder / "cert.pem", key, days=1)
    load.broker.configure(
        f"allow_anonymous true\nlistener {load.to_broker} 127.0.0.1\nallow_anonymous true\n"
        f"certfile {folder / 'cert.pem'}\nkeyfile {folder / 'key.pem'}\n"
    )
    load.broker_more = f'tls = {{ ca = "{folder / "cert.pem"}" }}\n'
    daemon = load.begin()
    for _ in range(room.scale):
        _certificate(folder / "cert.pem", key, days=-1)
        _restart(load.broker)
        room.check(_names(daemon, "expired"), "does not say that the certificate has expired")
        room.check(load.goes_on(5), "other instruments wait for the broker")
        _certificate(folder / "cert.pem", key, days=1)
        _restart(load.broker)
        room.check(eventually(lambda: daemon.connected("freezer"), 60), "does not come back")
    return load.tally(daemon)


def _numbered(room: Room) -> Load:
    """A publisher that sends again what the broker did not acknowledge sends two messages: their own number tells
    that they are one."""
    load = Load(room, astm=1, hl7=0, serial=0)
    load.freezer = 'message_id = "$.n"\n'
    return load


def _reads_on(load: Load) -> bool:
    """Whether something has arrived that was published since the call before."""
    assert load.publisher
    before = len(load.publisher.acknowledged)
    return eventually(lambda: len(load.publisher.acknowledged) > before + 5, 5)  # type: ignore[union-attr]


def _restart(broker: Broker) -> None:
    broker.stop()
    broker.start()


def _names(daemon: Daemon, words: str) -> bool:
    """Whether the device on the broker says what is wrong."""

    def told() -> bool:
        (freezer,) = (one for one in daemon.devices() if one["id"] == "freezer")
        return freezer["state"] == "waiting" and words in freezer["detail"].lower()

    return eventually(told, 60)


def _retain(port: int) -> None:
    """One retained reading on each of thousands of topics."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "retainer")
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for n in range(STORM):
        last = client.publish(f"retained/{n}", f'{{"temp": {n / 100}, "n": {n}}}', 1, retain=True)
    last.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


def _password(path: Path, word: str) -> None:
    path.unlink(missing_ok=True)
    subprocess.run([needed("mosquitto_passwd", "mosquitto"), "-b", "-c", str(path), "gateway", word], check=True)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(path: Path, key: ec.EllipticCurvePrivateKey, days: int) -> None:
    """Its own issuer, for 127.0.0.1, until so many days from now."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))


ROWS: Final = (
    Row("broker", "restarted", restarted, ("broker.once_only",)),
    Row("broker", "killed", killed, ("broker.once_only",)),
    Row("broker", "our session forgotten", forgotten, ("broker.still_subscribed",)),
    Row("broker", "delivered again after a break", redelivered, ("broker.every_delivery_is_new",)),
    Row("broker", "a storm of retained messages", storm, ("broker.retained_is_new",)),
    Row("broker", "more than may be in flight", too_much_in_flight, ("core.swallow",)),
    Row("broker", "wrong password", wrong_password, ("broker.gives_up",)),
    Row("broker", "certificate expired", expired, ("broker.trusts_anyone",)),
)
