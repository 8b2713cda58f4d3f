"""One invariant: a statement that finds what breaks it, and the words that several of them share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.job import TERMINAL, UNCLAIMED


@dataclass(frozen=True, slots=True)
class Check:
    """`sql` gives one row, an id, for each breach; `kind` is the ids' prefix, empty where they are words.

    Its parameters: $1 is the smallest job id that is looked at; $2 the smallest id of anything that belongs to such a
    job; $3 the seconds that a living system may take to put a thing right.
    """

    name: str
    means: str
    kind: str
    sql: str


def one_of(words: Iterable[str]) -> str:
    """The words as a list for `in`."""
    return "(" + ", ".join(f"'{word}'" for word in sorted(words)) + ")"


ENDED = f"j.status in {one_of(TERMINAL)}"
IS_UNCLAIMED = f"j.status in {one_of(UNCLAIMED)}"
# What belongs to a job may be dropped once the job is past its retention.
KEPT = "(j.ended_at is null or j.expires_at > now())"
# Since when there is a process that puts things right: each API and worker runs the loops that do, and beats.
WATCHED_SINCE = """coalesce((
    select min(started_at) from workers where gone_at is null and beat_at > now() - make_interval(secs => 2 * lease_s)
), '-infinity')"""


def overdue(moment: str, seconds: str = "$3") -> str:
    """Whether it is longer ago than that, with somebody there all the time who should have seen to it."""
    late = f"now() - make_interval(secs => {seconds})"
    return f"{moment} < {late} and {WATCHED_SINCE} < {late}"


def lost(owner: str, since: str) -> str:
    """Whether the process `owner` is gone, or silent beyond its lease, for longer than anyone may take to notice.

    `since` is when it got what it owns. A database that was away heard no heartbeat.
    """
    return f"""{overdue(since)} and not exists (
        select from workers w where w.id = {owner} and greatest(
            coalesce(w.gone_at, w.beat_at + make_interval(secs => w.lease_s)), pg_postmaster_start_time()
        ) > now() - make_interval(secs => $3)
    )"""
