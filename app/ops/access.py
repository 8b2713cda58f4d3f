"""API keys: minted, hashed, looked up; a key's text is shown once and stored nowhere."""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from app.domain import ids
from app.domain.clock import Clock
from app.domain.errors import Problem
from app.ops.quotas import Quotas
from app.store.keys import DEFAULT_PROJECT, ApiKey, Keys, NewKey, Secret

SCOPES = (
    "jobs:read", "jobs:write", "batches:read", "batches:write", "webhooks:read", "webhooks:write", "ops:read",
    "ops:write", "keys:admin",
)  # fmt: skip
_FORM = re.compile(r"^lw_(live|test)_[A-Za-z0-9]{32,200}$")
# Invalid keys that one address may send, at once or evenly: nobody guesses 190 bits, but each costs a look.
REFUSALS_PER_MINUTE = 300
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

    def __init__(self, keys: Keys, pepper: str, clock: Clock, refusals: Quotas | None = None) -> None:
        """`refusals` bounds how often one address may fail."""
        self._keys = keys
        self._refusals = refusals
        self._pepper = pepper.encode()
        self._clock = clock
        self._known: dict[bytes, tuple[float, ApiKey | None]] = {}

    async def key_of(self, text: str, address: str) -> ApiKey:
        """The valid key of this text.

        Raises Problem `invalid_key`; `rate_limited` where the address has sent too many that are not valid: then no
        key is looked up for it but those that have called before.
        """
        digest = self._digest(text)
        if not self._has_called(digest):
            self._bound(address)
        key = await self._find(digest) if _FORM.match(text) else None
        if key is None:
            if self._refusals is not None:
                self._refusals.take(address)
            raise Problem("invalid_key", "The API key is unknown, expired or revoked: check it, or create a new one.")
        return key

    async def mint(
        self, name: str, *, project: str = DEFAULT_PROJECT, scopes: Sequence[str] = SCOPES, mode: str = "live",
        workflows: Sequence[str] | None = None, expires_at: datetime | None = None,
    ) -> Minted:  # fmt: skip
        """A new key that nobody's key asks for. Raises ValueError for a scope that there is not."""
        if unknown := set(scopes) - set(SCOPES):
            raise ValueError(f"unknown scope {sorted(unknown)[0]!r}: use {', '.join(SCOPES)}")
        text, secret = self.secret(mode)
        return Minted(text, await self._stored(NewKey(project, name, secret, scopes, mode, workflows, expires_at)))

    async def ensure(self, text: str, name: str = "bootstrap") -> ApiKey:
        """The configured key, with every scope, in the default project; stored where it is new."""
        mode = text.split("_")[1]
        return await self._stored(NewKey(DEFAULT_PROJECT, name, self._secret(text), SCOPES, mode))

    def secret(self, mode: str) -> tuple[str, Secret]:
        """A key's new text, 190 random bits and a checksum by which leaked ones are recognised, and what is stored."""
        random = ids.secret_base62(32)
        text = f"lw_{mode}_{random}{zlib.crc32(random.encode()):08x}"
        return text, self._secret(text)

    def _secret(self, text: str) -> Secret:
        return Secret(text[:12], self._digest(text))

    async def _stored(self, key: NewKey) -> ApiKey:
        stored = await self._keys.create(key)
        if isinstance(stored, tuple):
            raise LookupError("nobody gave an idempotency key")
        return stored

    def _has_called(self, digest: bytes) -> bool:
        return self._known.get(digest, (0.0, None))[1] is not None

    def _bound(self, address: str) -> None:
        if self._refusals is not None and (retry_s := self._refusals.retry_s(address)) is not None:
            detail = "Too many invalid API keys came from your address: check yours, and try it after Retry-After."
            raise Problem("rate_limited", detail, retry_after_s=max(1, ceil(retry_s)))

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
