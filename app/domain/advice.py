"""What each code of the catalogue means for who meets it: the class of the failure, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.errors import ErrorClass


@dataclass(frozen=True, slots=True)
class Advice:
    """The class of what went wrong, and what to do about it."""

    error_class: ErrorClass
    what_to_do: str


def _input(what_to_do: str) -> Advice:
    return Advice(ErrorClass.INPUT, what_to_do)


def _transient(what_to_do: str) -> Advice:
    return Advice(ErrorClass.TRANSIENT, what_to_do)


def _processing(what_to_do: str) -> Advice:
    return Advice(ErrorClass.PROCESSING, what_to_do)


def _system(what_to_do: str) -> Advice:
    return Advice(ErrorClass.SYSTEM, what_to_do)


ADVICE: dict[str, Advice] = {
    "malformed_json": _input("Send valid JSON in UTF-8; `detail` says where it breaks."),
    "invalid_header": _input("Correct the header that `detail` names."),
    "invalid_cursor": _input("Begin again without `cursor`."),
    "missing_key": _input("Send `Authorization: Bearer lw_live_...`."),
    "invalid_key": _input("Check the key; make a new one where it has expired or was revoked."),
    "budget_exhausted": _input("Wait for the period to turn (`Retry-After`), or have the budget raised."),
    "max_cost_too_low": _input("Raise `max_cost_usd` or leave it out."),
    "scope_missing": _input("Use a key with the scope that `detail` names."),
    "workflow_not_allowed": _input("Use a key that may call this workflow."),
    "not_found": _input("Check the address and the id; what belongs to another project is not found either."),
    "method_not_allowed": _input("Use a method that the document at `/openapi.json` lists."),
    "not_streamable": _input("Ask for `application/json`, and poll."),
    "job_not_finished": _transient("Ask again after `Retry-After`."),
    "state_conflict": _input("Read its state first: in this one it cannot be done."),
    "idempotency_in_flight": _transient("Send it again a little later, with the same `Idempotency-Key`."),
    "duplicate_job": _input("Use the job that the answer names, or leave `dedupe` out."),
    "batch_sealed": _input("Begin another batch."),
    "result_expired": _input("Submit again; keep it for longer with `retain_for`."),
    "revision_mismatch": _input("Read it again and decide anew."),
    "payload_too_large": _input("Send less: `GET /v1/limits` tells the bound."),
    "unsupported_media_type": _input("Send `Content-Type: application/json`, uncompressed."),
    "input_invalid": _input("Correct the fields that `errors` names."),
    "unknown_field": _input("Remove the fields that `errors` names, or correct their names."),
    "idempotency_key_reused": _input("Use a new `Idempotency-Key` for another request."),
    "webhook_url_forbidden": _input("Name an https address that is public."),
    "digest_mismatch": _input("Send the content again, whole."),
    "rate_limited": _transient("Slow down, and ask again after `Retry-After`."),
    "queue_full": _transient("Submit again after `Retry-After`."),
    "internal": _system("Try again; where it stays, tell the operators the `request_id`."),
    "reduced_capacity": _transient("Send it again after `Retry-After`, with the same `Idempotency-Key`."),
    "only_if_cached_miss": _input("Leave `only-if-cached` out to have it made."),
    "provider_rate_limited": _transient("Retry the job later; nothing of it is wrong."),
    "provider_timeout": _transient("Retry the job; where it stays, the question may be too long for its time."),
    "provider_unavailable": _transient("Retry the job when the provider is back."),
    "provider_refused": _input("Change the input: the provider will not answer this one."),
    "provider_auth": _system("The operators must mend the provider's credential or its quota."),
    "output_invalid": _processing("Retry with another version of the workflow, or change the input."),
    "low_confidence": _processing("Have a person decide, or use a version that is surer."),
    "rule_violated": _processing("Have a person look at it: the answer broke a rule of the workflow's."),
    "workflow_error": _processing("The workflow's author must mend it; then retry, or replay the dead letters."),
    "replay_mismatch": _processing("Retry `from` `start`: the workflow changed under its own version."),
    "worker_lost": _system("Retry; a job that ends its workers three times asks for too much memory or never yields."),
    "run_timeout": _transient("Retry; where it stays, raise the workflow's `timeout`."),
    "start_timeout": _transient("Submit again with a longer `start_within`, or in another lane."),
    "canceled_by_client": _input("Retry it where it was canceled by mistake."),
    "cost_cap_reached": _processing("Submit it again with a higher `max_cost_usd`."),
    "dependency_failed": _transient("Retry when what it calls is back."),
}
