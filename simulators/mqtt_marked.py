"""One MQTT publication marked as a duplicate, which no client library sends on request (MQTT 3.1.1, 3.3.1.1)."""

from __future__ import annotations

import asyncio

ANSWER_WITHIN = 10.0  # seconds
PACKET = 1


async def publish_marked(host: str, port: int, name: str, topic: str, data: bytes) -> None:
    """Publish at QoS 1 with DUP set, on a connection of its own, and wait for PUBACK. Errors: OSError."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            writer.write(_packet(0x10, _text("MQTT") + b"\x04\x02\x00\x3c" + _text(name)))
            await reader.readexactly(4)  # CONNACK
            writer.write(_packet(0x3A, _text(topic) + PACKET.to_bytes(2, "big") + data))
            await reader.readexactly(4)  # PUBACK
            writer.write(b"\xe0\x00")  # DISCONNECT: no will is due
    except asyncio.IncompleteReadError as error:
        raise ConnectionError("the broker closed the connection") from error
    finally:
        writer.close()


def _packet(kind: int, body: bytes) -> bytes:
    size, length = len(body), bytearray()
    while True:
        size, digit = divmod(size, 128)
        length.append(digit | (0x80 if size else 0))
        if not size:
            return bytes([kind]) + bytes(length) + body


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded
