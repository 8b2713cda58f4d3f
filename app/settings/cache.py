"""How much the caches may hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.settings.providers import Group


class CacheSettings(Group):
    """Answers that were paid for once, in Redis."""

    # Off: every question is asked anew, whatever policies say.
    enabled: bool = True
    # What all entries may take of Redis's memory; beyond it those go that were unused for longest.
    max_bytes: Annotated[int, Field(ge=10_000, le=1 << 40)] = 64 << 20
    # An answer larger than this is not kept.
    max_entry_bytes: Annotated[int, Field(ge=1000, le=64 << 20)] = 1 << 20
    # How long past its time an entry is kept for when its provider is away.
    stale_s: Annotated[float, Field(ge=0, le=30 * 86400)] = 86400.0
    # How long an embedding is kept where the step's policy names no time.
    embedding_ttl_s: Annotated[float, Field(gt=0, le=366 * 86400)] = 30 * 86400
