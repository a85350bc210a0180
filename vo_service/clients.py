"""Who asks, as limits count: network addresses."""

from __future__ import annotations

__all__ = ["client_of"]

import ipaddress
from typing import Final

_SITE_BITS: Final = 64


def client_of(address: str | None) -> str:
    """Whose limits a request from an address counts against.

    Parameters
    ----------
    address
        Of the other side, IPv4 or IPv6; None where it is not known.

    Returns
    -------
    str
        The address itself; of an IPv6 address the network of 64 bits, all of which its owner has.

    Notes
    -----
    RFC 4291 2.5.4; an IPv4 address in IPv6 clothes (2.5.5.2) is the IPv4 address.
    """
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, _SITE_BITS), strict=False))
