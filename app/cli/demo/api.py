"""The demo's client of the HTTP API: nothing but httpx and what the API documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from httpx_aiohttp import HttpxAiohttpClient

_TIMEOUT_S = 60.0
Json = dict[str, Any]


class Unexpected(Exception):
    """The API answered otherwise than the demo must be able to rely on; the message says how."""


class Api:
    """Calls with the key; raises Unexpected for a status that was not asked for."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def submit(self, workflow: str, body: Json, *, wait_s: int | None = None) -> httpx.Response:
        """201 with an ended job, or 202."""
        headers = {"Prefer": f"wait={wait_s}"} if wait_s is not None else {}
        return await self._call("POST", f"/v1/workflows/{workflow}/jobs", expect=(201, 202), json=body, headers=headers)

    async def read(self, job_id: str, known: str | None = None) -> httpx.Response:
        """200 with the job, or 304 when `known` is still its ETag."""
        headers = {"If-None-Match": known} if known else {}
        return await self._call("GET", f"/v1/jobs/{job_id}", expect=(200, 304), headers=headers)

    async def output(self, job_id: str) -> Any:
        """What a succeeded job returned."""
        return (await self._call("GET", f"/v1/jobs/{job_id}/output")).json()

    async def trace(self, job_id: str) -> Json:
        """The job's timeline."""
        return dict((await self._call("GET", f"/v1/jobs/{job_id}/trace")).json())

    async def jobs(self, **filters: str) -> AsyncIterator[Json]:
        """Every job that the filters name, newest first, page by page; lists come without inputs and outputs."""
        cursor: str | None = None
        while True:
            query = {**filters, "limit": "200"} | ({"cursor": cursor} if cursor else {})
            page = (await self._call("GET", "/v1/jobs", params=query)).json()
            for job in page["data"]:
                yield job
            if not page["has_more"]:
                return
            cursor = page["next_cursor"]

    async def _call(self, method: str, path: str, expect: tuple[int, ...] = (200,), **more: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise Unexpected(f"{method} {path}: no answer ({type(error).__name__}: {error})") from None
        if response.status_code not in expect:
            raise Unexpected(f"{method} {path}: {response.status_code} {response.text[:500]}")
        return response


@asynccontextmanager
async def open_api(url: str, key: str, connections: int) -> AsyncIterator[Api]:
    """A client for so many calls at once; the aiohttp transport takes a fraction of the processor's time."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    headers = {"Authorization": f"Bearer {key}"}
    async with HttpxAiohttpClient(
        base_url=url, headers=headers, timeout=_TIMEOUT_S, limits=limits, trust_env=False
    ) as http:
        yield Api(http)
