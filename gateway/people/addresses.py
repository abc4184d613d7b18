"""Where somebody is."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def address_of(text: str) -> Address | None:
    """None where it is no address; an IPv4 one within IPv6 is itself."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def is_loopback(text: str) -> bool:
    """This machine."""
    found = address_of(text)
    return found is not None and found.is_loopback


def network_of(text: str) -> str:
    """Of IPv6 the half that one customer is given whole (RFC 6177): else each try could come from a new address."""
    found = address_of(text)
    if found is None:
        return text
    return str(ipaddress.ip_network(f"{found}/64", strict=False)) if found.version == 6 else str(found)
