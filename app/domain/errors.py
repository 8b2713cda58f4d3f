"""Errors: four classes, one catalogue of codes, and the exceptions that carry them.

LanewayError
├── Problem            refuses a request (HTTP)
└── Fault              ends a try of a step or a job
    ├── TransientError     retried with back-off
    │   └── RateLimited    goes back to the rate controller, never a try
    ├── InputError         quarantined, never retried
    ├── ProcessingError    bounded repair, then dead letter
    └── SystemFault        parked, alerted
        └── ProviderAuth   the credential is refused
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class ErrorClass(StrEnum):
    """What a failure means for the job (reliability: error classes)."""

    TRANSIENT = "transient"
    INPUT = "input"
    PROCESSING = "processing"
    SYSTEM = "system"


class Disposition(StrEnum):
    """Where a failed job stands."""

    DEAD_LETTER = "dead_letter"
    QUARANTINE = "quarantine"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One member of the catalogue: HTTP status (0: only in `job.error`), title, whether trying again can help."""

    code: str
    status: int
    title: str
    retryable: bool = False


# Types that others have registered (draft-ietf-httpapi-ratelimit-headers-10, 7.2); the rest are ours.
_REGISTERED = {"rate_limited": "quota-exceeded", "reduced_capacity": "temporary-reduced-capacity"}


def type_of(code: str) -> str:
    """The URI that names this kind of problem."""
    if registered := _REGISTERED.get(code):
        return f"https://iana.org/assignments/http-problem-types#{registered}"
    return f"urn:laneway:error:{code}"


def _catalogue(*entries: ErrorCode) -> dict[str, ErrorCode]:
    return {entry.code: entry for entry in entries}


CATALOGUE: dict[str, ErrorCode] = _catalogue(
    ErrorCode("malformed_json", 400, "The body is not valid JSON"),
    ErrorCode("invalid_header", 400, "A header is invalid"),
    ErrorCode("invalid_cursor", 400, "The cursor is invalid"),
    ErrorCode("missing_key", 401, "An API key is required"),
    ErrorCode("invalid_key", 401, "The API key is invalid"),
    ErrorCode("budget_exhausted", 402, "A budget is exhausted"),
    ErrorCode("max_cost_too_low", 402, "max_cost_usd is too low to start"),
    ErrorCode("scope_missing", 403, "The API key lacks a scope"),
    ErrorCode("workflow_not_allowed", 403, "The API key may not call this workflow"),
    ErrorCode("not_found", 404, "Not found"),
    ErrorCode("method_not_allowed", 405, "Method not allowed"),
    ErrorCode("not_streamable", 406, "This job cannot be streamed"),
    ErrorCode("job_not_finished", 409, "The job has not finished", True),
    ErrorCode("state_conflict", 409, "The job's state forbids this"),
    ErrorCode("idempotency_in_flight", 409, "A request with this Idempotency-Key is in flight", True),
    ErrorCode("duplicate_job", 409, "An equal job exists"),
    ErrorCode("batch_sealed", 409, "The batch is sealed"),
    ErrorCode("result_expired", 410, "The result has expired"),
    ErrorCode("revision_mismatch", 412, "The revision does not match"),
    ErrorCode("payload_too_large", 413, "The body is too large"),
    ErrorCode("unsupported_media_type", 415, "The media type is not supported"),
    ErrorCode("input_invalid", 422, "The input is invalid"),
    ErrorCode("unknown_field", 422, "A field is unknown"),
    ErrorCode("idempotency_key_reused", 422, "The Idempotency-Key was used with another body"),
    ErrorCode("webhook_url_forbidden", 422, "The webhook URL is not allowed"),
    ErrorCode("digest_mismatch", 422, "The digest does not match the content"),
    ErrorCode("rate_limited", 429, "Too many requests", True),
    ErrorCode("queue_full", 429, "The queue is full", True),
    ErrorCode("internal", 500, "Internal error", True),
    ErrorCode("reduced_capacity", 503, "Temporarily reduced capacity", True),
    ErrorCode("only_if_cached_miss", 504, "No cached result"),
    ErrorCode("provider_rate_limited", 0, "The AI provider limits the rate", True),
    ErrorCode("provider_timeout", 0, "The AI provider did not answer in time", True),
    ErrorCode("provider_unavailable", 0, "The AI provider is unavailable", True),
    ErrorCode("provider_refused", 0, "The AI provider refused the request"),
    ErrorCode("provider_auth", 0, "The AI provider refused the credential"),
    ErrorCode("output_invalid", 0, "The model's answer does not fit the schema"),
    ErrorCode("low_confidence", 0, "The confidence is too low"),
    ErrorCode("rule_violated", 0, "A rule is violated"),
    ErrorCode("workflow_error", 0, "The workflow's code failed"),
    ErrorCode("replay_mismatch", 0, "A recorded step was found under other arguments"),
    ErrorCode("worker_lost", 0, "The worker was lost three times", True),
    ErrorCode("run_timeout", 0, "The job did not finish in time", True),
    ErrorCode("start_timeout", 0, "The job did not start in time", True),
    ErrorCode("canceled_by_client", 0, "Canceled by the client"),
    ErrorCode("cost_cap_reached", 0, "max_cost_usd is reached"),
    ErrorCode("dependency_failed", 0, "A dependency failed", True),
)


