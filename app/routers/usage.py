"""What a project used and what it cost, over any time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter, ValidationError

from app.domain import money
from app.routers.deps import ReaderDep, RuntimeDep, field_problem
from app.routers.money_shapes import UsageQuery
from app.routers.reply import json_answer
from app.routers.schemas import Moment
from app.routers.timing import timed
from app.store.ledger import Span, Used

router = APIRouter(prefix="/v1", tags=["money"])
_DEFAULT = timedelta(days=30)
_MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)
# Ids hold milliseconds since then, and until then.
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


@router.get("/usage", operation_id="usage.get", summary="What was used, and what it cost")
async def get_usage(
    request: Request, key: ReaderDep, runtime: RuntimeDep, query: Annotated[UsageQuery, Query()]
) -> Response:
    """Calls, tokens and cost of the project's jobs by day (UTC), workflow, model or key, from the ledger.

    A call counts at the time at which it began. A live key is told of live calls, a test key of those of test keys.
    """
    span = _span(query, runtime.clock.now())
    asking = runtime.money.ledger.used(key.project_id, key.mode == "test", span, query.group_by)
    *groups, total = await timed(request, "store", asking)
    found = {"data": [_view(one) for one in groups], "total": _view(total)}
    return json_answer(found, headers={"Cache-Control": "private, no-store"})


def _span(query: UsageQuery, now: datetime) -> Span:
    """Raises Problem that names the parameter."""
    until = _moment("to", query.to, timedelta(days=1)) if query.to is not None else now
    since = _moment("from", query.from_, timedelta()) if query.from_ is not None else until - _DEFAULT
    since, until = (min(max(moment, _FIRST), _LAST) for moment in (since, until))
    if since > until:
        raise field_problem("/from", "this is after `to`")
    return Span(since, until)


def _moment(name: str, text: str, day: timedelta) -> datetime:
    """A time as it is; of a date its beginning, and `day` later."""
    try:
        found = date.fromisoformat(text)
        return datetime(found.year, found.month, found.day, tzinfo=UTC) + day
    except OverflowError:
        return _LAST
    except ValueError:
        pass
    try:
        return _MOMENT.validate_python(text)
    except ValidationError:
        raise field_problem(f"/{name}", "write a date, 2026-11-22, or a time, 2026-11-22T09:00:00Z") from None


def _view(used: Used) -> dict[str, Any]:
    return {
        "group": used.group,
        "calls": used.calls,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cached_tokens": used.cached_tokens,
        "cost_usd": money.show(used.cost_nanos),
        "saved_usd": money.show(used.saved_nanos),
        "failed_cost_usd": money.show(used.failed_nanos),
        "uncertain_cost_usd": money.show(used.uncertain_nanos),
    }
