"""Connections that go only to addresses that were checked: the second look, at connect time."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from app.clients.address import why_any_forbidden, why_forbidden
from app.clients.resolver import Resolver

_KEEP_ALIVE_S = 2.0
_AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]


class ForbiddenAddress(OSError):
    """The host has an address that must not be called."""


class _CheckedResolver(AbstractResolver):
    """Resolves once and hands the very addresses it checked to the connector, which keeps host name and SNI."""

    def __init__(self, resolver: Resolver, allow_private: bool) -> None:
        self._resolver = resolver
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The host's addresses. Raises OSError; ForbiddenAddress when one of them is not public."""
        addresses = await self._resolver.addresses(host)
        wrong = None if self._allow_private else why_any_forbidden(addresses)
        if wrong:
            raise ForbiddenAddress(wrong)
        return [_resolved(host, port, address) for address in addresses]

    async def close(self) -> None:
        """Nothing is held."""


def open_session(resolver: Resolver, allow_private: bool, tls: ssl.SSLContext) -> aiohttp.ClientSession:
    """A session without cookies, proxies and DNS cache, whose sockets reach public addresses only.

    Idle connections are dropped after 2 s, before usual servers drop them: a POST on a connection that the other
    side just closed would be a failed attempt.
    """
    connector = aiohttp.TCPConnector(
        limit=0,
        ssl=tls,
        resolver=_CheckedResolver(resolver, allow_private),
        use_dns_cache=False,
        keepalive_timeout=_KEEP_ALIVE_S,
        socket_factory=_socket_factory(allow_private),
    )
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)


def _socket_factory(allow_private: bool) -> Callable[[_AddressInfo], socket.socket]:
    """Every socket passes here with the address it is about to connect to, literal addresses too."""

    def make(info: _AddressInfo) -> socket.socket:
        kind = None if allow_private else why_forbidden(str(info[4][0]))
        if kind:
            raise ForbiddenAddress(f"the address is not public ({kind})")
        return socket.socket(info[0], info[1], info[2])

    return make


def _resolved(host: str, port: int, address: str) -> ResolveResult:
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=socket.IPPROTO_TCP, flags=socket.AI_NUMERICHOST
    )
