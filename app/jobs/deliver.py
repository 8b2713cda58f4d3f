"""Deliver: takes one due webhook from the outbox, sends it, writes what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

from app.clients.webhook import Answer, WebhookClient
from app.domain import ids
from app.domain.clock import Clock
from app.domain.crash import crash_here
from app.domain.event import Delivery, DeliveryResult, DeliveryStatus
from app.domain.job import TraceContext
from app.jobs.schedule import next_delay_s
from app.settings import WebhookSettings
from app.store.coalescer import Coalescer
from app.store.database import StoreAway
from app.store.deliveries import Deliveries
from app.telemetry import names
from app.telemetry.logs import log
from app.telemetry.metrics import Metrics
from app.telemetry.traces import SpanRecord, Tracing, child

_GONE = 410
_WRITE_AGAIN_S = 0.25


class Deliver:
    """What each slot of the delivery lane calls.

    A slot holds one delivery, for `timeout_s` at most, and one host gets `max_per_host` slots at most: a slow receiver
    costs its own slots only. Slots that ask within a moment share one claim, and the next claim knows what it took.
    One attempt is made here; the next one is a new claim, in whatever process has a slot free then.
    """

    def __init__(
        self, deliveries: Deliveries, client: WebhookClient, settings: WebhookSettings, clock: Clock, tracing: Tracing,
        metrics: Metrics | None = None,
    ) -> None:  # fmt: skip
        self._deliveries = deliveries
        self._metrics = metrics or Metrics(clock)
        self._client = client
        self._settings = settings
        self._clock = clock
        self._tracing = tracing
        self._held: dict[UUID, str] = {}
        self._claim: Coalescer[None, Delivery | None] = Coalescer(self._flush, overlap=1, linger_s=0.001)
        self._log = log("deliver")

    def renew(self, settings: WebhookSettings) -> None:
        """Send by these from the next attempt on."""
        self._settings = settings
        self._client.timeout_s = settings.timeout_s

    @property
    def held(self) -> frozenset[UUID]:
        """The deliveries that are being sent."""
        return frozenset(self._held)

    async def serve(self) -> bool:
        """Make one attempt of one due delivery; False when none was due. Raises StoreAway when it cannot claim.

        Canceled in the middle, it leaves the delivery with this process, whose end gives it back.
        """
        delivery = await self._claim(None)
        if delivery is None:
            return False
        self._held[delivery.id] = delivery.host
        try:
            await self._attempt(delivery)
        finally:
            del self._held[delivery.id]
        return True

    async def _flush(self, asking: Sequence[None]) -> list[Delivery | None]:
        """A delivery for each slot that asks, as far as there are some; more than one look where hosts are full."""
        taken: list[Delivery] = []
        while len(taken) < len(asking):
            held = Counter(self._held.values()) + Counter(delivery.host for delivery in taken)
            more = await self._deliveries.claim(len(asking) - len(taken), held, self._settings.max_per_host)
            if not more:
                break
            taken += more
        return [*taken, *[None] * (len(asking) - len(taken))]

    async def _attempt(self, delivery: Delivery) -> None:
        trace = child(TraceContext(delivery.trace_id, delivery.job_span_id))
        at, began = self._clock.now(), self._clock.monotonic()
        answer = await self._send(delivery, trace)
        crash_here("webhook.sent")
        duration_ms = round((self._clock.monotonic() - began) * 1000)
        result = self._result(delivery, answer, at, duration_ms, trace)
        await self._write(delivery, result)
        self._tell(delivery, answer, result, trace)

    async def _send(self, delivery: Delivery, trace: TraceContext) -> Answer:
        try:
            return await self._client.send(delivery, trace.traceparent)
        except Exception as error:
            # A bug in the sender costs an attempt; it must not strand the delivery.
            self._log.error(
                "webhook sender failed", delivery_id=ids.show("dlv", delivery.id), error=type(error).__name__
            )
            return Answer(error="internal")

    def _result(
        self, delivery: Delivery, answer: Answer, at: datetime, duration_ms: int, trace: TraceContext
    ) -> DeliveryResult:
        status, delay_s = verdict(answer, delivery.attempts + 1, self._settings.schedule_s)
        return DeliveryResult(
            delivery_id=delivery.id,
            status=status,
            at=at,
            status_code=answer.status_code,
            error=f"{answer.error}: {answer.detail}" if answer.detail else answer.error,
            response_body=answer.body,
            duration_ms=duration_ms,
            next_at=None if delay_s is None else self._clock.now() + timedelta(seconds=delay_s),
            span_id=trace.span_id,
        )

    async def _write(self, delivery: Delivery, result: DeliveryResult) -> None:
        """Write until the database answers: an attempt that was made is never forgotten."""
        while True:
            try:
                if not await self._deliveries.write(delivery, result):
                    self._log.info(
                        "webhook was taken over", delivery_id=ids.show("dlv", delivery.id), epoch=delivery.epoch
                    )
                return
            except StoreAway as error:
                self._log.warning("webhook result waits", delivery_id=ids.show("dlv", delivery.id), error=str(error))
                await self._clock.sleep(_WRITE_AGAIN_S)

    def _tell(self, delivery: Delivery, answer: Answer, result: DeliveryResult, trace: TraceContext) -> None:
        attempt = delivery.attempts + 1
        self._tracing.emit(_span(delivery, answer, result, trace, attempt))
        self._metrics.sent(result.status, result.duration_ms / 1000)
        write = self._log.info if result.status is DeliveryStatus.SUCCEEDED else self._log.warning
        write(
            "webhook attempt",
            job_id=ids.show("job", delivery.job_id),
            delivery_id=ids.show("dlv", delivery.id),
            trace_id=trace.trace_id,
            span_id=trace.span_id,
            url_host=_host(delivery.url),
            attempt=attempt,
            status=str(result.status),
            status_code=answer.status_code,
            code=answer.error,
            duration_ms=result.duration_ms,
        )


def verdict(answer: Answer, attempts: int, schedule_s: tuple[float, ...]) -> tuple[DeliveryStatus, float | None]:
    """Where a delivery stands after `attempts` attempts, the last of which saw `answer`; seconds to the next one.

    2xx succeeds. 410 says that the endpoint is gone for good: dead at once. Anything else is tried again until the
    schedule is at its end.
    """
    if answer.error is None:
        return DeliveryStatus.SUCCEEDED, None
    delay_s = None if answer.status_code == _GONE else next_delay_s(schedule_s, attempts, answer.retry_after_s)
    return (DeliveryStatus.DEAD if delay_s is None else DeliveryStatus.FAILED), delay_s


def _span(delivery: Delivery, answer: Answer, result: DeliveryResult, trace: TraceContext, attempt: int) -> SpanRecord:
    attributes: dict[str, str | int | float | bool] = {
        names.JOB_ID: ids.show("job", delivery.job_id),
        names.TRY: attempt,
        names.STATUS: str(result.status),
    }
    if answer.status_code is not None:
        attributes[names.HTTP_STATUS] = answer.status_code
    if answer.error is not None:
        attributes[names.ERROR_TYPE] = answer.error
    ended_at = result.at + timedelta(milliseconds=result.duration_ms)
    return SpanRecord("webhook", delivery.type, trace, result.at, ended_at, attributes, answer.error)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
