"""An embedding step: a vector for each text, through the gateway, which knows those that were asked for before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.domain.errors import InputError, ProcessingError
from app.engine.ask import charge_of, check_cost
from app.engine.policies import Policy
from app.engine.run import Run
from app.engine.work import Try
from app.gateway.calls.keeping import Keeping
from app.gateway.calls.request import Caching, ModelRequest

Vectors = list[list[float]]


@dataclass(frozen=True, slots=True)
class Embedded:
    """What one `embed` wants; `key` names it upstream."""

    alias: str
    texts: tuple[str, ...]
    policy: Policy
    max_cost_nanos: int | None
    key: str


def checked_texts(step: str, texts: Iterable[str]) -> tuple[str, ...]:
    """The texts. Raises ProcessingError for what is no list of texts, InputError for an empty one: nobody takes it."""
    found = tuple(texts) if not isinstance(texts, str) else (None,)
    if not all(isinstance(text, str) for text in found):
        raise ProcessingError(f"step {step!r}: embed takes a list of texts")
    if "" in found:
        raise InputError(
            f"step {step!r}: text {found.index('') + 1} of {len(found)} is empty, which no provider embeds"
        )
    return tuple(text for text in found if isinstance(text, str))


async def embed(run: Run, wanted: Embedded, one: Try) -> Any:
    """The vectors in the texts' order. Raises Faults and MustWait of the gateway, `cost_cap_reached` at the cap."""
    if not wanted.texts:
        return []
    check_cost(run, wanted.max_cost_nanos)
    answer = await run.gateway.complete(_request(run, wanted, one), one.note)
    return [list(vector) for vector in answer.vectors]


def _request(run: Run, wanted: Embedded, one: Try) -> ModelRequest:
    cache = wanted.policy.cache
    # Without a time of its own it is kept for as long as the settings say.
    keeping = cache.keeping if cache is not None else Keeping(None)
    return ModelRequest(
        alias=wanted.alias,
        messages=(),
        schema=None,
        schema_name=None,
        max_output_tokens=0,
        timeout_s=wanted.policy.timeout_s,
        trace=one.trace,
        idempotency_key=wanted.key,
        job_id=run.job_id,
        project_id=run.project_id,
        lane=run.lane,
        test_mode=run.test_mode,
        caching=Caching(keeping, lambda _: True),
        charge=charge_of(run),
        texts=wanted.texts,
        since=one.since,
        again=run.resumed or one.again,
    )
