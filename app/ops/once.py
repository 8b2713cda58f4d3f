"""Does once, for each idempotency key, what the database does not do in one transaction with the key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from app.jobs.submit import key_reused
from app.store.answers import Answers
from app.store.submissions import IdempotencyKey


class Once:
    """The key is bound before the act and keeps its answer after it; an act that is refused frees it.

    Where the process ends between the two, or two equal requests come at one moment, the act is done twice: it must be
    one that sets something, not one that adds.
    """

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def do(
        self, project_id: UUID, key: IdempotencyKey | None, act: Callable[[], Awaitable[bytes]]
    ) -> tuple[bytes, bool]:
        """The answer, and whether an earlier request was given it.

        Raises Problem `idempotency_key_reused`, StoreAway, and what the act raises.
        """
        if key is None:
            return await act(), False
        kept = await self._answers.claim(project_id, key)
        if kept.reused:
            raise key_reused()
        if kept.answer is not None:
            return kept.answer, True
        try:
            answer = await act()
        except Exception:
            await self._answers.forget(project_id, key)
            raise
        await self._answers.keep(project_id, key, answer)
        return answer, False
