"""The delivery lane scales by itself: workers share one outbox, and a host that hangs costs its own slots only."""

from __future__ import annotations

import json

from tests.clients.receiver import receiver
from tests.flows.lanes import Lanes
from tests.stack import Process, until

_UNSENT = "select count(*) as n from deliveries where url = $1 and status <> 'succeeded'"


def test_two_delivery_workers_share_the_outbox_and_send_nothing_twice(lanes: Lanes) -> None:
    url = lanes.stack.hooks.answer(f"/{lanes.tag}", {"delay_s": 0.02})
    workers = [lanes.worker("delivery", delivery=4) for _ in range(2)]
    for worker in workers:
        until(lambda worker=worker: '"event": "serving"' in worker.log.read_text())  # type: ignore[misc]
    lanes.crowd("told", 300, {"webhook": {"url": url}})
    lanes.worker("interactive")
    lanes.rest()
    until(lambda: lanes.stack.sql(_UNSENT, url) == [{"n": 0}])
    arrivals = [arrival["headers"]["webhook-id"] for arrival in lanes.stack.hooks.received(f"/{lanes.tag}")]
    assert len(arrivals) == len(set(arrivals)) == 300
    shares = [sent(worker, "127.0.0.1") for worker in workers]
    assert sum(shares) == 300
    assert min(shares) >= 60, "each had slots free while the other's were taken"


def test_a_host_that_hangs_takes_its_own_slots_only(lanes: Lanes) -> None:
    with receiver() as hanging:
        stuck, quick = hanging.answer("/stuck", {"hang": "status"}), lanes.stack.hooks.answer(f"/{lanes.tag}")
        lanes.worker("interactive")
        lanes.crowd("stuck", 60, {"webhook": {"url": stuck}})
        lanes.rest()
        lanes.crowd("quick", 40, {"webhook": {"url": quick}})
        lanes.rest()
        lanes.worker(
            "delivery", {"LANEWAY_WEBHOOKS__MAX_PER_HOST": "2", "LANEWAY_WEBHOOKS__TIMEOUT_S": "60"}, delivery=4
        )
        until(lambda: lanes.stack.sql(_UNSENT, quick) == [{"n": 0}])
        assert len(lanes.stack.hooks.received(f"/{lanes.tag}")) == 40
        assert len(hanging.received("/stuck")) == 2, "60 were due before; two of the four slots are all they get"


def sent(worker: Process, host: str) -> int:
    """How many attempts the worker's log tells of."""
    lines = [json.loads(line) for line in worker.log.read_text().splitlines() if '"webhook attempt"' in line]
    return sum(line["url_host"] == host for line in lines)
