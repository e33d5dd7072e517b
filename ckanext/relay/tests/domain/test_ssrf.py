from __future__ import annotations

import pytest

from ckanext.relay.errors import ConfigurationError
from ckanext.relay.ssrf import AddressPolicy, Reason, check_address, check_url, networks

CLOSED = AddressPolicy()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("93.184.216.34", None),
        ("8.8.8.8", None),
        ("2606:4700::1111", None),
        ("::ffff:8.8.8.8", None),
        ("64:ff9b::808:808", None),
        ("127.0.0.1", Reason.LOOPBACK),
        ("127.255.255.254", Reason.LOOPBACK),
        ("::1", Reason.LOOPBACK),
        ("::ffff:127.0.0.1", Reason.LOOPBACK),
        ("::ffff:7f00:1", Reason.LOOPBACK),
        ("64:ff9b::7f00:1", Reason.LOOPBACK),
        ("0.0.0.0", Reason.UNSPECIFIED),
        ("::", Reason.UNSPECIFIED),
        ("::ffff:0.0.0.0", Reason.UNSPECIFIED),
        ("0.1.2.3", Reason.RESERVED),
        ("169.254.1.1", Reason.LINK_LOCAL),
        ("fe80::1", Reason.LINK_LOCAL),
        ("fe80::1%eth0", Reason.LINK_LOCAL),
        ("[fe80::1%25eth0]", Reason.LINK_LOCAL),
        ("10.0.0.1", Reason.PRIVATE),
        ("172.16.0.1", Reason.PRIVATE),
        ("172.31.255.255", Reason.PRIVATE),
        ("172.32.0.1", None),
        ("192.168.1.1", Reason.PRIVATE),
        ("100.64.0.1", Reason.PRIVATE),
        ("100.127.255.255", Reason.PRIVATE),
        ("100.128.0.1", None),
        ("fc00::1", Reason.PRIVATE),
        ("fdab::1", Reason.PRIVATE),
        ("fec0::1", Reason.PRIVATE),
        ("::ffff:10.0.0.1", Reason.PRIVATE),
        ("64:ff9b::a00:1", Reason.PRIVATE),
        ("224.0.0.1", Reason.MULTICAST),
        ("239.255.255.250", Reason.MULTICAST),
        ("ff02::1", Reason.MULTICAST),
        ("192.0.0.1", Reason.RESERVED),
        ("192.0.2.1", Reason.RESERVED),
        ("192.88.99.1", Reason.RESERVED),
        ("198.18.0.1", Reason.RESERVED),
        ("198.51.100.1", Reason.RESERVED),
        ("240.0.0.1", Reason.RESERVED),
        ("255.255.255.255", Reason.RESERVED),
        ("::127.0.0.1", Reason.RESERVED),
        ("64:ff9b:1::1", Reason.RESERVED),
        ("100::1", Reason.RESERVED),
        ("2001:db8::1", Reason.RESERVED),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Reason.RESERVED),  # Teredo
        ("2002:7f00:1::", Reason.RESERVED),  # 6to4 of 127.0.0.1
        ("2002:808:808::1", Reason.RESERVED),
        ("3fff::1", Reason.RESERVED),
        ("4000::1", Reason.RESERVED),
        ("5f00::1", Reason.RESERVED),
        ("169.254.169.254", Reason.METADATA),
        ("169.254.170.2", Reason.METADATA),
        ("100.100.100.200", Reason.METADATA),
        ("168.63.129.16", Reason.METADATA),
        ("192.0.0.192", Reason.METADATA),
        ("fd00:ec2::254", Reason.METADATA),
        ("::ffff:169.254.169.254", Reason.METADATA),
        ("64:ff9b::a9fe:a9fe", Reason.METADATA),
        ("", Reason.NOT_AN_ADDRESS),
        ("example.org", Reason.NOT_AN_ADDRESS),
        ("127.1", Reason.NOT_AN_ADDRESS),
    ],
)
def test_without_exceptions_only_the_public_internet_is_open(address: str, reason: Reason | None) -> None:
    """Every way to write an address of the inside is refused, whatever Python version thinks of it."""
    assert check_address(CLOSED, address) is reason


