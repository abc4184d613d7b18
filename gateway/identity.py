"""What makes an observation itself, so that the same result delivered twice is one."""

from __future__ import annotations

import hashlib

from drivers.kit.declare import Identity
from drivers.kit.observation import Draft
from gateway.journal.transaction import RawMessage

UID_BYTES = 16


class Uids:
    """The uids of one message's drafts, asked for in their order.

    A uid is the first 16 bytes of SHA-256 over the device's id and the parts below, each part but the first with its
    length (four bytes, big-endian) before it, and last how often the same parts came before in this message:

    - by arrival, and by content where the driver says that nothing identifies it (an empty `Draft.identity`):
      "arrival", the raw message's id, the draft's place in it;
    - by content where the driver says what identifies it: "result", and the parts of `Draft.identity`;
    - by content else: "bytes", the MQTT topic (or nothing), and SHA-256 of the message up to and including the
      draft (`Draft.extent`), so that a message broken off after it gives the same.

    What the broker retained arrives with every connection: it is known by its content whatever the device says.
    """

    def __init__(self, device: str, message: RawMessage, identity: Identity) -> None:
        self._device = hashlib.sha256(device.encode("utf-8", "surrogatepass"))
        self._message = message
        self._by_content = message.retained or identity is Identity.CONTENT
        self._before: dict[tuple[object, ...], int] = {}
        self._hashed = hashlib.sha256()
        self._upto = 0

    def uid(self, draft: Draft, index: int) -> bytes:
        """Of the message's draft number `index`."""
        if self._by_content and draft.identity:
            key: tuple[object, ...] = ("result", *draft.identity)
        elif self._by_content and (draft.identity is None or self._message.retained):
            key = ("bytes", self._message.channel_key, self._prefix(draft.extent))
        else:
            key = ("arrival", self._message.id, index)
        ordinal = self._before[key] = self._before.get(key, -1) + 1
        parts = [part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass") for part in key]
        parts.append(b"%d" % ordinal)
        digest = self._device.copy()
        digest.update(b"".join([len(part).to_bytes(4, "big") + part for part in parts]))
        return digest.digest()[:UID_BYTES]

    def _prefix(self, extent: int | None) -> bytes:
        """SHA-256 of the message's first `extent` bytes; extents mostly grow, so no byte is hashed twice."""
        end = len(self._message.data) if extent is None else max(0, min(extent, len(self._message.data)))
        if end < self._upto:
            return hashlib.sha256(self._message.data[:end]).digest()
        self._hashed.update(self._message.data[self._upto : end])
        self._upto = end
        return self._hashed.copy().digest()
