"""What Prometheus is answered: the whole service, from any API process, the same from each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from app import __version__
from app.domain.alert import AlertKind
from app.ops.configfile import ConfigFile
from app.ops.lookout import Lookout
from app.ops.overview import Look, Overview
from app.ops.parts import Parts
from app.ops.pools import PoolLook, Pools
from app.ops.report import Report
from app.store.database import StoreAway
from app.store.reports import Reports
from app.telemetry.instruments import Instrument, Reading

_HEAD = b"# HELP "


class Fleet:
    """What is true of the whole service, read for one answer; without the label of a process."""

    def __init__(self) -> None:
        self.up = Reading("laneway_part_up", "1 when this API reaches the part.", ("part",))
        self.info = Reading("laneway_info", "Always 1.", ("version", "provider_simulated"))
        self.processes = Reading("laneway_processes", "Live processes.", ("role",))
        self.workers = Reading("laneway_lane_workers", "Live workers that serve the lane.", ("lane",))
        self.jobs = Reading(
            "laneway_lane_jobs",
            "Unfinished jobs; those of the lane `delivery` are webhooks to send.",
            ("lane", "status", "reason"),
        )
        self.due = Reading("laneway_lane_due_jobs", "The backlog: unfinished jobs that may start now.", ("lane",))
        self.oldest = Reading("laneway_lane_oldest_seconds", "Age of the oldest that may start.", ("lane",))
        self.paused = Reading("laneway_lane_paused", "1 while the lane is paused.", ("lane",))
        self.pool_limit = Reading(
            "laneway_pool_limit_per_minute",
            "What a provider's limit is believed to be: `learned` or `announced`.",
            ("pool", "dimension", "source"),
        )
        self.pool_calls = Reading(
            "laneway_pool_calls", "Calls: `in_flight`, or `waiting` for a limit.", ("pool", "state")
        )
        self.pool_open = Reading(
            "laneway_pool_open", "0 while only trials or probes go, or an operator stopped it.", ("pool",)
        )
        self.alerts = Reading("laneway_alerts", "Alerts that stand, by kind.", ("kind",))

    def instruments(self) -> list[Instrument]:
        """All of them, in the order of the page that tells of them."""
        return list(vars(self).values())

    def read(self, look: Look) -> None:
        """Take the values of a look."""
        for role in ("serve", "work"):
            self.processes.put(look.count(role), role)
        for lane in look.lanes:
            self.workers.put(lane.workers, lane.name)
            self.due.put(lane.due, lane.name)
            self.oldest.put(lane.oldest_s, lane.name)
            self.paused.put(lane.paused, lane.name)
            for row in lane.rows:
                self.jobs.put(row.count, lane.name, row.status, row.reason or "")

    def pools(self, looks: Iterable[PoolLook]) -> None:
        """Take what is known of the providers' pools."""
        for look in looks:
            for limit in look.limits:
                if limit.per_minute is not None:
                    self.pool_limit.put(limit.per_minute, look.name, limit.dimension, limit.source)
            self.pool_calls.put(look.in_flight, look.name, "in_flight")
            self.pool_calls.put(sum(look.waiting.values()), look.name, "waiting")
            self.pool_open.put(look.state in ("closed", "half_open"), look.name)

    def count(self, alerts: Iterable[AlertKind]) -> None:
        """Take the kind of each alert that stands."""
        counts = Counter(alerts)
        for kind in AlertKind:
            self.alerts.put(counts[kind], kind)

    def text(self) -> bytes:
        """The text format."""
        return "".join(instrument.text() for instrument in self.instruments()).encode()


class Scrape:
    """Makes the answer: the fleet's readings, then every process's own report, live ones and those just ended."""

    def __init__(
        self,
        overview: Overview,
        reports: Reports,
        parts: Parts,
        report: Report,
        lookout: Lookout,
        file: ConfigFile,
        pools: Pools,
    ) -> None:
        self._overview = overview
        self._reports = reports
        self._parts = parts
        self._report = report
        self._lookout = lookout
        self._file = file
        self._pools = pools

    async def text(self) -> bytes:
        """The text format. Without the database it is what this process alone knows."""
        fleet = Fleet()
        fleet.info.put(1, __version__, str(self._file.settings.simulated).lower())
        for part, state in (await self._parts.reachable()).items():
            fleet.up.put(state == "ok", part)
        fleet.pools(await self._pools.brief())
        try:
            fleet.read(await self._overview.look())
            fleet.count(alert.kind for alert in await self._lookout.standing())
            texts = await self._reports.texts()
        except StoreAway:
            fleet.count([AlertKind.PART_AWAY] if self._lookout.database_alert else [])
            return joined([fleet.text(), self._report.text()])
        return joined([fleet.text(), *texts.alive], texts.gone)


def joined(texts: Iterable[bytes], gone: Iterable[bytes] = ()) -> bytes:
    """Texts as one: each family's lines together, under one head; of processes that are gone what they had counted."""
    families: dict[bytes, list[bytes]] = {}
    for head, lines in (*_families(texts), *(one for one in _families(gone) if not one[0].endswith(b" gauge\n"))):
        families.setdefault(head, []).append(lines)
    return b"".join(head + b"".join(lines) for head, lines in families.items())


def _families(texts: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The head of each family and its lines."""
    for text in texts:
        for block in text.split(_HEAD)[1:]:
            help_line, type_line, lines = block.split(b"\n", 2)
            yield _HEAD + help_line + b"\n" + type_line + b"\n", lines
