"""What a connection says of itself to Sparkplug edge nodes: a host's STATE message (Sparkplug 3.0, chapters 4 and 5).

Retained, so that a node which starts later knows it too. "Offline" is the connection's will, and said before it ends.
"""

from __future__ import annotations

import json
import time

from paho.mqtt import client as paho


class HostState:
    """One connection's STATE: its birth carries the timestamp of its will."""

    def __init__(self, client: paho.Client, host: str) -> None:
        self.topic = f"spBv1.0/STATE/{host}"
        self._client = client
        self._at = time.time_ns() // 1_000_000
        client.will_set(self.topic, self._payload(online=False), qos=1, retain=True)

    def _payload(self, *, online: bool) -> bytes:
        return json.dumps({"online": online, "timestamp": self._at}, separators=(",", ":")).encode()

    def online(self) -> None:
        """After CONNACK. Our own topic is listened to: the will of the connection before may come late."""
        self._client.subscribe(self.topic, 1)
        self._say(online=True)

    def offline(self) -> None:
        """Before DISCONNECT, which takes the will away."""
        self._say(online=False)

    def heard(self, payload: bytes) -> None:
        """What stands on our topic: if somebody says that we are gone, we are not."""
        try:
            said = json.loads(payload)
        except ValueError:
            said = None
        if not isinstance(said, dict) or said.get("online") is False:
            self._say(online=True)

    def _say(self, *, online: bool) -> None:
        self._client.publish(self.topic, self._payload(online=online), qos=1, retain=True)
