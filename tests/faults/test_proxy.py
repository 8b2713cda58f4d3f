"""The proxy does what each of its acts says, on real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.proxy import Proxy
from tests.stack import until


@pytest.fixture(scope="module")
def echo() -> Iterator[tuple[str, int]]:
    """A server that says everything again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        yield server.getsockname()
        server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(connection,), daemon=True).start()


def _echo(connection: socket.socket) -> None:
    with connection:
        try:
            while said := connection.recv(100):
                connection.sendall(said)
        except OSError:
            return


@pytest.fixture
def proxy(echo: tuple[str, int]) -> Iterator[Proxy]:
    made = Proxy(echo)
    yield made
    made.end()


def _connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=2)


def _said(connection: socket.socket, words: bytes = b"hello") -> bytes:
    connection.sendall(words)
    return connection.recv(100)


def test_it_forwards_and_takes_its_time(proxy: Proxy) -> None:
    with _connect(proxy) as connection:
        assert _said(connection) == b"hello"
        proxy.latency_s, began = 0.1, time.monotonic()
        assert _said(connection) == b"hello"
        assert time.monotonic() - began >= 0.2


def test_frozen_bytes_come_after_the_thaw(proxy: Proxy) -> None:
    with _connect(proxy) as connection:
        assert _said(connection) == b"hello"
        proxy.freeze()
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            _said(connection, b"late")
        with _connect(proxy) as another, pytest.raises(TimeoutError):
            another.settimeout(0.2)
            _said(another)
        proxy.thaw()
        connection.settimeout(2)
        assert connection.recv(100) == b"late"


def test_a_cut_resets_and_lets_come_again(proxy: Proxy) -> None:
    with _connect(proxy) as connection:
        assert _said(connection) == b"hello"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
    with _connect(proxy) as connection:
        assert _said(connection) == b"hello"


def test_refused_until_admitted_at_the_same_port(proxy: Proxy) -> None:
    port = proxy.port
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        _connect(proxy)
    proxy.admit()
    assert proxy.port == port
    with _connect(proxy) as connection:
        assert _said(connection) == b"hello"


def test_half_open_carries_nothing_and_new_ones_work(proxy: Proxy) -> None:
    with _connect(proxy) as old:
        assert _said(old) == b"hello"
        proxy.forget()
        old.settimeout(0.3)
        with pytest.raises(TimeoutError):
            _said(old)
        with _connect(proxy) as new:
            assert _said(new) == b"hello"
        proxy.heal()
        until(lambda: _ended(old), 2)


def test_a_target_that_is_away_ends_the_connection(echo: tuple[str, int]) -> None:
    away = Proxy("/nowhere/at/all.sock")
    try:
        with _connect(away) as connection:
            until(lambda: _ended(connection), 2)
    finally:
        away.end()


def _ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
