"""What a failed job left behind, as a test reads it from its file: input, error, finished steps, models' answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel

from app.domain import canonical
from app.domain.call import CallOutcome
from app.domain.errors import CATALOGUE, ErrorClass, Failure, Fault, ProcessingError, TransientError
from app.domain.step import StepRecord, StepStatus
from app.engine.fault import revived
from app.engine.replies import Reply

# What such a step did lies outside the author's code: its failure is read from the record, like a success.
_OUTSIDE = (ErrorClass.TRANSIENT, ErrorClass.SYSTEM)
_ASKS = ("ask", "stream")
Identity = tuple[str, str]


class RecordedError(BaseModel):
    """Why a job or a step failed."""

    error_class: ErrorClass
    code: str
    detail: str
    step: str | None = None

    @property
    def failure(self) -> Failure:
        """The same in the engine's words."""
        return Failure(self.error_class, self.code, self.detail, self.step)


class RecordedStep(BaseModel):
    """A step as it stood when the job failed; `args_digest` is hexadecimal."""

    name: str
    key: str
    kind: str
    status: StepStatus
    tries: int
    args_digest: str
    output: Any
    error: RecordedError | None
    started_at: AwareDatetime
    ended_at: AwareDatetime
    attempt: int
    span_id: str

    @property
    def identity(self) -> Identity:
        """What it is known by."""
        return (self.name, self.key)

    @property
    def kept(self) -> bool:
        """Whether it is read from the record: it succeeded, or it failed by what is not the author's code."""
        outside = self.error is not None and self.error.error_class in _OUTSIDE and self.kind not in _ASKS
        return self.status is StepStatus.SUCCEEDED or (self.status is StepStatus.FAILED and outside)

    @property
    def record(self) -> StepRecord:
        """The record as the journal holds it."""
        return StepRecord(
            name=self.name,
            key=self.key,
            kind=self.kind,
            status=self.status,
            tries=self.tries,
            args_digest=bytes.fromhex(self.args_digest),
            output=canonical.dump(self.output) if self.status is StepStatus.SUCCEEDED else None,
            error=self.error.failure if self.error else None,
            started_at=self.started_at,
            ended_at=self.ended_at,
            attempt=self.attempt,
            span_id=self.span_id,
        )


class RecordedCall(BaseModel):
    """A call to a model, and what it answered."""

    step: str
    key: str
    started_at: AwareDatetime
    outcome: CallOutcome
    error_code: str | None
    text: str | None
    finish_reason: str | None


class JobRecord(BaseModel):
    """A failed job."""

    job_id: UUID
    workflow: str
    version: str
    started_at: AwareDatetime
    input: Any
    error: RecordedError
    steps: list[RecordedStep]
    calls: list[RecordedCall]

    def records(self, live: Collection[str]) -> list[StepRecord]:
        """What is read instead of run; steps of a name in `live` run."""
        return [step.record for step in self.steps if step.kept and step.name not in live]

    def replies(self) -> dict[Identity, list[Any]]:
        """What the models answered to each step, in order, since the job last began."""
        began = {step.identity: step for step in self.steps}
        calls: dict[Identity, list[RecordedCall]] = defaultdict(list)
        for call in sorted(self.calls, key=lambda call: call.started_at):
            step = began.get((call.step, call.key))
            if step is None or call.started_at >= step.started_at:
                calls[call.step, call.key].append(call)
        return {identity: _replies(own, began.get(identity)) for identity, own in calls.items()}


def _replies(calls: list[RecordedCall], step: RecordedStep | None) -> list[Any]:
    """A reply for each question. A 429 is asked again within it, a refused credential goes to the next target."""
    asked = [
        call
        for call in calls
        if call.outcome is not CallOutcome.RATE_LIMITED and (call.error_code != "provider_auth" or call is calls[-1])
    ]
    return [_reply(call, step if call is asked[-1] else None) for call in asked]


def _reply(call: RecordedCall, last_of: RecordedStep | None) -> Any:
    if call.error_code is None and call.text is not None:
        return Reply(call.text, call.finish_reason or "stop")
    if last_of is not None and last_of.error is not None:
        return revived(last_of.error.failure)
    return _fault(call.error_code or "provider_unavailable")


def _fault(code: str) -> Fault:
    entry = CATALOGUE.get(code)
    kind = TransientError if entry is None or entry.retryable else ProcessingError
    return kind("as it was recorded", code=code)