@pytest.mark.parametrize(
    ("allowed", "address", "opened"),
    [
        (["127.0.0.0/8"], "127.0.0.1", True),
        (["127.0.0.0/8"], "::ffff:127.0.0.1", True),
        (["127.0.0.0/8"], "64:ff9b::7f00:1", True),
        (["127.0.0.0/8"], "::1", False),
        (["127.0.0.0/8"], "10.0.0.1", False),
        (["10.1.0.0/16"], "10.1.2.3", True),
        (["10.1.0.0/16"], "10.2.0.1", False),
        (["fd00::/8"], "fd12::1", True),
        (["::1"], "::1", True),
        (["169.254.169.254"], "169.254.169.254", True),
        (["8.8.8.8"], "9.9.9.9", True),
    ],
)
def test_allowed_networks_open_exactly_themselves(allowed: list[str], address: str, opened: bool) -> None:
    """A network opens its addresses in all spellings, and closes nothing."""
    policy = AddressPolicy(allowed_networks=networks(allowed))
    assert (check_address(policy, address) is None) is opened


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.org", None),
        ("HTTPS://EXAMPLE.org:8443/x?y#z", None),
        ("https://user:password@example.org/", None),
        ("http://localhost/", None),  # a name: only connecting tells
        ("http://xn--bcher-kva.example/", None),
        ("http://8.8.8.8/", None),
        ("http://[2606:4700::1111]:80/", None),
        ("http://cafe.be/", None),
        ("file:///etc/passwd", Reason.BAD_SCHEME),
        ("ftp://example.org/", Reason.BAD_SCHEME),
        ("gopher://example.org/", Reason.BAD_SCHEME),
        ("example.org/x", Reason.BAD_SCHEME),
        ("//example.org/x", Reason.BAD_SCHEME),
        ("javascript:alert(1)", Reason.BAD_SCHEME),
        ("", Reason.BAD_SCHEME),
        ("http://", Reason.NO_HOST),
        ("http:///path", Reason.NO_HOST),
        ("http://:80/", Reason.NO_HOST),
        ("http://user@/", Reason.NO_HOST),
        ("http://[::1/", Reason.NO_HOST),
        ("http://./", Reason.NO_HOST),
        ("http://127.0.0.1/", Reason.LOOPBACK),
        ("http://127.0.0.1./", Reason.LOOPBACK),
        ("http://example.org@127.0.0.1/", Reason.LOOPBACK),
        ("http://127.1/", Reason.LOOPBACK),
        ("http://2130706433/", Reason.LOOPBACK),
        ("http://0x7f000001/", Reason.LOOPBACK),
        ("http://0x7f.1/", Reason.LOOPBACK),
        ("http://017700000001/", Reason.LOOPBACK),
        ("http://0177.0.0.1/", Reason.LOOPBACK),
        ("http://0/", Reason.UNSPECIFIED),
        ("http://[::1]/", Reason.LOOPBACK),
        ("http://[::ffff:127.0.0.1]/", Reason.LOOPBACK),
        ("http://[fe80::1%25eth0]/", Reason.LINK_LOCAL),
        ("http://169.254.169.254/latest/meta-data/", Reason.METADATA),
        ("http://2852039166/", Reason.METADATA),
        ("http://10.0.0.1:5000/", Reason.PRIVATE),
    ],
)
def test_urls_are_refused_as_early_as_possible(url: str, reason: Reason | None) -> None:
    """Scheme, host and literal addresses are judged without a look-up; names are left to the moment of connecting."""
    assert check_url(CLOSED, url) is reason


def test_networks_are_parsed() -> None:
    """CIDRs and single addresses, with blanks around them; blank items count for nothing."""
    assert [str(network) for network in networks([" 10.1.0.0/16", "", "::1"])] == ["10.1.0.0/16", "::1/128"]


@pytest.mark.parametrize("text", ["10.0.0.1/8", "localhost", "10.0.0.0/33", "10.0.0.0-10.0.0.9"])
def test_a_bad_network_is_named(text: str) -> None:
    """A sysadmin sees which of the networks is wrong; host bits are wrong, too."""
    with pytest.raises(ConfigurationError, match=text):
        networks(["10.1.0.0/16", text])
