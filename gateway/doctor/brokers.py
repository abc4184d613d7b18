"""A broker, as it treats a gateway that is away for a while."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import Final

from gateway.doctor import mosquitto
from gateway.doctor.probe import MESSAGES, Measured, ProbeError, measure
from gateway.finding import Check, good, problem, unknown, warning
from gateway.links.options import BrokerOptions

PATIENCE: Final = 3.0  # seconds a peer has to answer

_QUEUE: Final = (
    "In mosquitto.conf write: max_queued_messages 0 (no limit; by default 1000, the rest is dropped without a word) / "
    "max_queued_bytes 0. Elsewhere: EMQX mqtt.max_mqueue_len, HiveMQ max-queued-messages."
)
_SESSION: Final = (
    "Let the broker keep persistent sessions: in mosquitto.conf no persistent_client_expiration below "
    "brokers.session_expiry; EMQX mqtt.session_expiry_interval; an ACL may forbid them."
)


async def look(broker: BrokerOptions, *, reading: bool) -> AsyncIterator[Check]:
    """`reading`: devices are on it, so that what it keeps while we are away matters."""
    login = await _login(broker)
    yield login
    if not login.ok or not reading:
        return
    name = f"broker {broker.id}: queue"
    try:
        measured = await asyncio.to_thread(measure, broker)
    except (ProbeError, OSError, ValueError) as error:
        remedy = f"Allow the topics assaygate-doctor/# to this user, or see yourself. {_QUEUE}"
        yield unknown(name, str(error) or "no answer", remedy)
    else:
        for check in judge(name, measured, broker.session_expiry):
            yield check
    yield await asyncio.to_thread(mosquitto.persistence, f"broker {broker.id}: persistence", broker.host, broker.number)


def judge(name: str, measured: Measured, expiry: float) -> Iterator[Check]:
    """`expiry`: seconds a session is to be kept."""
    kept, taken = measured.kept, measured.taken
    if measured.qos == 0:
        yield problem(name, "the broker grants QoS 0 only: nothing is kept for us while we are away", _SESSION)
    elif not measured.session:
        yield problem(
            name, "our session is forgotten as soon as we leave, and what is sent meanwhile is lost", _SESSION
        )
    elif kept < taken:
        found = (
            f"of {taken} messages sent to a client that is away and acknowledged, {kept} were kept, the rest dropped"
        )
        yield problem(name, found, _QUEUE)
    elif taken < MESSAGES:
        found = f"{taken} messages are kept for a client that is away; more were refused, so their sender knows"
        yield warning(name, found, _QUEUE)
    else:
        yield good(name, f"at least {kept} messages are kept for a client that is away")
    if measured.session and measured.expiry is not None and measured.expiry < int(expiry):
        found = (
            f"the broker keeps our session for {measured.expiry:g} s, not the {expiry:g} s of brokers.session_expiry"
        )
        yield warning(f"{name}: for how long", found, _SESSION)
    version, dropped = (next((text for at, text in measured.told.items() if at.endswith(end)), "")
                        for end in ("/version", "/dropped"))  # fmt: skip
    if dropped.isdigit() and int(dropped):
        found = f"{version or 'the broker'} has dropped {dropped} messages since its start, for whom it does not say"
        yield warning(f"{name}: dropped", f"{found} (earlier looks of the doctor count)", _QUEUE)


async def _login(broker: BrokerOptions) -> Check:
    """Log in as the gateway would, under a name of our own."""
    import aiomqtt

    from gateway.sinks.mqtt import client_of

    name, where = f"broker {broker.id}", f"{broker.host}:{broker.number}"
    try:
        async with asyncio.timeout(PATIENCE), await client_of(broker, f"assaygate-doctor-{os.getpid()}", PATIENCE):
            pass
    except (aiomqtt.MqttError, OSError, ValueError, TimeoutError) as error:
        remedy = "Start the broker, or correct host, port, tls, username or password of brokers."
        return problem(name, f"{where}: {error or 'no answer'}", remedy)
    return good(name, f"{where} lets us in")
