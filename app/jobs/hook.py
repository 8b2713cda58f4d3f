"""The callback of one job: checks what the client asked for and settles its secret."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from uuid import UUID

from app.clients.address import check_url
from app.clients.resolver import SYSTEM_RESOLVER, Resolver
from app.clients.signature import key_of, secret_of
from app.domain.errors import FieldError, Problem
from app.domain.event import END_EVENTS, WEBHOOK_EVENTS
from app.domain.job import JobWebhook

# Keeps these keys apart from everything else the pepper signs.
_PURPOSE = b"laneway webhook secret v1\0"


async def job_webhook(
    url: str,
    events: Sequence[str] | None,
    secret: str | None,
    *,
    project_id: UUID,
    pepper: str,
    allow_private: bool,
    resolver: Resolver = SYSTEM_RESOLVER,
) -> JobWebhook:
    """The callback to store with a job: end events and the project's secret where the client named none.

    Raises Problem: `webhook_url_forbidden` for the URL, `input_invalid` for events or secret, with the pointer.
    Takes up to 2 s, since the host is looked up.
    """
    _refuse_if(events_error(events), "input_invalid", "/webhook/events")
    _refuse_if(secret_error(secret), "input_invalid", "/webhook/secret")
    _refuse_if(await check_url(url, allow_private, resolver), "webhook_url_forbidden", "/webhook/url")
    wanted = tuple(dict.fromkeys(events)) if events is not None else tuple(map(str, END_EVENTS))
    return JobWebhook(url, wanted, secret if secret is not None else derived_secret(pepper, project_id))


def events_error(events: Sequence[str] | None) -> str | None:
    """What is wrong with the wanted events; None: nothing is. No list at all means the end events."""
    if events is None:
        return None
    known = [str(event) for event in WEBHOOK_EVENTS]
    if not events:
        return f"name at least one event, or leave the list out: {', '.join(known)}"
    if any(event not in known for event in events):
        return f"an event is unknown: use {', '.join(known)}"
    return None


def secret_error(secret: str | None) -> str | None:
    """What is wrong with a client's secret (`whsec_` and the base64 of 24 to 64 bytes); it is never repeated."""
    if secret is None:
        return None
    try:
        key_of(secret)
    except ValueError as error:
        return str(error)
    return None


def derived_secret(pepper: str, project_id: UUID) -> str:
    """The secret that signs a project's callbacks which brought none: 32 bytes, HMAC-SHA256 of pepper and project.

    Deterministic, so every process has it and nothing is stored; a new pepper makes a new secret.
    """
    return secret_of(hmac.new(pepper.encode(), _PURPOSE + project_id.bytes, hashlib.sha256).digest())


def _refuse_if(wrong: str | None, code: str, pointer: str) -> None:
    if wrong:
        raise Problem(code, f"{pointer}: {wrong}", errors=(FieldError(pointer, code, wrong),))
