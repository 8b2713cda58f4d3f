"""The metrics of one process: what it did, by lane, workflow, class and stage; and their text for Prometheus.

Labels are names from the catalogue and the configuration, routes and codes, never ids or what a client may choose.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, ProcessCollector

from app.domain.call import Call, CallOutcome
from app.domain.clock import Clock
from app.domain.errors import CATALOGUE, Failure
from app.domain.job import Claimed, Reason, Status
from app.domain.step import StepRecord, StepStatus
from app.telemetry.instruments import Count, Instrument, Level, Spread, head, pairs

# From a database's answer to a day's wait.
_STAGES_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400)
_CALLS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_ANSWERS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_NANOS = 1e9
_OTHER = "other"
_REFUSED = "provider_auth"
_MOST_STEPS = 500
_MINUTE_S = 60


class LastMinute:
    """What ended in each lane within the last 60 seconds, and the slot-seconds it took."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lanes: dict[str, deque[list[float]]] = {}

    def add(self, lane: str, busy_s: float) -> None:
        """One more."""
        second = self._clock.monotonic() // 1
        seconds = self._lanes.get(lane) or self._lanes.setdefault(lane, deque(maxlen=_MINUTE_S))
        if seconds and seconds[-1][0] == second:
            seconds[-1][1] += 1
            seconds[-1][2] += busy_s
        else:
            seconds.append([second, 1, busy_s])

    def of(self, lane: str) -> tuple[int, float]:
        """How many ended, and their slot-seconds in all."""
        since = self._clock.monotonic() // 1 - _MINUTE_S
        recent = [one for one in self._lanes.get(lane, ()) if one[0] > since]
        return int(sum(count for _, count, _ in recent)), sum(busy_s for *_, busy_s in recent)


