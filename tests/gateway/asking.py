"""Requests to the gateway, and settings that lead them to providers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import SecretStr

from app.domain import ids
from app.domain.job import TraceContext
from app.gateway.calls.request import Message, ModelRequest
from app.settings import (
    GatewaySettings,
    LadderTarget,
    ModelAlias,
    PoolSettings,
    PriceSettings,
    ProviderSettings,
    Settings,
)

_PRICE = PriceSettings(input="0.15", output="0.60", cached_input="0.075")
# More than a test can use.
WIDE = 60_000_000
Dialect = Literal["openai", "anthropic"]


def request(content: str = "hello", **changes: Any) -> ModelRequest:
    """A question to the alias `small`."""
    given: dict[str, Any] = {
        "alias": "small",
        "messages": (Message("user", content),),
        "schema": None,
        "schema_name": None,
        "max_output_tokens": None,
        "timeout_s": 10.0,
        "trace": TraceContext(ids.trace_id(), ids.span_id()),
        "idempotency_key": "job-1/classify",
        "job_id": ids.uuid7(),
        "project_id": ids.uuid7(),
        "lane": "standard",
    }
    return ModelRequest(**{**given, **changes})


def settings_for(
    *base_urls: str, key: str | None = None, dialect: Dialect = "openai", per_minute: int | None = WIDE, **gateway: Any
) -> Settings:
    """Settings whose alias `small` is a ladder of these addresses, named main, backup1 and so on.

    `per_minute`: the requests that each pool is announced to take; None is found out, slowly at first.
    """
    names = ["main", *(f"backup{n}" for n in range(1, len(base_urls)))]
    secret = {"api_key": SecretStr(key) if key else None}
    pools = {"mini": PoolSettings(models=["mini-1"], max_in_flight=10, requests_per_minute=per_minute)}
    providers = {
        name: ProviderSettings(dialect=dialect, base_url=base_url, pools=pools).model_copy(update=secret)
        for name, base_url in zip(names, base_urls, strict=True)
    }
    ladder = [LadderTarget(provider=name, model="mini-1") for name in names]
    return Settings(
        providers=providers,
        models={"small": ModelAlias(ladder=ladder)},
        prices={f"{name}/mini-1": _PRICE for name in names},
        gateway=GatewaySettings(**gateway),
    )
