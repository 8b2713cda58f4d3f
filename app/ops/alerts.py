"""The alert rules, a row each: what is wrong at this moment, from what one look sees. And the one way to tell of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from app.domain.alert import Alert, AlertEvent, AlertKind, Condition
from app.domain.job import Reason, Status
from app.ops.overview import Look
from app.settings import AlertSettings
from app.store.symptoms import Failed
from app.telemetry.logs import log

_log = log("alerts")
# Once it has fired, it stands until it has fallen below this part of its threshold.
_BACK_TO = 0.5
# The keys of alerts about a credential begin so; its provider follows.
REFUSED = f"{AlertKind.SYSTEM_FAULT}:{Reason.PROVIDER_AUTH}:"


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look sees. `unclaimed` has seconds by lane; `away` the error of each part that cannot be reached.

    `standing` are the keys of the alerts that have fired; `refused` the providers that refuse our credential.
    """

    look: Look
    unclaimed: Mapping[str, float]
    failed: Failed
    away: Mapping[str, str]
    standing: frozenset[str]
    limits: AlertSettings
    refused: Collection[str] = ()


Rule = Callable[[Sight], Iterator[Condition]]


def unclaimed(sight: Sight) -> Iterator[Condition]:
    """Due work waits while slots are free."""
    for name, age_s in sight.unclaimed.items():
        lane = sight.look.lane(name)
        free = f"{lane.slots - lane.in_use} of {lane.slots} slots are free"
        yield Condition(AlertKind.UNCLAIMED, name, f"work has been due in {name} for {age_s:.0f} s while {free}")


def dead_letters(sight: Sight) -> Iterator[Condition]:
    """Jobs, or webhooks, come to nothing more often than now and then."""
    limits, failed = sight.limits, sight.failed
    yield from _grows(sight, AlertKind.DEAD_LETTERS, "jobs", failed.dead_letters, limits.dead_letters)
    yield from _grows(sight, AlertKind.DEAD_LETTERS, "webhooks", failed.webhooks, limits.dead_letters)


def quarantine(sight: Sight) -> Iterator[Condition]:
    """Bad input comes in more often than now and then."""
    yield from _grows(sight, AlertKind.QUARANTINE, "jobs", sight.failed.quarantined, sight.limits.quarantine)


def system_faults(sight: Sight) -> Iterator[Condition]:
    """Jobs wait because the service itself could not go on with them; a provider refuses our key."""
    for reason in (Reason.SYSTEM, Reason.PROVIDER_AUTH):
        lanes = {lane.name: _waiting(sight, lane.name, reason) for lane in sight.look.lanes}
        if sum(lanes.values()) >= sight.limits.system_jobs:
            where = ", ".join(f"{count} in {name}" for name, count in lanes.items() if count)
            yield Condition(AlertKind.SYSTEM_FAULT, reason, f"jobs wait for {reason}: {where}")
    lately = {name for one in sight.look.alive for name in one.facts.get("refused", ())}
    for provider in sorted(lately.union(sight.refused)):
        detail = f"provider {provider} refuses its credential: look at its api_key_env or api_key_file"
        yield Condition(AlertKind.SYSTEM_FAULT, f"provider_auth:{provider}", detail)


def configuration(sight: Sight) -> Iterator[Condition]:
    """A changed configuration is refused, and processes go on with the one before; or it needs their restart.

    One that takes away what running work needs is told apart: it may be valid, and the next start would take it.
    """
    for process in sight.look.alive:
        if refusal := process.facts.get("configuration"):
            yield Condition(AlertKind.CONFIGURATION, process.host, refusal)
        if loss := process.facts.get("taken_away"):
            yield Condition(AlertKind.CONFIGURATION, f"taken_away:{process.host}", loss)
    for process in sight.look.alive:
        if kept := process.facts.get("restart"):
            detail = f"changed, and in force only after a restart: {', '.join(kept)}"
            yield Condition(AlertKind.CONFIGURATION, f"restart:{process.host}", detail)


def parts_away(sight: Sight) -> Iterator[Condition]:
    """Something that the service is made of is not there."""
    for part, error in sight.away.items():
        yield Condition(AlertKind.PART_AWAY, part, f"{part} cannot be reached: {error}")
    for role, words in (("serve", "API"), ("work", "worker")):
        if not sight.look.count(role):
            yield Condition(AlertKind.PART_AWAY, role, f"no {words} process lives")
    if sight.look.count("work"):
        yield from _unserved(sight)


RULES: tuple[Rule, ...] = (unclaimed, dead_letters, quarantine, system_faults, configuration, parts_away)


def conditions(sight: Sight) -> list[Condition]:
    """All that is wrong, each key once."""
    return list({one.key: one for rule in RULES for one in rule(sight)}.values())


def raise_alert(event: AlertEvent, kind: AlertKind, key: str, detail: str) -> None:
    """Tell of an alert: the one place from which operators hear of any."""
    say = _log.error if event is AlertEvent.FIRED else _log.info
    say(str(event), what=str(kind), key=key, reason=detail)


def raise_stored(event: AlertEvent, alert: Alert) -> None:
    """The same of an alert in the database."""
    raise_alert(event, alert.kind, alert.key, alert.detail)


def _grows(sight: Sight, kind: AlertKind, about: str, count: int, most: int) -> Iterator[Condition]:
    found = Condition(kind, about, f"{count} {about} within {sight.limits.window_s:g} s")
    if count >= (most * _BACK_TO if found.key in sight.standing else most):
        yield found


def _waiting(sight: Sight, lane: str, reason: Reason) -> int:
    rows = sight.look.lane(lane).rows
    return sum(row.count for row in rows if row.status == Status.WAITING and row.reason == reason)


def _unserved(sight: Sight) -> Iterator[Condition]:
    """Lanes with due work and no worker."""
    for lane in sight.look.lanes:
        if not lane.workers and lane.due and not lane.paused and lane.oldest_s > sight.limits.unclaimed_s:
            what = "webhooks wait" if lane.name == "delivery" else "jobs are due"
            yield Condition(AlertKind.PART_AWAY, f"lane:{lane.name}", f"{what} in {lane.name}, which no worker serves")
