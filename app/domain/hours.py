"""Hours of the day in a time zone, as `22:00-06:00 UTC`: when off-peak work may start."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_PATTERN = re.compile(r"(\d{2}):(\d{2})-(\d{2}):(\d{2})(?: (\S+))?", re.ASCII)
_RULE = "write two times and a zone, for instance 22:00-06:00 UTC or 22:00-06:00 Europe/Berlin"


@dataclass(frozen=True, slots=True)
class Hours:
    """From `start` up to `end` by the zone's clocks, over midnight when the end is the earlier one."""

    start: time
    end: time
    zone: tzinfo

    def open_at(self, moment: datetime) -> bool:
        """Whether an aware moment lies within the hours."""
        local = moment.astimezone(self.zone).time()
        if self.start < self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end

    def next_open(self, moment: datetime) -> datetime:
        """The moment itself within the hours, else the next start, in UTC."""
        if self.open_at(moment):
            return moment
        today = moment.astimezone(self.zone).date()
        starts = (
            datetime.combine(today + timedelta(days=day), self.start, self.zone).astimezone(UTC) for day in (0, 1)
        )
        return next(start for start in starts if start > moment)


def hours(text: str) -> Hours:
    """Read them; no zone is UTC. Raises ValueError that names the rule."""
    found = _PATTERN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not hours of a day: {_RULE}")
    start, end = _time(text, found[1], found[2]), _time(text, found[3], found[4])
    if start == end:
        raise ValueError(f"{text!r} starts when it ends: {_RULE}")
    try:
        return Hours(start, end, UTC if found[5] in (None, "UTC") else ZoneInfo(found[5]))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{text!r} names a time zone that is not known here: {_RULE}") from None


def _time(text: str, hour: str, minute: str) -> time:
    try:
        return time(int(hour), int(minute))
    except ValueError:
        raise ValueError(f"{text!r} has a time that no clock shows: {_RULE}") from None
