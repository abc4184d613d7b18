"""TCP, listening: instruments call the gateway. Several may share a port, told apart by their address."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from gateway.backoff import Backoff
from gateway.links.link import Ear, LinkState
from gateway.links.options import TcpListenOptions
from gateway.links.tcp import TcpPort

log = structlog.get_logger()

MOST_PER_DEVICE = 64
MOST = 1024
SILENT = 2.0  # seconds without a byte after which a connection may make room for a new one of the same peer
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(options: TcpListenOptions) -> tuple[Network, ...]:
    """The peers a device takes; everything where it names none."""
    if not options.allow:
        return (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    return tuple(ipaddress.ip_network(entry, strict=False) for entry in options.allow)


def conflicts(devices: Iterable[tuple[str, TcpListenOptions]]) -> list[str]:
    """Devices on one port that claim the same peers: which would it be?"""
    claimed: dict[tuple[str, int, Network], str] = {}
    found = []
    for device, options in devices:
        for network in networks(options):
            other = claimed.setdefault((options.host, options.port, network), device)
            if other != device:
                found.append(
                    f"{device} and {other} both take {network if options.allow else 'any peer'} on {options.address}. "
                    "Give each its own allow, or its own port."
                )
                break
    return found


@dataclass(slots=True, eq=False)
class _Claim:
    device: str
    ear: Ear
    networks: tuple[Network, ...]
    ports: set[TcpPort] = field(default_factory=set)

    def match(self, address: str) -> int:
        """Length of the network prefix that takes `address`; -1: none does."""
        peer = ipaddress.ip_address(address.partition("%")[0])
        mapped = getattr(peer, "ipv4_mapped", None)
        if mapped:
            peer = mapped
        return max((n.prefixlen for n in self.networks if n.version == peer.version and peer in n), default=-1)

    def make_room(self, address: str) -> bool:
        """An instrument that vanishes without a word and calls anew leaves its former connections behind: drop the
        one of this peer that has been silent longest. False: none has been silent for long."""
        silent = min((port for port in self.ports if port.address == address), key=lambda p: p.heard, default=None)
        if silent is None or time.monotonic() - silent.heard < SILENT:
            return False
        log.warning("a silent connection makes room for a new one", device=self.device, peer=silent.peer)
        self.ports.discard(silent)
        silent.abort("the same peer called anew, and it was silent")
        return True


class _Listener:
    """One listening socket and the devices behind it."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.claims: list[_Claim] = []
        self.server: asyncio.Server | None = None
        self.turned_away = 0

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: _Newcomer(self), self.host, self.port, backlog=256)

    def claim_of(self, address: str) -> _Claim | None:
        best = max(self.claims, key=lambda claim: claim.match(address), default=None)
        return best if best and best.match(address) >= 0 else None


class _Newcomer(asyncio.Protocol):
    """An accepted connection, before it is known whose it is."""

    def __init__(self, listener: _Listener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        listener = self._listener
        address = transport.get_extra_info("peername")[0]
        claim = listener.claim_of(address)
        everyone = sum(len(one.ports) for one in listener.claims)
        full = claim is None or len(claim.ports) >= MOST_PER_DEVICE or everyone >= MOST
        if claim is None or (full and not claim.make_room(address)):
            listener.turned_away += 1
            why = "no device takes this address" if claim is None else "too many connections"
            log.warning("connection turned away", port=listener.port, peer=address, why=why)
            transport.abort()
            return
        port = TcpPort(claim.ear, claim.ports.discard)
        claim.ports.add(port)
        transport.set_protocol(port)
        port.connection_made(transport)


class Listeners:
    """Every listening socket of the gateway."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], _Listener] = {}
        self._lock = asyncio.Lock()

    async def add(self, options: TcpListenOptions, claim: _Claim) -> None:
        """Listen for a device. Errors: OSError (the address is taken, or is not ours)."""
        async with self._lock:
            key = (options.host, options.port)
            listener = self._open.get(key)
            if listener is None:
                listener = _Listener(*key)
                listener.claims.append(claim)
                await listener.open()
                self._open[key] = listener
            else:
                listener.claims.append(claim)

    async def remove(self, options: TcpListenOptions, claim: _Claim) -> None:
        """Stop for a device; the last one closes the socket."""
        async with self._lock:
            listener = self._open.get((options.host, options.port))
            for port in list(claim.ports):
                port.abort("stopped")
            if listener is None or claim not in listener.claims:
                return
            listener.claims.remove(claim)
            if not listener.claims:
                del self._open[options.host, options.port]
                if listener.server:
                    listener.server.close()
                    await listener.server.wait_closed()

    @property
    def turned_away(self) -> int:
        return sum(listener.turned_away for listener in self._open.values())


class ListenLink:
    """One device's share of a listening port."""

    def __init__(self, device: str, options: TcpListenOptions, listeners: Listeners, up: asyncio.Event) -> None:
        self._device, self._options, self._listeners, self._up = device, options, listeners, up

    async def run(self, ear: Ear) -> None:
        options, backoff = self._options, Backoff(longest=30.0)
        claim = _Claim(self._device, ear, networks(options))
        ear.state(LinkState.STARTING, options.address)
        try:
            while True:
                try:
                    await self._listeners.add(options, claim)
                    break
                except OSError as error:
                    ear.state(LinkState.WAITING, f"{options.address}: {error.strerror or error}")
                    await asyncio.sleep(backoff.next())
            ear.state(LinkState.LISTENING, options.address)
            self._up.set()
            await asyncio.Event().wait()
        finally:
            self._up.set()  # nobody has to wait for it any more
            await self._listeners.remove(options, claim)
            ear.state(LinkState.STOPPED, "")
