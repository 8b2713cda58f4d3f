"""What the demo makes of jobs: figures that can be checked by hand, and a complaint for each thing that is off."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from app.cli.dataset import Review
from app.cli.demo.figures import Accuracy, Figures, complaints, measure, off_by

REVIEWS = {
    review.id: review
    for review in (
        Review("a", 2.0, "good"),
        Review("b", -2.0, "bad"),
        Review("c", 0.0, "box"),
        Review("d", 1.0, "fine"),
    )
}


def job(review: str, label: str, by: str, took_s: int, calls: int = 0, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 50 * calls, "output_tokens": 10 * calls, "calls": calls}
    return {
        "id": f"job_{review}",
        "status": "succeeded",
        "error": None,
        "metadata": {"review": review},
        "output": {"label": label, "decided_by": by},
        "usage": {**usage, "cost_usd": f"{Decimal('0.000013500') * calls:.9f}"},
        "created_at": "2026-11-21T22:00:00Z",
        "ended_at": f"2026-11-21T22:00:{took_s:02}.500000Z",
        **more,
    }


JOBS = [
    job("a", "positive", "local", 0),
    job("b", "positive", "local", 1),
    job("c", "neutral", "model", 2, calls=1),
    job("d", "neutral", "model", 3, calls=2),
]


@pytest.fixture
def figures() -> Figures:
    return measure(JOBS, REVIEWS)


def test_figures_of_four_jobs(figures: Figures) -> None:
    assert (figures.items, figures.states, figures.span_s) == (4, {"succeeded": 4}, 3.5)
    assert [figures.wait_s(percent) for percent in (25, 50, 95, 100)] == [0.5, 1.5, 3.5, 3.5]
    assert figures.rate == pytest.approx(4 / 3.5)
    assert (figures.calls, figures.input_tokens, figures.output_tokens) == (3, 150, 30)
    assert figures.cost_usd == Decimal("0.000040500")
    assert figures.decided == {"local": 2, "model": 2}
    assert figures.accuracy == {
        "all": Accuracy(items=4, same=2, leaning=3, same_leaning=1),
        "local": Accuracy(items=2, same=1, leaning=2, same_leaning=1),
        "model": Accuracy(items=2, same=1, leaning=1, same_leaning=0),
    }


def test_nothing_is_off(figures: Figures) -> None:
    assert complaints(figures, JOBS, REVIEWS, provider_calls=3) == []


def test_a_job_that_failed(figures: Figures) -> None:
    failed = {**JOBS[0], "status": "failed", "error": {"code": "provider_timeout"}, "output": None}
    jobs = [failed, *JOBS[1:]]
    (complaint,) = complaints(measure(jobs, REVIEWS), jobs, REVIEWS, 3)
    assert "1 jobs did not succeed: job_a failed" in complaint


def test_a_lost_and_a_doubled_job(figures: Figures) -> None:
    jobs = [JOBS[1], *JOBS[1:]]
    assert complaints(measure(jobs, REVIEWS), jobs, REVIEWS, 3) == [
        "1 reviews have no job, first ['a']",
        "1 reviews have more than one job, first ['b']",
    ]


def test_a_call_that_was_not_counted(figures: Figures) -> None:
    assert complaints(figures, JOBS, REVIEWS, 4) == ["the jobs count 3 model calls, the provider 4"]


def test_calls_that_cost_nothing(figures: Figures) -> None:
    free = replace(figures, cost_usd=Decimal(0))
    assert complaints(free, JOBS, REVIEWS, 3) == ["3 model calls cost 0 dollars"]


def test_a_model_that_decided_without_a_call(figures: Figures) -> None:
    jobs = [*JOBS[:2], {**JOBS[2], "usage": JOBS[0]["usage"]}, JOBS[3]]
    assert complaints(figures, jobs, REVIEWS, 3) == ["2 jobs say that the model decided, 1 called it"]


def test_accuracy_is_off_only_beyond_chance() -> None:
    assert not off_by(Accuracy(1368, 1161, 0, 0), 0.85)
    assert off_by(Accuracy(1368, 1000, 0, 0), 0.85)
    assert not off_by(Accuracy(3, 1, 0, 0), 0.85)
    assert not off_by(Accuracy(0, 0, 0, 0), 0.85)
