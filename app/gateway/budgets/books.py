"""The books: calls of workers that died are booked as lost, and counters in Redis are made to agree with the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from app.domain import ids
from app.domain.budget import Cap, Counter, counter_of
from app.domain.clock import Clock
from app.gateway.budgets.reservation import lost_call, told
from app.gateway.budgets.till import Till
from app.gateway.redis.reach import RedisAway
from app.store.database import StoreAway
from app.store.ledger import FoundCall, Ledger
from app.telemetry.logs import log

# Calls that one look takes, and counters: Redis serves nobody else meanwhile.
_PORTION, _COUNTERS = 100, 200
# What is in the ledger is in the counter after this long.
_SETTLED_S = 2.0
# Who was taken for lost and comes after all mostly began within the first; within the second lies each month's budget.
_LATE, LATEST = timedelta(hours=1), timedelta(days=35)
_log = log("gateway")


@dataclass(frozen=True, slots=True)
class Drift:
    """A counter that disagreed with the ledger by so many nano-dollars: more than there is, or less, below 0."""

    counter: Counter
    nanos: int


class Books:
    """Kept by one process at a time. Every method raises RedisAway and StoreAway."""

    def __init__(self, till: Till, ledger: Ledger, clock: Clock) -> None:
        self._till = till
        self._ledger = ledger
        self._clock = clock

    async def sweep(self) -> int:
        """Book calls whose worker is silent as lost, at what was reserved for them; how many."""
        answer = await self._till.ask({"act": "expired", "limit": _PORTION})
        words, count = iter(answer[1:]), 0
        for call_id, amount, about in zip(words, words, words, strict=True):
            try:
                lost = await self._ledger.lose(lost_call(about, int(amount)))
            except (StoreAway, RedisAway):
                raise
            except Exception as error:
                # One that nobody can read must not stop the others.
                _log.error("lost call unread", error=type(error).__name__)
                lost = False
            # Where the ledger has the call itself, only the word of it was lost on its way to Redis.
            end = {"act": "book", "id": call_id, "cost": int(amount)} if lost else {"act": "drop", "id": call_id}
            await self._till.ask(end)
            count += lost
        if count:
            _log.warning("calls lost", count=count)
        return count

    async def find_again(self, back: timedelta = _LATE) -> None:
        """Take back what was booked as lost and came after all, of calls that began at most so long ago.

        Whether a counter heard of the call itself nobody knows: it is made anew, from the ledger.
        """
        found = await self._ledger.find_again(self._clock.now() - back)
        wrong = [one for one in await self._counters() if any(_counts(one, call) for call in found)] if found else []
        for counter in wrong:
            await self._till.ask({"act": "forget", "counters": [_bare(counter)]})

    async def compare(self) -> list[Drift]:
        """Correct each counter that cannot be right; what they were wrong by.

        A call is in the ledger before it is in a counter. So a counter read before the ledger must not say more, and
        one read a while after it must not say less: what lies between is on its way, and no error.
        """
        before = await self._summed(await self._counters())
        await self._clock.sleep(_SETTLED_S)
        after = await self._read([counter for counter, *_ in before])
        found = []
        for (counter, early, total), late in zip(before, after, strict=True):
            drift = 0 if late is None else max(0, early - total) or min(0, late - total)
            if drift:
                await self._adjust(counter, -drift)
                found.append(Drift(counter, drift))
        return found

    async def _summed(self, counters: Sequence[Counter]) -> list[tuple[Counter, int, int]]:
        """Each counter that is seeded, what it said, and then the ledger."""
        found = []
        for portion in _portions(counters):
            for counter, said in zip(portion, await self._read(portion), strict=True):
                if said is not None:
                    found.append((counter, said, await self._ledger.spent(counter)))
        return found

    async def _counters(self) -> list[Counter]:
        return [counter_of(name) for name in await self._till.ask({"act": "counters"})]

    async def _read(self, counters: Sequence[Counter]) -> list[int | None]:
        said: list[int | None] = []
        for portion in _portions(counters):
            answer = await self._till.ask({"act": "read", "counters": [_bare(one) for one in portion]})
            said += [int(text) if text else None for text in answer[1:]]
        return said

    async def _adjust(self, counter: Counter, by: int) -> None:
        await self._till.ask({"act": "adjust", "counter": _bare(counter), "by": by})


def _portions(counters: Sequence[Counter]) -> Iterator[Sequence[Counter]]:
    for first in range(0, len(counters), _COUNTERS):
        yield counters[first : first + _COUNTERS]


def _bare(counter: Counter) -> dict[str, object]:
    return told(Cap(counter, 0, hold=False))


def _counts(counter: Counter, call: FoundCall) -> bool:
    scope, spender = counter.scope, call.spender
    same = (scope.project_id, scope.test_mode) == (spender.project_id, spender.test_mode)
    mine = scope.workflow in (None, spender.workflow) and scope.key_id in (None, spender.key_id)
    return same and mine and counter.start.timestamp() <= ids.unix_s(call.id) < counter.end.timestamp()
