"""The call log, the referee of tests: every call as it arrived and as it ended, and the counts over all of them."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `ended_at`, `status` and `outcome` are None while it runs; `status` stays None without an answer.

    `completion_tokens` are those that were sent; `complete`: the answer was sent to its end. `alone_s`: what an answer
    would have taken had nobody else called.
    """

    n: int
    arrived_at: datetime
    model: str | None
    item: str | None
    idempotency_key: str | None
    traceparent: str | None
    prompt_tokens: int
    dialect: str = "openai"
    streamed: bool = False
    ended_at: datetime | None = None
    status: int | None = None
    outcome: str | None = None
    completion_tokens: int = 0
    complete: bool = False
    client_disconnected: bool = False
    alone_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended."""

    outcome: str
    status: int | None = None
    completion_tokens: int = 0
    complete: bool = False
    client_disconnected: bool = False


class Journal(Protocol):
    """Where arrivals and endings are written down beside the log."""

    def write(self, event: str, call: Call) -> None:
        """Writes one line."""
        ...


class CallLog:
    """The last `keep` calls by number, and the counts of all calls since the start or the last `clear`."""

    def __init__(self, journal: Journal, keep: int) -> None:
        self._journal = journal
        self._keep = keep
        self._last = 0
        self._in_flight = 0
        self.clear()

    @property
    def in_flight(self) -> int:
        """Calls that arrived and have not ended."""
        return self._in_flight

    def clear(self) -> None:
        """Forgets the calls and counts; numbers go on rising, and calls that still run are still counted as running."""
        self._calls: dict[int, Call] = {}
        self._count = 0
        self._most_in_flight = self._in_flight
        self._by_status: Counter[str] = Counter()
        self._by_outcome: Counter[str] = Counter()

    def arrive(
        self,
        model: str | None,
        item: str | None,
        prompt_tokens: int = 0,
        idempotency_key: str | None = None,
        traceparent: str | None = None,
        dialect: str = "openai",
        streamed: bool = False,
    ) -> Call:
        """Writes down a call that has just arrived."""
        self._last += 1
        self._count += 1
        self._in_flight += 1
        self._most_in_flight = max(self._most_in_flight, self._in_flight)
        known = (model, item, idempotency_key, traceparent, prompt_tokens, dialect, streamed)
        call = Call(self._last, datetime.now(UTC), *known)
        self._calls[call.n] = call
        self._drop_oldest()
        self._journal.write("arrived", call)
        return call

    def end(self, call: Call, ending: Ending, alone_s: float = 0.0) -> None:
        """Writes down how a call ended."""
        ended = replace(
            call,
            ended_at=datetime.now(UTC),
            status=ending.status,
            outcome=ending.outcome,
            completion_tokens=ending.completion_tokens,
            complete=ending.complete,
            client_disconnected=ending.client_disconnected,
            alone_s=alone_s,
        )
        self._in_flight -= 1
        self._by_status["none" if ending.status is None else str(ending.status)] += 1
        self._by_outcome[ending.outcome] += 1
        if call.n in self._calls:
            self._calls[call.n] = ended
        self._journal.write("ended", ended)

    def after(self, n: int, limit: int) -> tuple[list[Call], int]:
        """Up to `limit` kept calls with numbers above n, and the number to ask after next."""
        first = max(n + 1, next(iter(self._calls), self._last + 1))
        found = [self._calls[number] for number in range(first, min(first + limit, self._last + 1))]
        return found, found[-1].n if found else max(n, 0)

    def stats(self) -> dict[str, Any]:
        """The counts, by status (`none` without an answer) and by outcome."""
        return {
            "calls": self._count,
            "in_flight": self._in_flight,
            "max_in_flight_seen": self._most_in_flight,
            "by_status": dict(self._by_status),
            "by_outcome": dict(self._by_outcome),
        }

    def _drop_oldest(self) -> None:
        if len(self._calls) > self._keep:
            del self._calls[next(iter(self._calls))]
