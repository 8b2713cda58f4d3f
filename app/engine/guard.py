"""The breaker before a try: asked before it, told after it; what fails because of an outage costs the step nothing."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from app.domain.errors import Fault, MustWait, ProviderAuth, RateLimited, SystemFault, TransientError
from app.domain.job import Reason
from app.engine.run import Run
from app.engine.work import Work
from app.gateway.breakers.dependency import Dependency
from app.gateway.pools.ending import Ending
from app.telemetry.place import root_of

R = TypeVar("R")


async def guarded(run: Run, work: Work[Any], act: Callable[[], Awaitable[R]]) -> R:
    """What `act` gives, where the step's policy names a breaker behind that breaker. Raises what `act` raises.

    Raises MustWait `provider_down` while the breaker is open, and in place of a failure of the probe, and of one that
    opens it: those charge no try, unless the author allows only one and it may have had its effect.
    """
    policy = work.policy
    if run.breakers is None or policy.breaker is None:
        return await act()
    dependency = Dependency(run.project_id, run.test_mode, policy.breaker)
    given, began_s = await run.breakers.ask(dependency), run.clock.monotonic()
    try:
        result = await act()
    except Fault as fault:
        ending = _ending(fault)
        if ending is None:
            raise
        is_open = await run.breakers.tell(dependency, given, ending)
        if is_open and (ending is Ending.REFUSED or (ending is Ending.FAILED and policy.tries > 1)):
            raise MustWait(Reason.PROVIDER_DOWN, run.clock.now(), dependency.park, breaker=policy.breaker) from fault
        raise
    slow = _slow(work, run.clock.monotonic() - began_s, run.breakers.slow_share)
    await run.breakers.tell(dependency, given, Ending.FAILED if slow else Ending.OK)
    return result


def _slow(work: Work[Any], took_s: float, share: float) -> bool:
    """Whether a try that ended well took too much of its time. Models' calls are judged where their waits are known."""
    bound_s = work.policy.timeout_s if work.kind == "step" else None
    return bound_s is not None and took_s > share * bound_s


def _ending(fault: Fault) -> Ending | None:
    """What a failed try says of the dependency: nothing, where it is the house that was in trouble."""
    if isinstance(fault, SystemFault) and not isinstance(fault, ProviderAuth):
        return None
    if not isinstance(fault, TransientError) or isinstance(fault, RateLimited):
        return Ending.OTHER
    refused = isinstance(root_of(fault), ConnectionRefusedError | socket.gaierror)
    return Ending.REFUSED if refused else Ending.FAILED
