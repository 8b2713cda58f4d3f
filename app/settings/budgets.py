"""How much money may be spent in a time, and what happens then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, field_validator

from app.domain import money
from app.domain.period import Period
from app.settings.providers import Group
from app.settings.refusal import Broken

KINDS = ("project", "workflow", "key")
# Counters are exact up to 2^53 nano-dollars.
MOST_USD = 9_000_000
Dollars = Annotated[Decimal | None, Field(ge=0, le=MOST_USD)]


class BudgetSettings(Group):
    """Dollars that may be spent in an hour, a day, a month (UTC)."""

    hour_usd: Dollars = None
    day_usd: Dollars = None
    month_usd: Dollars = None
    # Once it is spent, new jobs are refused (402), or taken and held; those that were taken before are held.
    at_limit: Literal["refuse", "hold"] = "refuse"

    @field_validator("hour_usd", "day_usd", "month_usd")
    @classmethod
    def _whole_nanos(cls, value: Decimal | None) -> Decimal | None:
        if value is not None:
            money.nanos(value)
        return value

    @property
    def nanos(self) -> dict[Period, int]:
        """In nano-dollars, by the periods that are bounded."""
        given = {Period.HOUR: self.hour_usd, Period.DAY: self.day_usd, Period.MONTH: self.month_usd}
        return {period: money.nanos(usd) for period, usd in given.items() if usd is not None}


def known_budgets(budgets: dict[str, BudgetSettings]) -> dict[str, BudgetSettings]:
    """The same. Raises ValueError for a name that says of nobody whose money it bounds."""
    for name in budgets:
        kind, slash, what = name.partition("/")
        if kind not in KINDS or (slash and (kind == "key" or not what)):
            rule = "is nobody's: use project, workflow or key for each of them, or project/NAME, workflow/NAME for one"
            raise Broken(rule, name)
    return budgets


def stray_budget(budgets: Mapping[str, BudgetSettings], workflows: Sequence[str]) -> str | None:
    """Why one of them bounds nobody; None where each one's workflow exists."""
    for name in budgets:
        kind, _, what = name.partition("/")
        if kind == "workflow" and what and what not in workflows:
            return f"budgets.{name}: there is no workflow {what!r}: use one of {', '.join(workflows)}"
    return None
