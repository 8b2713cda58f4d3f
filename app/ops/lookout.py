"""The lookout of every process: each second one of all looks at the whole service, and tells what is wrong with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping

from app.domain.alert import Alert, AlertEvent, AlertKind, Condition
from app.domain.clock import Clock
from app.domain.hours import Hours
from app.ops.alerts import REFUSED, Sight, conditions, raise_alert, raise_stored
from app.ops.overview import LaneLook, Look, Overview
from app.ops.parts import Parts
from app.settings import AlertSettings
from app.store.alerts import Alerts
from app.store.database import StoreAway
from app.store.symptoms import Symptoms
from app.telemetry.logs import log
from app.telemetry.place import kind_of, root_of

_DATABASE = "database"
_DELIVERY = "delivery"


class Lookout:
    """Looks in turn with all other processes; what it sees becomes an alert in the database."""

    def __init__(
        self, alerts: Alerts, symptoms: Symptoms, overview: Overview, parts: Parts,
        hours: Mapping[str, Hours], limits: AlertSettings, clock: Clock,
        refused: Callable[[], Awaitable[Collection[str]]],
    ) -> None:  # fmt: skip
        """`refused` names the providers that refuse our credential, as all workers know it."""
        self._alerts = alerts
        self._symptoms = symptoms
        self._overview = overview
        self._parts = parts
        self._hours = hours
        self._limits = limits
        self._clock = clock
        self._refused = refused
        self._lost: StoreAway | None = None
        self._lost_at = 0.0
        self._fired_at: float | None = None

    def renew(self, limits: AlertSettings) -> None:
        """Judge by these from now on."""
        self._limits = limits

    async def run(self) -> None:
        """Look until canceled."""
        while True:
            await self.once()
            await self._clock.sleep(self._limits.interval_s)

    async def once(self) -> None:
        """One look, if it is this process's turn. Without the database each process tells that for itself."""
        try:
            mine = await self._alerts.take_turn(self._limits.interval_s)
            await self._found_again()
            if mine:
                await self._look()
        except StoreAway as error:
            self._without(error)

    async def standing(self) -> list[Alert]:
        """The alerts that have fired and not resolved. Raises StoreAway."""
        return await self._alerts.standing()

    @property
    def database_alert(self) -> bool:
        """Whether the alert stands that nobody can store: the database is away."""
        return self._fired_at is not None

    async def _look(self) -> None:
        look, away = await self._overview.look(), await self._parts.away()
        standing = frozenset(alert.key for alert in await self._alerts.standing())
        failed = await self._symptoms.failed(self._limits.window_s)
        unclaimed, refused = await self._unclaimed(look), await self._still_refused(standing)
        sight = Sight(look, unclaimed, failed, away, standing, self._limits, refused)
        changes = await self._alerts.record(conditions(sight), self._limits.hold_s, self._limits.clear_s)
        for alert in changes.fired:
            raise_stored(AlertEvent.FIRED, alert)
        for alert in changes.resolved:
            raise_stored(AlertEvent.RESOLVED, alert)

    async def _still_refused(self, standing: frozenset[str]) -> Collection[str]:
        """Processes tell when a credential is refused. That it still is, while nobody calls, the pools know."""
        return await self._refused() if any(key.startswith(REFUSED) for key in standing) else ()

    async def _unclaimed(self, look: Look) -> dict[str, float]:
        """Seconds by lane; only a lane that looks as if is asked about."""
        limit_s = self._limits.unclaimed_s
        doubtful = [one for one in look.lanes if one.slots > one.in_use and not one.paused and one.oldest_s > limit_s]
        found = {lane.name: await self._unclaimed_s(lane, limit_s) for lane in doubtful}
        return {name: age_s for name, age_s in found.items() if age_s is not None}

    async def _unclaimed_s(self, lane: LaneLook, limit_s: float) -> float | None:
        if lane.name == _DELIVERY:
            return await self._symptoms.unsent_s(limit_s)
        hours = self._hours.get(lane.name)
        return await self._symptoms.unclaimed_s(lane.name, limit_s, hours is None or hours.open_at(self._clock.now()))

    def _without(self, error: StoreAway) -> None:
        now = self._clock.monotonic()
        if self._lost is None:
            self._lost, self._lost_at = error, now
        if self._fired_at is None and now - self._lost_at >= self._limits.hold_s:
            self._fired_at = now
            condition = _outage(error)
            raise_alert(AlertEvent.FIRED, condition.kind, condition.key, condition.detail)

    async def _found_again(self) -> None:
        """The database is back: it learns when it was away; that it is over is then told like any other alert's end."""
        lost, fired_at, now = self._lost, self._fired_at, self._clock.monotonic()
        if lost is not None and fired_at is not None:
            await self._alerts.note_outage(_outage(lost), now - self._lost_at, now - fired_at)
            log("lookout").info("database back", duration_ms=int((now - self._lost_at) * 1000))
        self._lost = self._fired_at = None


def _outage(error: StoreAway) -> Condition:
    return Condition(AlertKind.PART_AWAY, _DATABASE, f"{_DATABASE} cannot be reached: {kind_of(root_of(error))}")
