"""What keeps a broker's deliveries whole, taken away."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from paho.mqtt import client as paho

from gateway import identity
from gateway.journal import redelivery
from gateway.links import mqtt


def once_only() -> None:
    """A broker that is lost is not connected to again."""
    real = mqtt.Broker._once

    async def once(self: Any, epoch: int) -> str:
        if epoch > 1:
            await asyncio.Event().wait()
        return await real(self, epoch)

    setattr(mqtt.Broker, "_once", once)  # noqa: B010 - another shape on purpose


def still_subscribed() -> None:
    """What was subscribed to once is taken for subscribed to for ever."""
    real = mqtt.Broker._arrive
    setattr(mqtt.Broker, "_arrive", lambda self, _present: real(self, True))  # noqa: B010 - another shape on purpose


def every_delivery_is_new() -> None:
    """What the broker delivers again is taken for new."""
    setattr(redelivery.Redelivered, "find", lambda *_: None)  # noqa: B010 - another shape on purpose


def retained_is_new() -> None:
    """What the broker retained is taken for measured now."""
    real = identity.Uids.__init__

    def begin(self: Any, *arguments: Any) -> None:
        real(self, *arguments)
        self._by_content = False

    setattr(identity.Uids, "__init__", begin)  # noqa: B010 - another shape on purpose


def gives_up() -> None:
    """A refusal ends it."""
    real = mqtt.Broker.report

    def report(self: Any, state: Any, detail: str) -> None:
        real(self, state, detail)
        if "uthor" in detail:
            setattr(self, "_once", lambda _epoch: asyncio.Event().wait())  # noqa: B010 - another shape on purpose

    setattr(mqtt.Broker, "report", report)  # noqa: B010 - another shape on purpose


def trusts_anyone() -> None:
    """Certificates are not looked at."""
    real = paho.Client.tls_set

    def tls_set(self: Any, ca: Any, cert: Any, key: Any) -> None:
        real(self, ca, cert, key, cert_reqs=ssl.CERT_NONE)
        self.tls_insecure_set(True)

    setattr(paho.Client, "tls_set", tls_set)  # noqa: B010 - another shape on purpose
