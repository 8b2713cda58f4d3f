"""Two of the fault experiments, once each, and more that are slow here: CI runs all of these with `make faults`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NothingIsLost = Callable[[str], None]


def test_killed_workers_jobs_move_on_when_their_lease_runs_out(nothing_is_lost: NothingIsLost) -> None:
    nothing_is_lost("worker-killed")


@pytest.mark.slow
def test_workers_killed_at_each_point(nothing_is_lost: NothingIsLost) -> None:
    nothing_is_lost("worker-points")


def test_api_killed_around_the_ticket(nothing_is_lost: NothingIsLost) -> None:
    nothing_is_lost("api-killed")


@pytest.mark.slow
def test_valkey_killed_and_started_empty_under_load(nothing_is_lost: NothingIsLost) -> None:
    nothing_is_lost("valkey-killed")


@pytest.mark.slow
def test_postgres_killed_under_load(nothing_is_lost: NothingIsLost) -> None:
    nothing_is_lost("postgres-killed")


@pytest.mark.slow
def test_a_corrupted_configuration_is_refused_at_boot(nothing_is_lost: NothingIsLost) -> None:
    nothing_is_lost("configuration")


@pytest.mark.slow
def test_a_job_that_kills_its_process_every_time(nothing_is_lost: NothingIsLost) -> None:
    nothing_is_lost("poison")


@pytest.mark.slow
def test_killed_children_are_released_by_their_parent(nothing_is_lost: NothingIsLost) -> None:
    nothing_is_lost("worker-supervised")
