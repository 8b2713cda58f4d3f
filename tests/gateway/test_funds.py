"""What a call is expected to cost, and where bulk goes when a budget runs short."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from app.domain import ids
from app.domain.budget import Cap, Counter, Kind, Scope, Spender, counter_of
from app.domain.clock import SYSTEM_CLOCK, SystemClock
from app.domain.period import Period
from app.gateway.budgets.budget import Budgets
from app.gateway.budgets.money import Money
from app.gateway.budgets.prices import Prices
from app.gateway.budgets.reservation import Charge
from app.gateway.calls.routes import Routes
from app.gateway.funds import Funds
from app.gateway.lengths import UNKNOWN_TOKENS, Lengths
from app.settings import BudgetSettings, LadderTarget, ModelAlias, PriceSettings, ProviderSettings, Settings
from app.store.database import Database
from tests.gateway.asking import request

MOMENTS = st.integers(946_684_800_000, 4_102_444_800_000).map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC))

_ONE = Settings(
    providers={"main": ProviderSettings(dialect="openai", base_url="http://127.0.0.1:9/v1")},
    models={"small": ModelAlias(ladder=[LadderTarget(provider="main", model="mini")])},
)


@given(moment=MOMENTS, period=st.sampled_from(Period))
def test_a_moment_lies_in_its_period(moment: datetime, period: Period) -> None:
    start, end = period.start(moment), period.end(moment)
    assert start <= moment < end
    assert period.start(start) == start and period.start(end) == end == period.end(end - timedelta(microseconds=1))


@given(
    moment=MOMENTS,
    period=st.sampled_from(Period),
    kind=st.sampled_from(Kind),
    what=st.text(max_size=20),
    test_mode=st.booleans(),
)
def test_a_counter_is_read_back_from_its_name(
    moment: datetime, period: Period, kind: Kind, what: str, test_mode: bool
) -> None:
    counter = Counter(Scope(ids.uuid7(), kind, what, test_mode), period, period.start(moment))
    assert counter_of(counter.name) == counter


def test_the_length_of_an_answer_is_learned_for_each_route() -> None:
    lengths = Lengths()
    assert lengths.expected(("a",), None) == UNKNOWN_TOKENS
    assert lengths.expected(("a",), 50) == 50
    for n in range(1, 101):
        lengths.learn(("a",), n)
    assert 95 <= lengths.expected(("a",), None) <= 97
    assert lengths.expected(("a",), 10) == 10
    assert lengths.expected(("b",), None) == UNKNOWN_TOKENS
    for _ in range(200):
        lengths.learn(("a",), 7)
    assert lengths.expected(("a",), None) == 7


async def test_bulk_goes_to_the_cheaper_target_from_80_percent_on(redis: Redis, database: Database) -> None:
    """Real-time calls, and budgets with more left, keep to the ladder."""
    settings = Settings(
        providers={"main": ProviderSettings(dialect="openai", base_url="http://127.0.0.1:9/v1")},
        models={
            "small": ModelAlias(
                ladder=[LadderTarget(provider="main", model=model) for model in ("dear", "cheap", "unknown")]
            )
        },
        prices={
            "main/dear": PriceSettings(input="3", output="15"),
            "main/cheap": PriceSettings(input="0.1", output="0.4"),
        },
        budgets={"project": BudgetSettings(day_usd="1")},
    )
    spender = Spender(ids.uuid7(), "noop", None, test_mode=False)
    money = Money(redis, database, settings, SYSTEM_CLOCK)
    funds = Funds(money.budgets, Prices(settings), SYSTEM_CLOCK)
    targets = Routes(settings).targets("small", test_mode=False)

    async def order(lane: str) -> list[str]:
        asked = request(lane=lane, charge=Charge(spender, "1", 1))
        return [target.model for target in await funds.in_order(asked, targets)]

    ladder, cheapest = ["dear", "cheap", "unknown"], ["cheap", "dear", "unknown"]
    assert await order("bulk") == ladder
    (cap,) = await money.budgets.caps(spender)
    for spent, bulk in ((799_999_999, ladder), (800_000_000, cheapest)):
        _hear(money.budgets, cap, spent)
        assert (await order("bulk"), await order("standard")) == (bulk, ladder)
    asked = request("x" * 4000, charge=Charge(spender, "1", 1))
    held = await funds.set_aside(asked, targets[0], b"x" * 4000, 300, 60)
    assert held.nanos == 1001 * 3000 + 300 * 15000
    unknown = await funds.set_aside(asked, targets[2], b"x" * 4000, 300, 60)
    assert unknown.nanos == (1001 + 300) * 50_000
    for one in (held, unknown):
        funds.give_back(one)
    await money.close()


class _NextHour(SystemClock):
    """The hour has turned while budgets were looked up."""

    def now(self) -> datetime:
        return super().now() + timedelta(hours=1)


async def test_a_call_counts_in_the_hour_that_its_id_says(redis: Redis, database: Database) -> None:
    """The ledger goes by the id; whatever the look at the database took, the counter does too."""
    settings = Settings(budgets={"project": BudgetSettings(hour_usd="1", day_usd="1")})
    money = Money(redis, database, settings, _NextHour())
    funds = Funds(money.budgets, Prices(settings), _NextHour())
    (target,) = Routes(_ONE).targets("small", test_mode=False)
    asked = request("x", charge=Charge(Spender(ids.uuid7(), "noop", None, test_mode=False), "1", 1))
    held = await funds.set_aside(asked, target, b"x", 300, 60)
    hour, day = (cap.counter for cap in held.caps)
    began = datetime.fromtimestamp(ids.unix_s(held.call_id), UTC)
    assert hour.start <= began < hour.end and day.start <= began < day.end
    funds.give_back(held)
    await money.close()


def _hear(budgets: Budgets, cap: Cap, spent: int) -> None:
    budgets._note([cap], [str(spent)])
