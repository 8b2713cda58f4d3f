"""The cascade: children of a job that did not succeed are canceled with it, portion by portion, whoever dies."""

from __future__ import annotations

from app.bell.ring import Ring
from app.bell.wake import Wake
from app.jobs.export import Export
from app.jobs.recover import tell
from app.store.children import Children


class Cascade:
    """A mark in the store says what is left to do; every process looks for it."""

    def __init__(self, children: Children, ring: Ring, wake: Wake, export: Export) -> None:
        self._children = children
        self._ring = ring
        self._wake = wake
        self._export = export

    async def once(self) -> None:
        """Do all that is left. Raises StoreAway."""
        while (swept := await self._children.sweep()) is not None:
            tell(swept.moved, self._ring, self._wake)
            for job_id in swept.told:
                self._wake.cancel(job_id)
            self._wake.moved(swept.told)
            self._export.ended(swept.moved)
