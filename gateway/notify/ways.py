"""The ways a message goes: each sends it once, and says "" or why it did not go.

Addresses are secrets: no answer, log line or record carries one, so errors are told by their kind alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
import structlog

from gateway.notify.message import Message
from gateway.notify.options import NotifierOptions
from gateway.secrets import SecretRef

if TYPE_CHECKING:
    from gateway.config import Config

log = structlog.get_logger()

WITHIN: Final = 30.0  # seconds for one delivery
FAREWELL: Final = 1.0  # seconds to leave a broker
SIGNATURE: Final = "X-Assaygate-Signature"
TIMESTAMP: Final = "X-Assaygate-Timestamp"


async def send(options: NotifierOptions, config: Config, message: Message, now: float) -> str:
    """Deliver one message; "" or why it did not go."""
    try:
        async with asyncio.timeout(WITHIN):
            return await _WAYS[options.type](options, config, message, now)
    except TimeoutError:
        return f"no answer within {WITHIN:g} s"


async def _log(options: NotifierOptions, _config: Config, message: Message, _now: float) -> str:
    log.warning("notification", notifier=options.id, title=message.title, text=message.text)
    return ""


async def _apprise(options: NotifierOptions, config: Config, message: Message, _now: float) -> str:
    try:
        addresses = [await secret(url) for url in options.urls]
        there = await asyncio.to_thread(_known, addresses)
    except ImportError:
        return "apprise is not installed: pip install 'assaygate[notify]'"
    except ValueError as error:
        return str(error)
    if there is None:
        return "an address of this notifier is not one apprise understands"
    body = f"{message.text}\n-- {config.gateway.site}"
    try:
        sent = await there.async_notify(title=message.title, body=body, body_format="text")
    except Exception as error:  # noqa: BLE001 - a hundred plugins: none of them may end the alarms
        return f"apprise failed ({type(error).__name__})"
    return "" if sent else "refused or unreachable"


def _known(addresses: list[str]) -> Any:
    """Apprise with these addresses; None where one is not understood. Errors: ImportError."""
    import apprise

    logging.getLogger("apprise").disabled = True  # it writes addresses, with their passwords
    there = apprise.Apprise()
    return there if all(there.add(address) for address in addresses) else None


async def _mqtt(options: NotifierOptions, config: Config, message: Message, now: float) -> str:
    import aiomqtt

    from gateway.sinks.mqtt import client_of

    body = orjson.dumps(message.as_dict(options.id, config.gateway.site, now))
    # A broker allows one connection a name: a test made beside the daemon does not end the daemon's.
    name = f"assaygate-{config.gateway.site}-{'try' if message.test else 'notify'}-{options.id}"
    taken, refusal = False, ""
    try:
        async with await client_of(config.broker(options.broker), name, WITHIN) as client:
            await client.publish(options.topic, body, qos=1, retain=options.retain)
            refusal, client.timeout = client.refusal, FAREWELL
            taken = not refusal
            if not taken:  # some brokers hang up then: hear of it here
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FAREWELL):
                        async for _ in client.messages:
                            pass
    except (aiomqtt.MqttError, OSError, ValueError) as error:
        if not taken and not refusal:
            return f"the broker {options.broker} does not take it ({type(error).__name__})"
    return "" if taken else f"the broker {options.broker} refuses it: {refusal}"


async def _webhook(options: NotifierOptions, config: Config, message: Message, now: float) -> str:
    body = orjson.dumps(message.as_dict(options.id, config.gateway.site, now))
    headers = {"Content-Type": "application/json"}
    try:
        if options.secret:
            headers |= signed(await secret(options.secret), body, now)
    except ValueError as error:
        return str(error)
    return await request("POST", options.url, body, headers) if options.url else "it has no url"


def signed(key: str, body: bytes, now: float) -> dict[str, str]:
    """Headers by which a receiver knows that a request is ours and new: HMAC-SHA256 over TIMESTAMP, a full stop and
    the body."""
    stamp = f"{now:.0f}"
    digest = hmac.new(key.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {TIMESTAMP: stamp, SIGNATURE: f"sha256={digest}"}


async def request(method: str, url: SecretRef, body: bytes | None, headers: Mapping[str, str]) -> str:
    """One HTTP request to a secret address, followed nowhere else; "" or why it was not taken."""
    import aiohttp

    try:
        address = await secret(url)
    except ValueError as error:
        return str(error)
    if not address.lower().startswith(("http://", "https://")):
        return "its address is not http or https"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WITHIN)) as session,
            session.request(method, address, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            return "" if 200 <= answer.status < 300 else f"answered {answer.status}"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return f"unreachable ({type(error).__name__})"


async def secret(place: SecretRef) -> str:
    """Errors: ValueError, which names the place and not the content."""
    return await asyncio.to_thread(place.resolve)


async def _sounder(options: NotifierOptions, _config: Config, message: Message, _now: float) -> str:
    from gateway.notify.sounder import run_once

    return await run_once(options, message.title)


Way = Callable[[NotifierOptions, "Config", Message, float], Awaitable[str]]
_WAYS: Final[dict[str, Way]] = {
    "apprise": _apprise,
    "log": _log,
    "mqtt": _mqtt,
    "sounder": _sounder,
    "webhook": _webhook,
}
