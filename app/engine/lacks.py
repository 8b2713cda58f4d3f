"""What a run's output is without: steps that were left out, or were answered in another way than the one asked for."""

from __future__ import annotations

from app.domain.errors import ErrorClass
from app.domain.step import StepRecord


class Lacks:
    """Told in the order of the steps. `again`: one that was left out is worth another try later."""

    def __init__(self) -> None:
        self._told: list[dict[str, str]] = []
        self.again = False

    @property
    def told(self) -> tuple[dict[str, str], ...]:
        """As `degraded` shows them: {step, key?, reason}."""
        return tuple(self._told)

    def note(self, record: StepRecord) -> None:
        """A step has ended; one that failed was not critical."""
        if record.error is not None:
            self._tell(record, record.error.code)
            # The input can never succeed.
            self.again = self.again or record.error.error_class is not ErrorClass.INPUT
        elif record.via is not None:
            self._tell(record, record.via.value)

    def _tell(self, record: StepRecord, reason: str) -> None:
        key = {"key": record.key} if record.key else {}
        self._told.append({"step": record.name, **key, "reason": reason})
