"""What an instrument has to deliver, over as many connections as it takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from drivers.kit.exchange import Event, Send, Speaker, receiver


class Outbox:
    """A driver's instrument side that begins its undelivered messages again on a new connection. A `Speaker`.

    Where nobody answers (`answered` False: a folder) each message is the first one of its conversation.
    """

    def __init__(self, build: Callable[[], Speaker], *, answered: bool = True) -> None:
        self._build = build
        self._answered = answered
        self._speaker = build()
        self._waiting: deque[bytes] = deque()
        self._settled = 0  # delivered messages that are out of `_waiting`
        self._earlier = 0  # delivered over earlier connections

    @property
    def deadline(self) -> float | None:
        """When `tick` must run next."""
        return self._speaker.deadline if self._answered else None

    @property
    def delivered(self) -> int:
        """How many offered messages the peer has acknowledged."""
        return self._earlier + (self._speaker.delivered if self._answered else 0)

    @property
    def confirms(self) -> bool:
        """Whether `delivered` rests on the peer's word."""
        return self._answered and self._speaker.confirms

    @property
    def idle(self) -> bool:
        """True when nothing offered waits for its acknowledgement."""
        return not self._answered or self._speaker.idle

    @property
    def waiting(self) -> int:
        """How many messages are not delivered yet."""
        self._settle()
        return len(self._waiting)

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """Queue one message for delivery."""
        if not self._answered:
            self._earlier += 1
            return self._build().offer(message, now)
        self._waiting.append(message)
        return self._speaker.offer(message, now)

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """What the host says."""
        return self._speaker.receive(data, now)

    def receive_from(self, channel: str, data: bytes, now: float) -> Iterator[Event]:
        """What the host says, and where."""
        return receiver(self._speaker)(channel, data, now)

    @property
    def will(self) -> Send | None:
        """What an MQTT broker is to publish when the connection is lost."""
        will: Send | None = getattr(self._speaker, "will", None)
        return will

    @property
    def listens(self) -> str:
        """The MQTT topic its commands come on; "" where it takes none."""
        return getattr(self._speaker, "listens", "")

    def tick(self, now: float) -> Iterator[Event]:
        """A timer is due."""
        return self._speaker.tick(now)

    def close(self) -> Iterator[Event]:
        """The link is gone."""
        return self._speaker.close()

    def again(self, now: float) -> Iterator[Event]:
        """A new connection: an instrument as after power-on, and what was not delivered is offered anew."""
        self._settle()
        self._earlier += self._speaker.delivered
        self._speaker = self._build()
        for message in self._waiting:
            yield from self._speaker.offer(message, now)

    def _settle(self) -> None:
        while self._settled < self.delivered and self._waiting:
            self._waiting.popleft()
            self._settled += 1
