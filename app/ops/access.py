"""API keys: minted, hashed, looked up; a key's text is shown once and stored nowhere."""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.domain import ids
from app.domain.clock import Clock
from app.domain.errors import Problem
from app.domain.period import Period
from app.store.keys import DEFAULT_PROJECT, ApiKey, Keys, NewKey

SCOPES = (
    "jobs:read", "jobs:write", "batches:read", "batches:write", "webhooks:read", "webhooks:write", "ops:read",
    "ops:write", "keys:admin",
)  # fmt: skip
_FORM = re.compile(r"^lw_(live|test)_[A-Za-z0-9]{32,200}$")
# A revoked key works nowhere after this long.
_FRESH_S = 1.0
_MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Minted:
    """A new key: its text, this once, and its record."""

    text: str
    key: ApiKey


class Access:
    """Finds the key of a request and makes new ones."""

    def __init__(self, keys: Keys, pepper: str, clock: Clock) -> None:
        self._keys = keys
        self._pepper = pepper.encode()
        self._clock = clock
        self._known: dict[bytes, tuple[float, ApiKey | None]] = {}

    async def key_of(self, text: str) -> ApiKey:
        """The valid key of this text. Raises Problem `invalid_key`."""
        key = await self._find(self._digest(text)) if _FORM.match(text) else None
        if key is None:
            raise Problem("invalid_key", "The API key is unknown, expired or revoked: check it, or create a new one.")
        return key

    async def mint(
        self,
        name: str,
        *,
        project: str = DEFAULT_PROJECT,
        scopes: Sequence[str] = SCOPES,
        mode: str = "live",
        workflows: Sequence[str] | None = None,
        expires_at: datetime | None = None,
        budget: Mapping[Period, int] | None = None,
    ) -> Minted:
        """A new key: 190 random bits and a checksum by which leaked ones are recognised; `budget` in nano-dollars.

        Raises ValueError.
        """
        if unknown := set(scopes) - set(SCOPES):
            raise ValueError(f"unknown scope {sorted(unknown)[0]!r}: use {', '.join(SCOPES)}")
        random = ids.secret_base62(32)
        text = f"lw_{mode}_{random}{zlib.crc32(random.encode()):08x}"
        return Minted(text, await self._store(text, name, project, scopes, workflows, expires_at, budget))

    async def ensure(self, text: str, name: str = "bootstrap") -> ApiKey:
        """The configured key, with every scope, in the default project; stored where it is new."""
        return await self._store(text, name, DEFAULT_PROJECT, SCOPES, None, None)

    async def keys(self, project_id: UUID) -> list[ApiKey]:
        """All keys of a project, newest first."""
        return await self._keys.of_project(project_id)

    async def key(self, project_id: UUID, key_id: UUID) -> ApiKey | None:
        """A key of a project."""
        return next(iter(await self._keys.of_project(project_id, key_id)), None)

    async def allow(self, project_id: UUID, key_id: UUID, budget: Mapping[Period, int]) -> ApiKey | None:
        """Give a key another budget, nano-dollars by period."""
        return await self._keys.allow(project_id, key_id, budget)

    async def revoke(self, key_id: UUID) -> bool:
        """End a key; False when it had ended."""
        return await self._keys.revoke(key_id)

    async def project_name(self, project_id: UUID) -> str | None:
        """The name of a project."""
        return await self._keys.project_name(project_id)

    async def _store(
        self,
        text: str,
        name: str,
        project: str,
        scopes: Sequence[str],
        workflows: Sequence[str] | None,
        expires_at: datetime | None,
        budget: Mapping[Period, int] | None = None,
    ) -> ApiKey:
        return await self._keys.create(
            NewKey(
                project,
                name,
                text[:12],
                self._digest(text),
                tuple(scopes),
                text.split("_")[1],
                tuple(workflows) if workflows is not None else None,
                expires_at,
                budget or {},
            )
        )

    async def _find(self, digest: bytes) -> ApiKey | None:
        read_at, key = known = self._known.get(digest, (float("-inf"), None))
        now = self._clock.monotonic()
        if now - read_at <= _FRESH_S:
            return key
        if key is not None:
            # One asks, the others that call at the same moment go on with what is known.
            self._known[digest] = (now, key)
        try:
            key = await self._keys.find(digest)
        except BaseException:
            self._known[digest] = known
            raise
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known[digest] = (now, key)
        return key

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self._pepper, text.encode(), hashlib.sha256)
