"""Which addresses this portal may connect to; a pure decision, no look-ups.

People who may edit a source or a resource choose the addresses that the portal fetches. Checking the text of an address
is not enough: a name may point inside the network, may point there only from its second look-up on, and a redirect may
lead there. So ``check_url`` only rejects early what can be seen early (for forms), and ``relay.http`` asks
``check_address`` about each address at the moment of connecting to it.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from .errors import ConfigurationError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Reason(Enum):
    """Why an address is refused; the value completes the sentence "<address> is refused: it …"."""

    BAD_SCHEME = "is neither http nor https"
    NO_HOST = "names no host"
    NOT_AN_ADDRESS = "is not an IP address"
    METADATA = "is a metadata service of a cloud"
    UNSPECIFIED = "is the unspecified address"
    LOOPBACK = "leads to the portal's own machine"
    LINK_LOCAL = "is a link-local address"
    PRIVATE = "lies in a private network"
    MULTICAST = "is a multicast address"
    RESERVED = "lies in a reserved network"


@dataclass(frozen=True)
class AddressPolicy:
    """What may be connected to besides the public internet.

    :param allowed_networks: networks that are open whatever else is said about them; nothing else opens anything
    """

    allowed_networks: tuple[Network, ...] = ()


# The link-local ones would be refused anyway, but deserve their name; the others lie in public or private networks.
_METADATA: frozenset[Address] = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # nearly all clouds
        "169.254.170.2",  # Amazon, containers
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "168.63.129.16",  # Azure
        "fd00:ec2::254",  # Amazon
        "fd20:ce::254",  # Google
    )
)
_PRIVATE = tuple(
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10")
)
# What ``is_global`` of some supported Python still calls public. 6to4 and Teredo, which carry an IPv4 address to who
# knows where, are among them: nobody serves data from there any more.
_RESERVED = tuple(
    ip_network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
_IPV6_INTERNET = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks that are written as CIDRs (``10.1.0.0/16``, ``fd00::/8``) or single addresses.

    :raises ConfigurationError: one of them is not a network; names it
    """
    return tuple(_network(text.strip()) for text in texts if text.strip())


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        # not "strict=False": 10.0.0.1/8 would open far more than its author may have meant
        raise ConfigurationError(
            f"{text!r} is not a network: {error}", hint="Write networks as CIDRs, such as 10.1.0.0/16 or fd00::/8."
        ) from error


def check_address(policy: AddressPolicy, ip_string: str) -> Reason | None:
    """Return why the portal may not connect to this IP address, or None if it may.

    :param ip_string: as the socket module writes it; brackets and a zone id (``fe80::1%eth0``) are allowed
    """
    try:
        address = ip_address(ip_string.strip("[]").partition("%")[0])
    except ValueError:
        return Reason.NOT_AN_ADDRESS
    return _check(policy, address)


def check_url(policy: AddressPolicy, url: str) -> Reason | None:
    """Return why the portal may surely not fetch this URL, or None if only connecting can tell.

    A user and a password in the URL are allowed. A host name is not looked up.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:  # unbalanced brackets
        return Reason.NO_HOST
    if parts.scheme not in ("http", "https"):
        return Reason.BAD_SCHEME
    if not host:
        return Reason.NO_HOST
    literal = _literal(host)
    return _check(policy, literal) if literal else None


def _literal(host: str) -> Address | None:
    """Return the IP address that a host is without a look-up, in all spellings: ``127.1``, ``0x7f000001``, …"""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        pass
    if not re.fullmatch(r"[0-9a-fx.]+", host):  # inet_aton takes text after a blank, too
        return None
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _check(policy: AddressPolicy, address: Address) -> Reason | None:
    if any(address in network for network in policy.allowed_networks):
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:  # the system connects to the IPv4 address
            return _check(policy, address.ipv4_mapped)
        if address in _NAT64:  # so does a gateway: the way to the public IPv4 internet from a network without IPv4
            return _check(policy, IPv4Address(int(address) & 0xFFFFFFFF))
    findings = {
        Reason.METADATA: address in _METADATA,
        Reason.UNSPECIFIED: address.is_unspecified,
        Reason.LOOPBACK: address.is_loopback,
        Reason.LINK_LOCAL: address.is_link_local,
        Reason.MULTICAST: address.is_multicast,
        Reason.PRIVATE: any(address in network for network in _PRIVATE),
        Reason.RESERVED: not address.is_global
        or any(address in network for network in _RESERVED)
        or (address.version == 6 and address not in _IPV6_INTERNET),
    }
    return next((reason for reason, found in findings.items() if found), None)
