"""What the tests of the contract share: how a problem looks, that nothing was left behind, keys, raw sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from uuid import uuid4

import asyncpg
import httpx

from app.domain.clock import SYSTEM_CLOCK
from app.domain.errors import CATALOGUE, type_of
from app.ops.access import SCOPES, Access, Minted
from app.store import keys as store
from app.store.database import open_database
from tests.stack import Stack

PEPPER = "laneway-development-pepper"
Result = TypeVar("Result")


def problem(response: httpx.Response, code: str, pointer: str | None = None) -> dict[str, Any]:
    """The body of an error answer, which must be a whole problem with this code, and this pointer among its errors."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    body: dict[str, Any] = response.json()
    assert body["code"] == code, body
    entry = CATALOGUE[code]
    assert response.status_code == body["status"] == entry.status
    assert (body["title"], body["retryable"]) == (entry.title, entry.retryable)
    assert body["type"] == type_of(code)
    assert body["detail"]
    assert body["instance"] == httpx.URL(str(response.request.url)).path
    assert body["request_id"] == response.headers["x-request-id"]
    assert response.headers.get("retry-after") == (str(body["retry_after_s"]) if "retry_after_s" in body else None)
    if pointer is not None:
        assert (pointer, code) in [(error["pointer"], error["code"]) for error in body["errors"]], body
        assert all(error["detail"] for error in body["errors"])
    return body


_nobodies: dict[str, httpx.Client] = {}


def nobody(stack: Stack) -> httpx.Client:
    """A client that sends no key of its own; opening one each time is slow."""
    if stack.url not in _nobodies:
        _nobodies[stack.url] = httpx.Client(base_url=stack.url, timeout=90, trust_env=False)
    return _nobodies[stack.url]


def alone(stack: Stack, path: str, **request: Any) -> httpx.Response:
    """A POST on a connection of its own: for threads."""
    return httpx.post(stack.url + path, timeout=90, trust_env=False, verify=False, **request)


def close(stack: Stack) -> None:
    """What was opened for this stack."""
    Database.forget(stack)
    if client := _nobodies.pop(stack.url, None):
        client.close()


@contextmanager
def untouched(stack: Stack) -> Iterator[None]:
    """Whatever happens inside leaves no job, no payload, no key and no call to a model."""
    before = traces(stack)
    yield
    assert traces(stack) == before


def traces(stack: Stack) -> tuple[int, ...]:
    """What accepted work would add to; rows that belong to an earlier job may still come."""
    whole = ("jobs", "idempotency", "job_webhooks")
    columns = [f"(select count(*) from {table}) as {table}" for table in whole]
    for table in ("payloads", "events"):
        alone = f"select count(*) from {table} t where not exists (select from jobs j where j.id = t.job_id)"
        columns.append(f"({alone}) as {table}")
    row = Database.of(stack).row("select " + ", ".join(columns))
    return (*row, len(stack.provider.calls()))


class Database:
    """One connection for all the counting; opening one each time would take longer than the tests."""

    _known: ClassVar[dict[str, Database]] = {}

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._connection = self._loop.run_until_complete(asyncpg.connect(url))

    @classmethod
    def of(cls, stack: Stack) -> Database:
        """The stack's."""
        url = stack.servers.database_url
        return cls._known.get(url) or cls._known.setdefault(url, cls(url))

    @classmethod
    def forget(cls, stack: Stack) -> None:
        """Close it; the next `of` opens another."""
        if known := cls._known.pop(stack.servers.database_url, None):
            known.close()

    def row(self, statement: str) -> tuple[Any, ...]:
        """The one row of a query."""
        found = self._loop.run_until_complete(self._connection.fetchrow(statement))
        assert found is not None, "no row"
        return tuple(found)

    def close(self) -> None:
        """Before the server stops."""
        self._loop.run_until_complete(self._connection.close())
        self._loop.close()


def submitted(stack: Stack, body: bytes | str, **headers: str) -> httpx.Response:
    """The answer to a submit to `echo` with exactly these bytes."""
    sent = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
    return stack.client.post("/v1/workflows/echo/jobs", content=body, headers=sent)


def echo(value: Any, **more: Any) -> str:
    """The body of a submit to `echo`; lone surrogates and large integers as the standard library writes them."""
    return json.dumps({"input": {"value": value}, **more})


def fresh() -> str:
    """A text that no other test has."""
    return uuid4().hex


class Keys:
    """Makes and ends API keys, straight in the database."""

    def __init__(self, url: str) -> None:
        self._url = url

    def mint(
        self,
        *scopes: str,
        project: str = "default",
        mode: str = "live",
        workflows: list[str] | None = None,
        expires_at: datetime | None = None,
    ) -> Minted:
        """A new key; every scope when none is named."""

        async def act(access: Access, _: store.Keys) -> Minted:
            return await access.mint(
                "test", project=project, scopes=scopes or SCOPES, mode=mode, workflows=workflows, expires_at=expires_at
            )

        return self._with(act)

    def revoke(self, minted: Minted) -> None:
        """End it."""

        async def act(_: Access, keys: store.Keys) -> bool:
            return await keys.revoke(minted.key.id)

        assert self._with(act)

    def _with(self, act: Callable[[Access, store.Keys], Coroutine[Any, Any, Result]]) -> Result:
        async def run() -> Result:
            database = await open_database(self._url, 2)
            try:
                keys = store.Keys(database)
                return await act(Access(keys, PEPPER, SYSTEM_CLOCK), keys)
            finally:
                await database.close()

        return asyncio.run(run())


class Gate:
    """Holds jobs of the workflow `gated` in the middle of a step until it is opened."""

    def __init__(self, stack: Stack) -> None:
        self.path = Path(stack.folder) / f"gate-{fresh()}"
        self.input = {"path": str(self.path)}

    def open(self) -> None:
        """Let them end."""
        self.path.touch()


class Line:
    """A TCP connection of our own: a client that may say anything, and leave when it likes."""

    def __init__(self, stack: Stack) -> None:
        self.socket = socket.create_connection(("127.0.0.1", stack.port), 10)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> bytes:
        """Whatever comes until the server closes."""
        parts = []
        while part := self.socket.recv(65536):
            parts.append(part)
        return b"".join(parts)

    def leave(self) -> None:
        """Close at once."""
        self.socket.close()


def request(stack: Stack, method: str, path: str, key: str, body: bytes = b"", **headers: str) -> bytes:
    """An HTTP/1.1 request as bytes, to be closed after its answer."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: 127.0.0.1:{stack.port}",
        f"Authorization: Bearer {key}",
        "Connection: close",
        *(f"{name.replace('_', '-')}: {text}" for name, text in headers.items()),
    ]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
