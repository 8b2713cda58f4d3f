"""What clients do: submit, with and without a key, cancel, run again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from app.domain.job import TRANSITIONS, UNCLAIMED, NewJob, Reason, Status, Verb
from app.store.controls import Refusal
from app.store.submissions import IdempotencyKey, Outcome, Submission
from tests.properties.life_machine import CLOCKS, PICKS, WAITS, Frame
from tests.properties.life_model import Life
from tests.store.parts import PROJECT, new_job, webhook

_MOST = 4
_KEY_S = 24 * 3600.0
_LIVE = [status for status in Status if not status.terminal]
_RETRIED = TRANSITIONS[Verb.RETRY][0]
_ORDERED = st.sampled_from([None, None, "a", "b"])


class Clients(Frame):
    """Their rules."""

    @rule(
        wait_s=WAITS, key=_ORDERED, hooked=st.booleans(), off_peak=st.booleans(), start_s=CLOCKS, finish_s=CLOCKS,
        name=st.sampled_from([None, "x", "y"]),
    )  # fmt: skip
    def submit(
        self, wait_s: float = 0.0, key: str | None = None, hooked: bool = False, off_peak: bool = False,
        start_s: float | None = None, finish_s: float | None = None, name: str | None = None,
    ) -> None:  # fmt: skip
        """A new job, if not too many live; `name` is its idempotency key."""
        if sum(life.live and life.parent is None for life in self.world.lives) < _MOST:
            job = self._job(wait_s, key, hooked, off_peak, start_s, finish_s)
            if self._submitted(job, name):
                self._born(job, wait_s, name)

    @rule(name=st.sampled_from("xy"))
    def repeat(self, name: str) -> None:
        """A submit under a key, once more where it was there."""
        job = self._job(0.0, None, False, False, None, None)
        if self._submitted(job, name):
            self._born(job, 0.0, name)

    @initialize(keys=st.lists(_ORDERED, min_size=2, max_size=3))
    def begin(self, keys: list[str | None]) -> None:
        """Jobs that may start, in every run."""
        for key in keys:
            self.submit(key=key, hooked=key is None)

    @rule(pick=PICKS)
    def cancel(self, pick: int) -> None:
        for life in self.lives(pick, _LIVE):
            self._canceled(life)

    @rule(pick=PICKS, from_start=st.booleans())
    def retry(self, pick: int, from_start: bool) -> None:
        for life in self.lives(pick, _RETRIED):
            self._retried(life, from_start)

    @rule(pick=PICKS, from_start=st.booleans())
    def cancel_and_retry(self, pick: int, from_start: bool) -> None:
        """Before anybody could see to what hangs on it."""
        for life in self.lives(pick, UNCLAIMED):
            self._canceled(life)
            self._retried(life, from_start)

    def _canceled(self, life: Life) -> None:
        self.run(self.stage.store.controls.cancel(PROJECT, life.id))
        self.world.cancel(life)

    def _retried(self, life: Life, from_start: bool) -> None:
        refused = self.run(self.stage.store.controls.retry(PROJECT, life.id, version=None, from_start=from_start))
        assert refused == (None if life.status in _RETRIED else Refusal.STATE)
        if refused is None:
            self.world.retry(life, from_start=from_start)

    def _submitted(self, job: NewJob, name: str | None) -> bool:
        """Whether that made a new job; under a key that holds, the earlier one answers."""
        owner = IdempotencyKey("POST", name, b"same") if name else None
        submitted = self.run(self.stage.store.submissions.submit(Submission(job, owner)))
        life, at = self.keys.get(name or "", (None, 0.0))
        known = life if self.world.now - at < _KEY_S else None
        new = (job.id, Outcome.CREATED)
        assert (submitted.job_id, submitted.outcome) == ((known.id, Outcome.REPLAYED) if known else new)
        return known is None

    def _job(
        self, wait_s: float, key: str | None, hooked: bool, off_peak: bool, start_s: float | None,
        finish_s: float | None,
    ) -> NewJob:  # fmt: skip
        due_at, given = self.at(wait_s), dict[str, Any]()
        if wait_s:
            given = {"status": Status.SCHEDULED, "reason": Reason.OFF_PEAK if off_peak else Reason.RUN_AT}
        return new_job(
            self.stage.lane, due_at=due_at, webhook=webhook() if hooked else None, off_peak=off_peak,
            ordering_key=key, start_within_s=start_s, finish_within_s=finish_s,
            start_by=due_at + timedelta(seconds=start_s) if start_s else None,
            finish_by=due_at + timedelta(seconds=finish_s) if finish_s else None, **given,
        )  # fmt: skip

    def _born(self, job: NewJob, wait_s: float, name: str | None) -> None:
        due_at, start_s, finish_s = self.world.now + wait_s, job.start_within_s, job.finish_within_s
        by = [due_at + one for one in (start_s, finish_s) if one]
        life = Life(
            job.id, job.status, due_at=due_at, hooked=job.webhook is not None, key=job.ordering_key,
            off_peak=job.off_peak, start_within_s=start_s, finish_within_s=finish_s,
            finish_by=due_at + finish_s if finish_s else None, expire_by=min(by) if by else None,
        )  # fmt: skip
        self.world.submit(life)
        if name:
            self.keys[name] = (life, self.world.now)
