"""The guard against SSRF: every odd form of a private address is refused, at submit and at connect time."""

from __future__ import annotations

import asyncio
import ipaddress
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clients.address import CHECK_TIMEOUT_S, check_url, why_bad_url, why_forbidden

FORBIDDEN = [
    # IPv4
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.254",
    "168.63.129.16", "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.8",
    "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7",
    "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    # IPv6
    "::", "::1", "::2", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8",
    "0:0:0:0:0:ffff:7f00:1", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a00:1", "64:ff9b::8.8.8.8",
    "64:ff9b:1::1", "64:ff9b:1:ffff::a9fe:a9fe", "100::1", "2001::1", "2001:0:7f00:1::", "2001:2::1", "2001:10::1",
    "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::1", "2002:a9fe:a9fe::", "3fff::1",
    "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fdff::1", "fe80::1", "fe80::1%eth0", "2606:4700::1%eth0",
    "fec0::1", "feff::1", "ff02::1", "ff0e::1",
    # no address at all
    "", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "256.1.1.1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "11.0.0.1", "93.184.215.14", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
    "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "198.17.255.255", "198.20.0.0",
    "223.255.255.255", "2001:200::1", "2001:4860:4860::8888", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_address_that_is_not_public_is_forbidden(address: str) -> None:
    assert why_forbidden(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_may_be_called(address: str) -> None:
    assert why_forbidden(address) is None


@given(st.ip_addresses())
def test_never_more_generous_than_the_standard_library(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_link_local:
        assert why_forbidden(str(address))


@given(st.ip_addresses(v=4))
def test_no_ipv6_form_of_an_ipv4_address_passes(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    forms = [number, 0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80]
    forms.append(0x2001 << 112 | number << 64 | (number ^ 0xFFFFFFFF))
    for form in forms:
        assert why_forbidden(str(ipaddress.IPv6Address(form)))


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("http://hooks.example.com/a", "scheme"),
        ("ftp://hooks.example.com/a", "scheme"),
        ("javascript:alert(1)", "scheme"),
        ("//hooks.example.com/a", "scheme"),
        ("hooks.example.com", "scheme"),
        ("", "scheme"),
        ("https://", "host"),
        ("https:///path", "host"),
        ("https://user@hooks.example.com/", "user name"),
        ("https://user:secret@hooks.example.com/", "user name"),
        ("https://hooks.example.com:0/", "port"),
        ("https://hooks.example.com:22/", "port"),
        ("https://hooks.example.com:25/", "port"),
        ("https://hooks.example.com:65536/", "port"),
        ("https://hooks.example.com:port/", "no valid URL"),
        ("https://hooks.example.com\\@127.0.0.1/", "backslash"),
        ("https://hooks .example.com/", "space"),
        ("https://hooks.example.com/\r\nx: y", "control"),
        ("https://hooks.example.com/\0", "control"),
        ("https://%31%32%37.0.0.1/", "host"),
        ("https://[::1%25eth0]/", "host"),
        ("https://[fe80::1%eth0]/", "host"),
        ("https://①②⑦.⓪.⓪.①/", "no valid URL"),
        ("https://127。0。0。1/", "not public"),
        ("https://127.0.0.1/", "not public"),
        ("https://[::1]:8443/", "not public"),
        ("https://[::ffff:169.254.169.254]/latest/meta-data", "not public"),
        ("https://[2002:7f00:1::]/", "not public"),
        ("https://hooks.example.com/" + "a" * 3000, "longer"),
    ],
)
def test_bad_text_is_refused_without_asking_anyone(url: str, wrong: str) -> None:
    reason = why_bad_url(url, allow_private=False)
    assert reason is not None and wrong in reason


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com", "HTTPS://Hooks.Example.com:443/a?b=c#d", "https://münich.example/x",
        "https://a_b.example.com:8443/", "https://8.8.8.8/", "https://[2606:4700:4700::1111]/",
    ],
)  # fmt: skip
def test_good_text_passes(url: str) -> None:
    assert why_bad_url(url, allow_private=False) is None


def test_development_lifts_scheme_port_and_address_but_not_form() -> None:
    assert why_bad_url("http://127.0.0.1:80/hook", allow_private=True) is None
    assert why_bad_url("http://localhost:22/hook", allow_private=True) is None
    assert why_bad_url("http://user:x@127.0.0.1/", allow_private=True)
    assert why_bad_url("file:///etc/passwd", allow_private=True)


class Names:
    """Name server of a test: the addresses of each name; `delay_s` before every answer."""

    def __init__(self, names: dict[str, list[str]], delay_s: float = 0.0) -> None:
        self._names = names
        self._delay_s = delay_s
        self.asked: list[str] = []

    async def addresses(self, host: str) -> list[str]:
        self.asked.append(host)
        await asyncio.sleep(self._delay_s)
        if host not in self._names:
            raise OSError("no such name")
        return self._names[host]


async def test_submit_looks_the_host_up_once_and_checks_every_address() -> None:
    names = Names(
        {"good.example": ["8.8.8.8", "2606:4700::1"], "mixed.example": ["8.8.8.8", "10.1.2.3"], "void.example": []}
    )
    assert await check_url("https://good.example/hook", False, names) is None
    assert names.asked == ["good.example"]
    refused = await check_url("https://mixed.example/", False, names)
    assert refused is not None and "not public (private)" in refused and "10.1.2.3" not in refused
    assert await check_url("https://void.example/", False, names) == "the host does not resolve"
    assert await check_url("https://nowhere.example/", False, names) == "the host does not resolve"


async def test_submit_waits_two_seconds_for_a_name_server_at_most() -> None:
    began = time.monotonic()
    refused = await check_url("https://slow.example/", False, Names({"slow.example": ["8.8.8.8"]}, delay_s=30))
    assert refused is not None and "did not resolve within" in refused
    assert CHECK_TIMEOUT_S <= time.monotonic() - began < CHECK_TIMEOUT_S + 1


async def test_development_asks_no_name_server() -> None:
    names = Names({})
    assert await check_url("http://whatever.example:1234/", True, names) is None
    assert names.asked == []


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "0x7f.1"])
async def test_forms_that_only_the_machine_itself_reads_as_loopback(host: str) -> None:
    refused = await check_url(f"https://{host}:8443/", False)
    assert refused is not None and "loopback" in refused


@pytest.mark.parametrize("host", ["0177.0.0.1", "127.0.0.1.", "256.1.1.1", "no-such-name.invalid"])
async def test_forms_that_are_read_differently_everywhere_are_refused_too(host: str) -> None:
    assert await check_url(f"https://{host}:8443/", False)