class LanewayError(Exception):
    """Root of the product's own exceptions."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One broken rule: JSON pointer into the body, code, what is wrong and what to do."""

    pointer: str
    code: str
    detail: str


class Problem(LanewayError):
    """Refuses a request: becomes `application/problem+json` (RFC 9457)."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        retry_after_s: int | None = None,
        extra: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.entry = CATALOGUE[code]
        self.detail = detail
        self.errors = errors
        self.retry_after_s = retry_after_s
        self.extra = extra or {}
        self.headers = headers or {}


class MustWait(LanewayError):
    """Nothing failed, but the wait is too long to hold a slot: park until `until` (aware UTC), charge nothing.

    `pool`: the one whose turn it is for, which may come before then; `breaker`: the named one that is open.
    """

    def __init__(self, reason: str, until: datetime, pool: str | None = None, breaker: str | None = None) -> None:
        super().__init__(f"wait: {reason}")
        self.reason = reason
        self.until = until
        self.pool = pool
        self.breaker = breaker


class Fault(LanewayError):
    """Ends a try. `code` is from the catalogue or the author's own, `detail` is for people and holds no prompt."""

    error_class = ErrorClass.SYSTEM
    default_code = "internal"

    def __init__(self, detail: str = "", *, code: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.retry_after_s = retry_after_s


class TransientError(Fault):
    """Worth another try later: timeouts, 5xx, overload."""

    error_class = ErrorClass.TRANSIENT
    default_code = "dependency_failed"


class RateLimited(TransientError):
    """The provider limits the rate: the wait charges no try."""

    default_code = "provider_rate_limited"


class InputError(Fault):
    """The input can never succeed: the job is quarantined at once."""

    error_class = ErrorClass.INPUT
    default_code = "input_invalid"


class ProcessingError(Fault):
    """The work was done and is wrong: an answer that fits no schema, a broken rule, a bug."""

    error_class = ErrorClass.PROCESSING
    default_code = "workflow_error"


class SystemFault(Fault):
    """The house itself fails: nothing is charged, the job waits, people are told."""

    error_class = ErrorClass.SYSTEM
    default_code = "internal"


class ProviderAuth(SystemFault):
    """The provider refuses the credential or its quota is spent: no wait helps."""

    default_code = "provider_auth"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt or a job failed, as stored and as shown in `job.error`."""

    error_class: ErrorClass
    code: str
    detail: str
    step: str | None = None

    @property
    def retryable(self) -> bool:
        """Whether a retry by the client can help."""
        if entry := CATALOGUE.get(self.code):
            return entry.retryable
        return self.error_class in (ErrorClass.TRANSIENT, ErrorClass.SYSTEM)

    @property
    def title(self) -> str:
        """What the code means, in words; of an author's own code its words."""
        entry = CATALOGUE.get(self.code)
        return entry.title if entry else self.code.replace("_", " ")


def failure_of(error: BaseException, step: str | None = None) -> Failure:
    """Classify anything that ended a try; what is no Fault is a bug in the author's code."""
    step = getattr(error, "laneway_step", None) or step
    if isinstance(error, Fault):
        return Failure(error.error_class, error.code, error.detail[:2000], step)
    detail = f"{type(error).__name__}: {error}"[:2000]
    return Failure(ErrorClass.PROCESSING, "workflow_error", detail, step)
