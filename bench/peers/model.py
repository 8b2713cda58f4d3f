"""Calls of the simulated provider by httpx over aiohttp's transport, which is several times faster than its own."""

from __future__ import annotations

import httpx
from httpx_aiohttp import HttpxAiohttpClient

_TIMEOUT_S = 30.0


def open_http(url: str, connections: int) -> httpx.AsyncClient:
    """One client for the process, with a connection for each call in flight."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return HttpxAiohttpClient(base_url=url, limits=limits, timeout=_TIMEOUT_S, trust_env=False)


async def ask(http: httpx.AsyncClient, question: str) -> str:
    """The model's answer. Raises httpx.HTTPError."""
    body = {"model": "mini-1", "messages": [{"role": "user", "content": question}]}
    response = await http.post("/v1/chat/completions", json=body)
    response.raise_for_status()
    return str(response.json()["choices"][0]["message"]["content"])
