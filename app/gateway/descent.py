"""The way down a ladder: what makes the next target be asked, and how a call ends that none of them answered."""

from __future__ import annotations

from app.domain.errors import MustWait, ProviderAuth, SystemFault, TransientError
from app.domain.job import Reason
from app.gateway.calls.routes import Target
from app.telemetry.logs import log

Ended = MustWait | TransientError | SystemFault
_log = log("gateway")


class Descent:
    """One call's. What is wrong with the target is noted here; input and answers are as wrong everywhere."""

    def __init__(self) -> None:
        self._waits: list[MustWait] = []
        self._failures: list[TransientError | SystemFault] = []

    def note(self, target: Target, ended: Ended) -> None:
        """That target gave no answer: it asks to wait, it is away or slow, it refuses our credential or model."""
        if isinstance(ended, MustWait):
            self._waits.append(ended)
            return
        self._failures.append(ended)
        say = _log.error if isinstance(ended, SystemFault) else _log.warning
        say("target failed", provider=target.provider, model=target.model, code=ended.code, error=ended.detail)

    def end(self) -> Ended:
        """What the caller is told: what helps soonest at no loss.

        The shortest wait for a limit, which charges no try; then what another try may mend; then the wait for a
        budget, or for a credential that is refused; then what only people can mend.
        """
        limits = [wait for wait in self._waits if wait.reason not in (Reason.BUDGET, Reason.PROVIDER_AUTH)]
        if limits:
            return min(limits, key=lambda wait: wait.until)
        transient = [fault for fault in self._failures if isinstance(fault, TransientError)]
        if transient:
            return transient[-1]
        if self._waits:
            return min(self._waits, key=lambda wait: wait.until)
        return self._failures[-1] if self._failures else ProviderAuth("the ladder has no target")
