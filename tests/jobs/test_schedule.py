"""The schedule of webhooks: what comes next after each attempt."""

from __future__ import annotations

import pytest

from app.clients.webhook import Answer
from app.domain.event import DeliveryStatus
from app.jobs.deliver import verdict
from app.jobs.schedule import MAX_RETRY_AFTER_S, next_delay_s
from app.settings import WebhookSettings

SCHEDULE = WebhookSettings().schedule_s


def test_default_schedule_is_ten_attempts_over_about_75_hours() -> None:
    delays = [next_delay_s(SCHEDULE, made, None) for made in range(1, 11)]
    assert delays[-1] is None and None not in delays[:-1]
    total_s = sum(delay for delay in delays if delay is not None)
    assert 75 * 3600 * 0.9 <= total_s <= 76 * 3600 * 1.1


def test_first_two_are_exact_and_later_ones_spread_by_a_tenth() -> None:
    assert {next_delay_s(SCHEDULE, 1, None) for _ in range(50)} == {5.0}
    drawn = {next_delay_s(SCHEDULE, 2, None) for _ in range(200)}
    assert len(drawn) > 100 and all(270 <= (delay or 0) <= 330 for delay in drawn)


def test_retry_after_is_a_floor_up_to_a_day() -> None:
    assert next_delay_s(SCHEDULE, 1, 60) == 60
    assert next_delay_s(SCHEDULE, 1, 1) == 5
    assert next_delay_s(SCHEDULE, 1, 1e12) == MAX_RETRY_AFTER_S
    assert next_delay_s(SCHEDULE, 10, 60) is None


@pytest.mark.parametrize(
    ("answer", "attempts", "status"),
    [
        (Answer(200), 1, DeliveryStatus.SUCCEEDED),
        (Answer(204), 10, DeliveryStatus.SUCCEEDED),
        (Answer(410, "http_status"), 1, DeliveryStatus.DEAD),
        (Answer(404, "http_status"), 1, DeliveryStatus.FAILED),
        (Answer(302, "redirect"), 9, DeliveryStatus.FAILED),
        (Answer(None, "timeout"), 9, DeliveryStatus.FAILED),
        (Answer(None, "timeout"), 10, DeliveryStatus.DEAD),
        (Answer(None, "forbidden_address"), 1, DeliveryStatus.FAILED),
    ],
)
def test_where_a_delivery_stands(answer: Answer, attempts: int, status: DeliveryStatus) -> None:
    stands, delay_s = verdict(answer, attempts, SCHEDULE)
    assert stands is status
    assert (delay_s is not None) is (status is DeliveryStatus.FAILED)
