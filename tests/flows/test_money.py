"""Money on the whole stack: budgets that hold, refuse and let go; usage that is the provider's journal to the nano."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from redis.asyncio import Redis

from app.domain import ids, money
from tests.stack import Process, Stack, bearer, running_stack, until
from tests.supervise.embedded import open_folder

# What the simulated provider's tokens count as: nano-dollars for one.
_INPUT, _OUTPUT = 150, 600
_EXTRA = {
    "LANEWAY_WORKFLOWS": "tests.flows.spending",
    "LANEWAY_GATEWAY__MAX_SLOT_WAIT_S": "0.5",
    "LANEWAY_GATEWAY__RECONCILE_INTERVAL_S": "1",
    "LANEWAY_LANES__INTERACTIVE__SLOTS": "32",
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """An API, and a worker that leaves the lane `interactive` to the tests."""
    with open_folder() as folder, running_stack(folder, **_EXTRA) as made:
        made.start_worker("standard,bulk,delivery")
        made.start_api()
        yield made


class Client:
    """A key of its own, with a budget or none, and what was called for it."""

    def __init__(self, stack: Stack, **budget: str) -> None:
        self.stack = stack
        body = {"name": "test", "budget": budget} if budget else {"name": "test"}
        made = stack.client.post("/v1/api-keys", json=body)
        assert made.status_code == 201, made.text
        self.key: dict[str, Any] = made.json()
        self.headers = bearer(self.key["key"])

    def post(self, workflow: str, **body: Any) -> httpx.Response:
        wait = body.pop("wait", None)
        headers = {**self.headers, **({"Prefer": f"wait={wait}"} if wait else {})}
        return self.stack.client.post(f"/v1/workflows/{workflow}/jobs", json=body, headers=headers)

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.stack.client.get(path, params=query, headers=self.headers)

    def allow(self, **budget: str) -> None:
        answer = self.stack.client.patch(f"/v1/api-keys/{self.key['id']}", json={"budget": budget})
        assert answer.status_code == 200, answer.text

    def usage(self, group_by: str = "key", **query: str) -> dict[str, Any]:
        answer = self.get("/v1/usage", group_by=group_by, **query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def spent(self) -> int:
        """What the ledger says, in nano-dollars, as usage tells it."""
        found = [one for one in self.usage()["data"] if one["group"] == self.key["id"]]
        return money.nanos(found[0]["cost_usd"]) if found else 0

    def states(self) -> list[tuple[str, str | None]]:
        """Of all jobs of this key."""
        rows = self.stack.sql("select status, reason from jobs where key_id = $1 order by id", self.id)
        return [(row["status"], row["reason"]) for row in rows]

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.get(f"/v1/jobs/{job_id}").json())

    @property
    def id(self) -> UUID:
        return ids.read("key", self.key["id"])


def journal(stack: Stack) -> int:
    """What all calls that the provider answered cost by its own journal, in nano-dollars."""
    calls = [call for call in stack.provider.calls() if call["status"] == 200]
    return sum(call["prompt_tokens"] * _INPUT + call["completion_tokens"] * _OUTPUT for call in calls)


def ledger(stack: Stack) -> int:
    """All that is known to have been charged."""
    (row,) = stack.sql("select coalesce(sum(cost_nanos), 0)::bigint as n from ledger where price_known")
    return int(row["n"])


@pytest.fixture
def fast(stack: Stack) -> Iterator[Callable[[], Process]]:
    """Starts a worker of the lane `interactive`, which ends with the test."""
    started: list[Process] = []

    def start() -> Process:
        started.append(stack.start_worker("interactive"))
        return started[-1]

    yield start
    for process in started:
        if process.process.poll() is None:
            process.stop()


Fast = Callable[[], Process]


def test_64_callers_against_one_small_budget(stack: Stack, fast: Fast) -> None:
    """Held at the cap, refused at the door, told once, and let go when the budget is raised."""
    one = Client(stack)
    price = money.nanos(one.post("spend", input={"text": "hello there"}, wait=30).json()["usage"]["cost_usd"])
    cap = 10 * price
    client = Client(stack, day_usd=money.show(cap))
    for _ in range(64):
        assert client.post("spend-fast", input={"text": "hello there"}).status_code == 202
    for _ in range(2):
        fast()
    held = {("succeeded", None), ("waiting", "budget")}
    until(lambda: client.spent() >= cap and set(client.states()) == held and _rests(client), 90)
    spent = client.spent()
    # Answers differ in length, and one call is let through while something is left.
    assert cap <= spent < cap + 3 * price
    # The door looks four times a second.
    until(lambda: client.post("spend-fast", input={"text": "hello there"}).status_code == 402)
    refused = client.post("spend-fast", input={"text": "hello there"})
    assert refused.status_code == 402 and refused.json()["code"] == "budget_exhausted", refused.text
    assert client.key["id"] in refused.json()["detail"] and int(refused.headers["retry-after"]) > 0
    events = [event for event in client.get("/v1/events", limit=200).json()["data"] if not event["job_id"]]
    mine = [event for event in events if event["data"]["key_id"] == client.key["id"]]
    assert [event["type"] for event in mine] == ["budget.threshold_reached", "budget.exhausted"]
    assert mine[0]["data"]["limit_usd"] == money.show(cap) and mine[0]["data"]["period"] == "day"
    client.allow(day_usd="1")
    until(lambda: {state for state, _ in client.states()} == {"succeeded"}, 90)
    assert len(client.states()) >= 64
    (row,) = stack.sql("select id from jobs where key_id = $1 order by ended_at desc limit 1", client.id)
    job = client.get(f"/v1/jobs/{ids.show('job', row['id'])}", include="receipt").json()
    receipt = job["receipt"]
    assert receipt["waits"]["budget"] > 0 and receipt["charged_usd"] == job["usage"]["cost_usd"]
    (line,) = receipt["lines"]
    assert (line["step"], line["outcome"], line["cost_usd"]) == ("say", "succeeded", receipt["charged_usd"])
    assert money.nanos(line["reserved_usd"]) > 0 and line["why"] == "the model answered"


def test_the_cap_of_a_job_with_many_calls_at_once(stack: Stack) -> None:
    client = Client(stack)
    price = money.nanos(client.post("spend", input={"text": "hello there"}, wait=30).json()["usage"]["cost_usd"])
    before = client.spent()
    answer = client.post(
        "spend-much", input={"text": "hello there", "times": 30}, wait=40, max_cost_usd=money.show(5 * price)
    )
    job = answer.json()
    assert job["error"]["code"] == "cost_cap_reached", job
    spent = money.nanos(job["usage"]["cost_usd"])
    assert 5 * price <= spent < 8 * price
    assert client.spent() - before == spent
    too_dear = client.post("spend", input={"text": "hello there"}, wait=40, max_cost_usd="0.000000001").json()
    assert too_dear["error"]["code"] == "cost_cap_reached" and "input" in too_dear["error"]["detail"]
    assert money.nanos(too_dear["usage"]["cost_usd"]) == 0
    refused = client.post("spend", input={"text": "x"}, max_cost_usd="0")
    assert refused.status_code == 402 and refused.json()["code"] == "max_cost_too_low"


@pytest.mark.parametrize("budget", [{"day_usd": "1"}, pytest.param({}, marks=pytest.mark.slow)])
def test_a_worker_dies_between_reserve_and_settle(stack: Stack, fast: Fast, budget: dict[str, str]) -> None:
    """Its job runs again elsewhere; its call is booked as lost, whether a budget held something for it or not."""
    client = Client(stack, **budget)
    client.post("spend", input={"text": "warm"}, wait=30)
    stack.provider.set_faults(latency="fixed(60000)")
    try:
        worker = fast()
        job = client.post("spend-fast", input={"text": "hello there"}).json()
        until(lambda: client.job(job["id"])["status"] == "running" and _under_way(stack, job["id"]))
        worker.kill()
    finally:
        stack.provider.reset_faults()
    fast()
    until(lambda: _lost(stack, client), 60)
    (lost,) = _lost(stack, client)
    assert lost["of_call"] is not None and lost["cost_nanos"] > 0 and lost["step"] == "say"
    until(lambda: client.job(job["id"])["status"] == "succeeded", 60)
    used = next(one for one in client.usage()["data"] if one["group"] == client.key["id"])
    assert money.nanos(used["failed_cost_usd"]) == money.nanos(used["uncertain_cost_usd"]) == lost["cost_nanos"]
    assert client.spent() == sum(row["cost_nanos"] for row in _rows(stack, client))
    receipt = client.get(f"/v1/jobs/{job['id']}", include="receipt").json()["receipt"]
    assert "lost" in [line["outcome"] for line in receipt["lines"]]
    assert money.nanos(receipt["charged_usd"]) > money.nanos(receipt["total"]["cost_usd"])
    assert money.nanos(receipt["uncertain_usd"]) == lost["cost_nanos"]
    # The books, the counters and what `laneway verify` looks at agree.
    stack.verify()
    for left in client.get("/v1/limits").json()["budgets"]:
        assert money.nanos(left["spent_usd"]) == client.spent()


def test_a_call_that_was_given_up_counts_as_what_it_may_have_cost(stack: Stack) -> None:
    """The provider took the question and fell silent: budget, usage and receipt have an estimate, and say so."""
    client = Client(stack, day_usd="1")
    stack.provider.set_faults(error_rates={"timeout": 1})
    try:
        job = client.post("spend-once", input={"text": "hello there"}, wait=60).json()
    finally:
        stack.provider.reset_faults()
    assert job["error"]["code"] == "provider_timeout", job
    receipt = client.get(f"/v1/jobs/{job['id']}", include="receipt").json()["receipt"]
    (line,) = receipt["lines"]
    assert line["uncertain"] and line["cost_usd"] == line["reserved_usd"] == receipt["uncertain_usd"]
    assert "nobody knows whether it was charged" in line["why"]
    cost = money.nanos(line["cost_usd"])
    assert cost == money.nanos(job["usage"]["cost_usd"]) > 0
    (used,) = [one for one in client.usage()["data"] if one["group"] == client.key["id"]]
    assert money.nanos(used["uncertain_cost_usd"]) == money.nanos(used["failed_cost_usd"]) == cost
    until(lambda: money.nanos(client.get("/v1/limits").json()["budgets"][0]["spent_usd"]) == cost, 10)


def test_a_call_whose_job_was_canceled_counts_as_what_it_may_have_cost(stack: Stack) -> None:
    """The provider goes on writing for nobody."""
    client = Client(stack, day_usd="1")
    stack.provider.set_faults(latency="fixed(60000)")
    try:
        job = client.post("spend-long", input={"text": "hello there"}).json()
        until(lambda: stack.provider.stats()["in_flight"] > 0)
        stack.client.post(f"/v1/jobs/{job['id']}/cancel", headers=client.headers)
        until(lambda: client.job(job["id"])["status"] == "canceled", 30)
    finally:
        stack.provider.reset_faults()
    until(lambda: _rows(stack, client), 30)
    (row,) = _rows(stack, client)
    assert row["cost_nanos"] == row["reserved_nanos"] > 0 and not row["price_known"]
    receipt = client.get(f"/v1/jobs/{job['id']}", include="receipt").json()["receipt"]
    assert money.nanos(receipt["uncertain_usd"]) == row["cost_nanos"]
    until(lambda: client.spent() == row["cost_nanos"], 10)


def test_a_counter_that_says_otherwise_is_told_of_and_corrected(stack: Stack) -> None:
    """A difference is planted in Redis; counters are compared with the ledger each hour, here each second."""
    client = Client(stack, day_usd="1")
    client.post("spend", input={"text": "hello there"}, wait=30)

    def left() -> int:
        return money.nanos(client.get("/v1/limits").json()["budgets"][0]["spent_usd"])

    until(lambda: left() == client.spent() > 0, 20)
    asyncio.run(_plant(stack.servers.redis_url, client.id.hex, 5_000_000))
    told = "select detail from alerts where kind = 'budget_drift' and detail like '%' || $1 || '%'"
    until(lambda: stack.sql(told, client.id.hex), 30)
    assert "0.005000000 dollars too much" in stack.sql(told, client.id.hex)[0]["detail"]
    until(lambda: left() == client.spent(), 20)


def test_redis_flushed_in_mid_run(stack: Stack) -> None:
    """The budget is read from the ledger again: what was spent before still counts."""
    price = money.nanos(Client(stack).post("spend", input={"text": "hi"}, wait=30).json()["usage"]["cost_usd"])
    client = Client(stack, day_usd=money.show(12 * price))
    for _ in range(5):
        assert client.post("spend", input={"text": "hi"}, wait=30).json()["status"] == "succeeded"
    asyncio.run(_flush(stack.servers.redis_url))
    until(lambda: client.post("spend", input={"text": "hi"}, wait=30).status_code == 402)
    assert 12 * price <= client.spent() < 15 * price


def test_usage_is_the_journal_to_the_nano(stack: Stack) -> None:
    """Whatever the other tests did: all calls that were answered, by any grouping; failed ones cost nothing here."""
    client = Client(stack)
    stack.provider.set_faults(error_rates={"http_500": 0.5})
    for n in range(6):
        client.post("spend", input={"text": f"again {n}"}, wait=60)
    stack.provider.reset_faults()
    until(lambda: not stack.sql("select 1 from jobs where status = 'running'"), 60)
    until(lambda: ledger(stack) == journal(stack), 30)
    totals = [client.usage(group)["total"] for group in ("day", "workflow", "model", "key")]
    assert totals.count(totals[0]) == 4
    (row,) = stack.sql(
        "select sum(cost_nanos)::bigint as n, sum(input_tokens) as i, sum(output_tokens) as o from ledger"
    )
    assert money.nanos(totals[0]["cost_usd"]) == row["n"]
    assert (totals[0]["input_tokens"], totals[0]["output_tokens"]) == (row["i"], row["o"])
    for group in ("day", "workflow", "model", "key"):
        report = client.usage(group)
        for name in ("calls", "input_tokens", "output_tokens", "cached_tokens"):
            assert sum(one[name] for one in report["data"]) == report["total"][name]
        assert sum(money.nanos(one["cost_usd"]) for one in report["data"]) == row["n"]
    known = {one["workflow"] for one in stack.sql("select distinct workflow from ledger")}
    assert {one["group"] for one in client.usage("workflow")["data"]} == known >= {"spend"}
    # The same whether the books were rolled up or not, and split at any moment.
    middle = stack.sql("select at from ledger order by call_id offset (select count(*) / 2 from ledger) limit 1")[0][
        "at"
    ]
    text = middle.isoformat()
    halves = [client.usage("key", to=text)["total"], client.usage("key", **{"from": text})["total"]]
    assert sum(money.nanos(one["cost_usd"]) for one in halves) == row["n"]
    assert sum(one["calls"] for one in halves) == totals[0]["calls"]
    tomorrow = client.usage("day", **{"from": "2999-01-01"}, to="2999-12-31")
    assert tomorrow["data"] == [] and tomorrow["total"]["calls"] == 0


BAD = [
    ({"name": "x", "budget": {"day_usd": "-1"}}, "/budget/day_usd", "input_invalid"),
    ({"name": "x", "budget": {"week_usd": "1"}}, "/budget/week_usd", "unknown_field"),
    ({"name": "x", "budget": {"day_usd": "0.0000000001"}}, "/budget/day_usd", "input_invalid"),
    ({"name": "x", "budget": {"day_usd": "many"}}, "/budget/day_usd", "input_invalid"),
    ({"name": "x", "budget": {"day_usd": "9000001"}}, "/budget/day_usd", "input_invalid"),
    ({"name": "x", "scopes": ["jobs:all"]}, "/scopes", "input_invalid"),
    ({"name": "x", "workflows": ["nothing"]}, "/workflows", "input_invalid"),
    ({"name": ""}, "/name", "input_invalid"),
]


@pytest.mark.parametrize(("body", "pointer", "code"), BAD)
def test_a_bad_budget_of_a_key_is_told(stack: Stack, body: dict[str, Any], pointer: str, code: str) -> None:
    answer = stack.client.post("/v1/api-keys", json=body)
    assert answer.status_code == 422
    assert (pointer, code) in [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


@pytest.mark.parametrize("query", ["from=yesterday", "to=2026-13-01", "from=2026-02-02&to=2026-01-01", "group_by=week"])
def test_a_bad_question_about_usage_is_told(stack: Stack, query: str) -> None:
    answer = stack.client.get(f"/v1/usage?{query}")
    assert answer.status_code == 422 and answer.json()["errors"], answer.text


def test_keys_of_a_project(stack: Stack) -> None:
    client = Client(stack, hour_usd="0.5", month_usd="100")
    assert client.key["budget"] == {"hour_usd": "0.500000000", "day_usd": None, "month_usd": "100.000000000"}
    url = f"/v1/api-keys/{client.key['id']}"
    read = stack.client.get(url).json()
    assert {**read, "key": client.key["key"]} == client.key
    assert read in stack.client.get("/v1/api-keys").json()["data"]
    assert stack.client.patch(url, json={"budget": None}).json()["budget"] is None
    plain = stack.client.post("/v1/api-keys", json={"name": "reader", "scopes": ["jobs:read"]}).json()
    answer = httpx.get(f"{stack.url}/v1/api-keys", headers=bearer(plain["key"]), trust_env=False)
    assert answer.status_code == 403
    assert stack.client.delete(url).json()["revoked_at"] is not None
    until(lambda: client.get("/v1/jobs").status_code == 401, 10)
    assert stack.client.get("/v1/api-keys/key_0000000000000000000000000z").status_code == 404


def _rests(client: Client) -> bool:
    """Whether nobody tries again: all that wait do so for the next day."""
    due = "select 1 from jobs where key_id = $1 and status = 'waiting' and due_at < now() + interval '5 seconds'"
    return not client.stack.sql(due, client.id)


def _rows(stack: Stack, client: Client) -> list[dict[str, Any]]:
    return stack.sql("select * from ledger where key_id = $1", client.id)


def _lost(stack: Stack, client: Client) -> list[dict[str, Any]]:
    return [row for row in _rows(stack, client) if row["outcome"] == "lost"]


def _under_way(stack: Stack, job_id: str) -> bool:
    """Whether Redis knows of a call of this job."""
    return asyncio.run(_open(stack.servers.redis_url, str(ids.read("job", job_id))))


async def _open(url: str, job_id: str) -> bool:
    redis: Redis = Redis.from_url(url)
    try:
        return any(job_id.encode() in entry for entry in await redis.hvals("laneway:{budget}:calls"))  # type: ignore[misc]
    finally:
        await redis.aclose()


async def _plant(url: str, key: str, nanos: int) -> None:
    """Have the day's counter of a key say more than there is."""
    redis: Redis = Redis.from_url(url)
    try:
        async for name in redis.scan_iter(f"laneway:{{budget}}:day:*:key:{key}"):
            await redis.hincrby(name, "spent", nanos)  # type: ignore[misc]
    finally:
        await redis.aclose()


async def _flush(url: str) -> None:
    redis: Redis = Redis.from_url(url)
    try:
        await redis.flushall()
    finally:
        await redis.aclose()
