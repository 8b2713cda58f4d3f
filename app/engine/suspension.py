"""Suspension: what unwinds a workflow's function when its job must wait without a slot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NoReturn

from app.domain.errors import Failure
from app.domain.job import Reason


class Suspension(BaseException):
    """Park the job until `until` (aware UTC); `charged` when a failed try ended the claim. Authors never catch it.

    `pool`: whose turn it waits for, which may come before then.
    """

    def __init__(
        self,
        reason: Reason,
        until: datetime,
        *,
        charged: bool = False,
        failure: Failure | None = None,
        pool: str | None = None,
    ) -> None:
        super().__init__(f"{reason.value} until {until.isoformat()}")
        self.reason = reason
        self.until = until
        self.charged = charged
        self.failure = failure
        self.pool = pool


class Suspensions:
    """Those thrown in one run that have not reached its end: a function that swallows one is found out."""

    def __init__(self) -> None:
        self._open: set[Suspension] = set()

    def throw(self, suspension: Suspension) -> NoReturn:
        """Raise it."""
        self._open.add(suspension)
        raise suspension

    def throw_merged(self, branches: Sequence[Suspension]) -> NoReturn:
        """Raise one for several branches: the earliest wake-up and its reason; charged if any branch is.

        Where a branch waits for children or for a pool, so does the whole: both may come before any clock.
        """
        first = min(branches, key=lambda one: one.until)
        reason = Reason.CHILDREN if any(one.reason is Reason.CHILDREN for one in branches) else first.reason
        failure = next((one.failure for one in branches if one.failure is not None), None)
        charged = any(one.charged for one in branches)
        pool = next((one.pool for one in branches if one.pool is not None), None)
        self.throw(Suspension(reason, first.until, charged=charged, failure=failure, pool=pool))

    def forget(self, suspension: Suspension) -> None:
        """It was thrown where nobody waits any more."""
        self._open.discard(suspension)

    def swallowed(self) -> bool:
        """Whether one was thrown and caught by somebody; asked when a function ends in another way."""
        return bool(self._open)