class Metrics:
    """Every instrument of a process, and the acts that move several of them."""

    def __init__(self, clock: Clock) -> None:
        self.last_minute = LastMinute(clock)
        self._clock = clock
        self._refused_at: dict[str, float] = {}
        self._step_names: set[tuple[str, str]] = set()
        self._of_jobs()
        self._of_calls()
        self._of_the_process()
        # Memory, processor time and open files, as the library's users know them.
        self._process = ProcessCollector(registry=CollectorRegistry())

    def _of_jobs(self) -> None:
        place = ("workflow", "lane")
        self.submitted = Count(
            "laneway_jobs_submitted_total",
            "Submits: `created` (children too), `replayed` (same key), `key_reused` (refused), `duplicate` (dedupe).",
            (*place, "outcome"),
        )
        self.ended = Count(
            "laneway_jobs_ended_total", "Jobs that reached an end state; a retried one ends again.", (*place, "status")
        )
        self.errors = Count(
            "laneway_job_errors_total",
            "Failures by class and code, and what followed: `scheduled` (another attempt) or an end state.",
            (*place, "class", "code", "status"),
        )
        self.parked = Count(
            "laneway_jobs_parked_total", "Times a job gave its slot back to wait, by reason.", (*place, "reason")
        )
        self.stages = Spread(
            "laneway_job_seconds",
            "`queue`: due to claim; `run`: claim to the slot's release; `total`: submit to end.",
            ("stage", *place),
            _STAGES_S,
        )
        stage = ("workflow", "step")
        self.steps = Count(
            "laneway_steps_total",
            "Steps recorded: `succeeded`, `failed`, `retrying`; by class where they failed.",
            (*stage, "status", "class"),
        )
        self.step_seconds = Spread("laneway_step_seconds", "Steps that ended, from the first try on.", stage, _STAGES_S)

    def _of_calls(self) -> None:
        target = ("workflow", "provider", "model")
        self.calls = Count("laneway_calls_total", "Calls to models, by outcome.", (*target, "outcome"))
        self.call_seconds = Spread("laneway_call_seconds", "Calls to models, sent to answered.", target[1:], _CALLS_S)
        self.limiter_seconds = Spread(
            "laneway_limiter_wait_seconds", "Waits for the rate limiter before a call.", target[1:], _CALLS_S
        )
        self.tokens = Count("laneway_tokens_total", "Tokens: `input`, `output`, `cached`.", (*target, "kind"))
        self.cost = Count("laneway_cost_dollars_total", "Money paid for calls; the ledger has it exact.", target)
        self.webhooks = Count(
            "laneway_webhook_attempts_total", "Attempts to deliver a webhook, by outcome.", ("outcome",)
        )
        self.webhook_seconds = Spread("laneway_webhook_seconds", "Attempts to deliver a webhook.", (), _CALLS_S)

    def _of_the_process(self) -> None:
        self.requests = Count("laneway_http_requests_total", "Requests answered.", ("route", "method", "status"))
        self.request_seconds = Spread(
            "laneway_http_request_seconds",
            "Request to the head of its answer, without the wait that the client asked for.",
            ("route", "method"),
            _ANSWERS_S,
        )
        self.store_seconds = Spread(
            "laneway_store_seconds", "What a job waits for `submit`, `claim` and `settle`.", ("operation",), _ANSWERS_S
        )
        self.slots = Level("laneway_slots", "Slots of the process in a lane.", ("lane",))
        self.slots_in_use = Level("laneway_slots_in_use", "Slots that serve something now.", ("lane",))
        self.connections = Level("laneway_database_connections", "The pool: `in_use`, `idle`, `most`.", ("state",))
        self.loop_lag = Spread(
            "laneway_event_loop_lag_seconds", "How late the event loop wakes who sleeps.", (), _ANSWERS_S
        )

    def instruments(self) -> list[Instrument]:
        """All of them, in the order of the page that tells of them."""
        return [found for found in vars(self).values() if isinstance(found, Instrument)]

    def claimed(self, job: Claimed, waited_s: float) -> None:
        """A job was claimed; its slot had waited so long for the claim."""
        self.store_seconds.observe(waited_s, "claim")
        self.stages.observe((job.claimed_at - job.due_at).total_seconds(), "queue", job.workflow, job.lane)

    def left(
        self, job: Claimed, status: Status, reason: Reason | None, error: Failure | None, now: datetime, waited_s: float
    ) -> None:
        """A worker left a job, settled or parked; the write took so long."""
        self.store_seconds.observe(waited_s, "settle")
        busy_s = (now - job.claimed_at).total_seconds()
        self.stages.observe(busy_s, "run", job.workflow, job.lane)
        if status.terminal:
            self.last_minute.add(job.lane, busy_s)
            self.stages.observe((now - job.created_at).total_seconds(), "total", job.workflow, job.lane)
            self.ended.add(job.workflow, job.lane, status)
        elif reason is not None:
            self.parked.add(job.workflow, job.lane, reason)
        # What waits for its provider says so in its error, and has not failed.
        if error is not None and reason != Reason.PROVIDER_DOWN:
            self._failed(job.workflow, job.lane, error.error_class, error.code, status)

    def ended_apart(self, workflow: str, lane: str, status: Status, error_class: str | None, code: str | None) -> None:
        """A job ended without its worker: canceled, expired, lost."""
        self.ended.add(workflow, lane, status)
        if error_class and code:
            self._failed(workflow, lane, error_class, code, status)

    def runs_s(self, lane: str) -> dict[str, float]:
        """What a run of each workflow takes in this lane, on average."""
        return {
            workflow: mean for (stage, workflow, where), mean in self.stages.means() if stage == "run" and where == lane
        }

    def stepped(self, workflow: str, record: StepRecord) -> None:
        """A step was recorded."""
        step = self._step_name(workflow, record.name)
        self.steps.add(workflow, step, record.status, record.error.error_class if record.error else "")
        if record.status is not StepStatus.RETRYING:
            self.step_seconds.observe((record.ended_at - record.started_at).total_seconds(), workflow, step)

    def called(self, workflow: str, calls: Iterable[Call], *, late: bool) -> None:
        """Calls went to the ledger; `late`: the job was no longer their worker's."""
        for call in calls:
            outcome = CallOutcome.LATE if late else call.outcome
            self.calls.add(workflow, call.provider, call.model, outcome)
            if call.outcome is CallOutcome.CACHED:
                continue
            self.call_seconds.observe((call.ended_at - call.started_at).total_seconds(), call.provider, call.model)
            self.limiter_seconds.observe(call.limiter_wait_s, call.provider, call.model)
            self.tokens.add(workflow, call.provider, call.model, "input", by=call.input_tokens)
            self.tokens.add(workflow, call.provider, call.model, "output", by=call.output_tokens)
            self.tokens.add(workflow, call.provider, call.model, "cached", by=call.cached_tokens)
            self.cost.add(workflow, call.provider, call.model, by=call.cost_nanos / _NANOS)
            if call.error_code == _REFUSED:
                self._refused_at[call.provider] = self._clock.monotonic()

    def refused(self) -> list[str]:
        """The providers that refused our credential within the last minute."""
        since = self._clock.monotonic() - _MINUTE_S
        return sorted(provider for provider, at in self._refused_at.items() if at > since)

    def sent(self, outcome: str, seconds: float) -> None:
        """An attempt to deliver a webhook is over."""
        self.webhooks.add(outcome)
        self.webhook_seconds.observe(seconds)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """The head of an answer went out."""
        self.requests.add(route, method, str(status))
        self.request_seconds.observe(seconds, route, method)

    def text(self, labels: Mapping[str, str]) -> bytes:
        """Everything in the text format, each sample with these labels before its own."""
        common = pairs(labels)
        own = [instrument.text(common) for instrument in self.instruments()]
        return "".join([*own, *self._process_text(common)]).encode()

    def _process_text(self, common: str) -> Iterable[str]:
        for family in self._process.collect():
            for sample in family.samples:
                line = f"{sample.name}{{{common[:-1]}}} {sample.value}\n"
                yield head(sample.name, family.documentation, family.type) + line

    def _step_name(self, workflow: str, name: str) -> str:
        # An author may make names at run time; no more of them than this become labels.
        if (workflow, name) not in self._step_names:
            if len(self._step_names) >= _MOST_STEPS:
                return _OTHER
            self._step_names.add((workflow, name))
        return name

    def _failed(self, workflow: str, lane: str, error_class: str, code: str, status: Status) -> None:
        # An author may choose a code; a code of the catalogue is one of few.
        self.errors.add(workflow, lane, error_class, code if code in CATALOGUE else _OTHER, status)
