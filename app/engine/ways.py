"""Other ways to a step's answer: the author's fallback as an act of the step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from app.domain.step import Via
from app.engine.act import run_function
from app.engine.ask import Listener, Question, ask
from app.engine.policies import Policy
from app.engine.run import Run
from app.engine.work import Try, Way, misuse


def ways_of_step(identity: tuple[str, str], policy: Policy, args: tuple[Any, ...]) -> tuple[Way, ...]:
    """A function, called with the step's arguments. Raises ProcessingError for a model."""
    if policy.fallback is None:
        return ()
    if isinstance(policy.fallback, str):
        raise misuse(
            identity, f"has the model {policy.fallback!r} as fallback: a step takes a function, ask a model too"
        )
    return (_function(policy.fallback, args, policy.timeout_s),)


def ways_of_embed(identity: tuple[str, str], policy: Policy, texts: Sequence[str]) -> tuple[Way, ...]:
    """A function, called with the texts. Raises ProcessingError for a model: nothing compares vectors of two models."""
    if isinstance(policy.fallback, str):
        raise misuse(identity, f"has the model {policy.fallback!r} as fallback: embed takes a function only")
    return () if policy.fallback is None else (_function(policy.fallback, (list(texts),), policy.timeout_s),)


def ways_of_ask(
    run: Run, policy: Policy, question: Question, given: Any, listener: Listener | None = None
) -> tuple[Way, ...]:
    """Another model, asked the same; or a function, called with what was `given`: the prompt, or the messages."""
    if policy.fallback is None:
        return ()
    if not isinstance(policy.fallback, str):
        return (_function(policy.fallback, (given,), policy.timeout_s),)
    # Upstream it is another question.
    other = replace(question, alias=policy.fallback, key=f"{question.key}-f")
    return (Way(Via.FALLBACK_MODEL, _asking(run, other, listener)),)


def _asking(run: Run, question: Question, listener: Listener | None) -> Callable[[Try], Awaitable[Any]]:
    async def act(one: Try) -> Any:
        return await ask(run, question, one, listener)

    return act


def _function(fn: Callable[..., Any], args: tuple[Any, ...], timeout_s: float | None) -> Way:
    async def act(_: Try) -> Any:
        return await run_function(fn, args, timeout_s)

    return Way(Via.FALLBACK_FUNCTION, act)
