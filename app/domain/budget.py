"""Budgets: whose money, in which period, how much of it, and the name under which it is counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from app.domain import ids
from app.domain.period import Period


class Kind(StrEnum):
    """Whose spending a budget bounds."""

    PROJECT = "project"
    WORKFLOW = "workflow"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Spender:
    """Who wants to spend: a job's project, workflow and key. Test keys' calls cost nothing and count apart."""

    project_id: UUID
    workflow: str
    key_id: UUID | None
    test_mode: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose calls are counted together; `what` is the workflow's name, or the key's id in hexadecimal."""

    project_id: UUID
    kind: Kind
    what: str
    test_mode: bool

    @property
    def key_id(self) -> UUID | None:
        """The key of a key's scope."""
        return UUID(hex=self.what) if self.kind is Kind.KEY else None

    @property
    def workflow(self) -> str | None:
        """The workflow of a workflow's scope."""
        return self.what if self.kind is Kind.WORKFLOW else None


@dataclass(frozen=True, slots=True)
class Counter:
    """What a scope spends in one period, by the times of its calls' ids."""

    scope: Scope
    period: Period
    start: datetime

    @property
    def end(self) -> datetime:
        """When it is over."""
        return self.period.end(self.start)

    @property
    def name(self) -> str:
        """The same everywhere, and read back by `counter_of`."""
        scope = self.scope
        mode = "test" if scope.test_mode else "live"
        return f"{self.period}:{self.start:%Y%m%d%H}:{mode}:{scope.project_id.hex}:{scope.kind}:{scope.what}"


def counter_of(name: str) -> Counter:
    """The counter of that name. Raises ValueError for any other text."""
    period, start, mode, project, kind, what = name.split(":", 5)
    scope = Scope(UUID(hex=project), Kind(kind), what, mode == "test")
    return Counter(scope, Period(period), datetime.strptime(start, "%Y%m%d%H").replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Cap:
    """A counter and what it may reach, in nano-dollars. `hold`: once spent, new jobs are taken and wait."""

    counter: Counter
    nanos: int
    hold: bool

    @property
    def name(self) -> str:
        """Names it among all: the counter with what it may reach, so that a raised cap is another."""
        return f"{self.counter.name}@{self.nanos}"

    @property
    def shown(self) -> str:
        """As people read it, for instance `day budget of workflow review-sentiment`."""
        scope = self.counter.scope
        key = ids.show("key", scope.key_id) if scope.key_id else ""
        whose = {Kind.PROJECT: "the project", Kind.WORKFLOW: f"workflow {scope.what}", Kind.KEY: f"key {key}"}
        return f"{self.counter.period} budget of {whose[scope.kind]}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Nano-dollars by period; a period that is missing is not bounded."""

    nanos: dict[Period, int]
    hold: bool = False
