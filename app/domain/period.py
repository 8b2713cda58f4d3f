"""Periods of budgets: the hour, the day and the month of a moment, in UTC."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum


class Period(StrEnum):
    """For how long a budget counts; from the shortest to the longest."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"

    def start(self, moment: datetime) -> datetime:
        """When the period of that moment (UTC) began."""
        hour = moment.replace(minute=0, second=0, microsecond=0)
        if self is Period.HOUR:
            return hour
        return hour.replace(hour=0) if self is Period.DAY else hour.replace(hour=0, day=1)

    def end(self, moment: datetime) -> datetime:
        """When the period of that moment (UTC) is over: the first moment of the next one."""
        start = self.start(moment)
        if self is Period.MONTH:
            # Every month has a 28th, and four days later it is another month.
            return (start.replace(day=28) + timedelta(days=4)).replace(day=1)
        return start + timedelta(hours=1 if self is Period.HOUR else 24)
