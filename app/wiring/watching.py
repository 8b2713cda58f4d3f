"""What looks at the whole service: its parts, its queues, its alerts, its pools, its books."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.bell.redis import answer
from app.domain.hours import Hours
from app.gateway.budgets.money import Money
from app.gateway.pools.levers import Levers
from app.ops.configfile import ConfigFile
from app.ops.lookout import Lookout
from app.ops.overview import Overview
from app.ops.parts import Parts
from app.ops.pools import Pools
from app.ops.report import Report
from app.ops.scrape import Scrape
from app.ops.treasury import Treasury
from app.store.alerts import Alerts
from app.store.depth import Depth
from app.store.levers import KeptLevers
from app.store.reports import Reports
from app.store.symptoms import Symptoms
from app.wiring.ground import Ground


@dataclass(frozen=True, slots=True)
class Watching:
    """For the API's answers, and for what is done about them in the background."""

    parts: Parts
    overview: Overview
    lookout: Lookout
    report: Report
    scrape: Scrape
    pools: Pools
    treasury: Treasury


def watching(ground: Ground, file: ConfigFile, hours: Mapping[str, Hours], money: Money) -> Watching:
    """Follows the configuration `file`; `hours` are those in force now."""
    database, redis, clock = ground.database, ground.redis, ground.clock
    reports = Reports(database)
    report = Report(reports, ground.metrics, ground.process_id, clock, role=ground.role, lanes=ground.lanes, file=file)
    parts = Parts(database=database.ping, redis=lambda: answer(redis))
    overview = Overview(Depth(database), reports, clock)
    pools = Pools(Levers(redis), lambda: file.settings, KeptLevers(database))
    lookout = Lookout(
        Alerts(database), Symptoms(database), overview, parts, hours, file.settings.alerts, clock, pools.refused
    )
    file.follow(lambda new: lookout.renew(new.alerts))
    scrape = Scrape(overview, reports, parts, report, lookout, file, pools)
    treasury = Treasury(
        money.ledger, money.allowances, money.books, money.budgets, Alerts(database), ground.ring, clock,
        lambda: file.settings.gateway.reconcile_interval_s,
    )  # fmt: skip
    return Watching(parts, overview, lookout, report, scrape, pools, treasury)
