"""Which addresses and URLs a customer may make us call: public ones only (the guard against SSRF)."""

from __future__ import annotations

import asyncio
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

from app.clients.resolver import SYSTEM_RESOLVER, Resolver

CHECK_TIMEOUT_S = 2.0
MAX_URL_LENGTH = 2048
_HOST_NAME = re.compile(r"[A-Za-z0-9_.-]{1,253}")
# Python's own `is_global` is not enough: 3.11 calls NAT64 and 6to4 forms of 127.0.0.1, ::127.0.0.1 and fec0::1 global.
_DENIED: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "carrier NAT"),
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "cloud platform"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "reserved"),
    ("192.52.193.0/24", "reserved"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "reserved"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::/96", "IPv4-compatible"),
    ("::ffff:0:0/96", "IPv4-mapped"),
    ("::ffff:0:0:0/96", "IPv4-translated"),
    ("64:ff9b::/96", "NAT64"),
    ("64:ff9b:1::/48", "NAT64"),
    ("100::/64", "discard"),
    ("2001::/23", "reserved"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("2620:4f:8000::/48", "reserved"),
    ("3fff::/20", "documentation"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
)
_NETWORKS = tuple((ip_network(text), kind) for text, kind in _DENIED)
# The only part of the IPv6 space that is given out; whatever lies outside is reserved.
_GIVEN_OUT = IPv6Network("2000::/3")


def why_forbidden(address: str) -> str | None:
    """What is wrong with calling this IP address ("loopback", "private", ...); None when it is public.

    Teredo (2001::/32) and 6to4 are refused whatever IPv4 address they carry, and so is NAT64.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return "no IP address"
    if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
        return "scoped"
    return _kind(parsed)


def _kind(address: IPv4Address | IPv6Address) -> str | None:
    for network, kind in _NETWORKS:
        if _inside(address, network):
            return kind
    return "reserved" if isinstance(address, IPv6Address) and address not in _GIVEN_OUT else None


def _inside(address: IPv4Address | IPv6Address, network: IPv4Network | IPv6Network) -> bool:
    return address.version == network.version and address in network


def why_bad_url(url: str, allow_private: bool) -> str | None:
    """What is wrong with the text of a URL, without asking anyone; None when nothing is.

    `allow_private` (development) also takes http, every port and every literal address.
    """
    if len(url) > MAX_URL_LENGTH:
        return f"the URL is longer than {MAX_URL_LENGTH} characters"
    if not url.isprintable() or " " in url or "\\" in url:
        return "the URL holds a space, a backslash or a control character"
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError):
        return "this is no valid URL"
    return _why_bad_parts(parsed, host) or (None if allow_private else _why_not_public(parsed, host))


def _why_bad_parts(url: httpx.URL, host: str) -> str | None:
    if url.scheme not in ("http", "https"):
        return "the scheme must be https"
    if url.userinfo:
        return "the URL must not carry a user name or password"
    if not _HOST_NAME.fullmatch(host) and not _is_ipv6(host):
        return "the URL has no valid host"
    if url.port is not None and not 1 <= url.port <= 65535:
        return "the port must be between 1 and 65535"
    return None


def _why_not_public(url: httpx.URL, host: str) -> str | None:
    if url.scheme != "https":
        return "the scheme must be https"
    if url.port is not None and url.port < 1024 and url.port not in (80, 443):
        return "the port must be 443, 80, or 1024 and above"
    kind = why_forbidden(host) if _is_literal(host) else None
    return f"the address is not public ({kind})" if kind else None


def _is_ipv6(host: str) -> bool:
    return "%" not in host and ":" in host and _is_literal(host)


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def check_url(url: str, allow_private: bool, resolver: Resolver = SYSTEM_RESOLVER) -> str | None:
    """Why a webhook URL is refused at submit, as a sentence for the client; None when it may be called now.

    The text is checked, then the host is looked up once (at most CHECK_TIMEOUT_S) and every address it has must be
    public. A host that does not resolve is refused: a typing error is told at once instead of after 75 hours.
    With `allow_private` nothing is looked up. The connection checks again, since names change (see `pin`).
    """
    wrong = why_bad_url(url, allow_private)
    if wrong or allow_private:
        return wrong
    host = httpx.URL(url).raw_host.decode("ascii")
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            addresses = await resolver.addresses(host)
    except TimeoutError:
        return f"the host did not resolve within {CHECK_TIMEOUT_S:g} s"
    except OSError:
        return "the host does not resolve"
    return why_any_forbidden(addresses)


def why_any_forbidden(addresses: list[str]) -> str | None:
    """Why a host with these addresses is refused; None when it has some and all are public. Shows no address."""
    if not addresses:
        return "the host does not resolve"
    kinds = sorted({kind for address in addresses if (kind := why_forbidden(address))})
    return f"the host has an address that is not public ({', '.join(kinds)})" if kinds else None
