"""Keys and projects that a key makes: no key may do more than the one that asks, and nothing is out of its reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.domain import money
from app.domain.errors import FieldError, Problem
from app.domain.period import Period
from app.jobs.submit import key_reused
from app.ops.access import SCOPES, Access
from app.store.keys import ApiKey, Asker, Keys, NewKey, Unrotated
from app.store.projects import NameTaken, Project, Projects
from app.store.submissions import IdempotencyKey, Outcome


@dataclass(frozen=True, slots=True)
class Wanted:
    """A key that is to be made; what is None is as with the key that asks. `budget` is nano-dollars by period."""

    name: str
    project_id: UUID | None
    scopes: Sequence[str] | None
    workflows: Sequence[str] | None
    expires_at: datetime | None
    mode: str | None
    budget: Mapping[Period, int]


@dataclass(frozen=True, slots=True)
class Granted:
    """A key; its text, unless the request was repeated: then nobody knows it any more."""

    key: ApiKey
    text: str | None

    @property
    def repeated(self) -> bool:
        """Whether an earlier request under the same idempotency key made it."""
        return self.text is None


@dataclass(frozen=True, slots=True)
class _Rights:
    """What a key may do."""

    scopes: frozenset[str]
    workflows: frozenset[str] | None
    expires_at: datetime | None
    mode: str
    budget: Mapping[Period, int]


class Grants:
    """Every method raises Problem: `not_found` for what is out of reach, and StoreAway."""

    def __init__(self, access: Access, keys: Keys, projects: Projects) -> None:
        self._access = access
        self._keys = keys
        self._projects = projects

    async def make(self, by: ApiKey, wanted: Wanted, idempotency: IdempotencyKey | None) -> Granted:
        """A new key. Raises Problem `input_invalid` that names the field, `idempotency_key_reused`."""
        project = await self.project(by, wanted.project_id or by.project_id)
        if unknown := sorted(set(wanted.scopes or ()) - set(SCOPES)):
            raise _refused("/scopes", f"there is no scope {unknown[0][:50]!r}: use {', '.join(SCOPES)}")
        rights = _Rights(
            by.scopes if wanted.scopes is None else frozenset(wanted.scopes),
            by.workflows if wanted.workflows is None else frozenset(wanted.workflows),
            wanted.expires_at or by.expires_at,
            wanted.mode or by.mode,
            {**by.budget, **wanted.budget},
        )
        _within(by, rights)
        text, secret = self._access.secret(rights.mode)
        workflows = sorted(rights.workflows) if rights.workflows is not None else None
        new = NewKey(
            project.name, wanted.name, secret, sorted(rights.scopes), rights.mode, workflows, rights.expires_at,
            rights.budget,
        )  # fmt: skip
        return await self._granted(by, text, await self._keys.create(new, _asker(by, idempotency)))

    async def rotate(self, by: ApiKey, key_id: UUID, grace_s: float, idempotency: IdempotencyKey | None) -> Granted:
        """The same key under another text; the old text works for `grace_s` seconds more.

        Raises Problem `state_conflict`, `input_invalid` where the key may do more than the one that asks,
        `idempotency_key_reused`.
        """
        old = await self.key(by, key_id)
        _within(by, _Rights(old.scopes, old.workflows, old.expires_at, old.mode, old.budget), "it is stronger: ")
        text, secret = self._access.secret(old.mode)
        try:
            made = await self._keys.rotate(old.id, secret, grace_s, _asker(by, idempotency))
        except Unrotated as error:
            raise Problem("state_conflict", str(error)) from None
        return await self._granted(by, text, made)

    async def allow(self, by: ApiKey, key_id: UUID, budget: Mapping[Period, int]) -> ApiKey:
        """Give a key that is no stronger another budget: nano-dollars by period, no more than the asking key has."""
        found, whole = await self.key(by, key_id), {**by.budget, **budget}
        _within(by, _Rights(found.scopes, found.workflows, found.expires_at, found.mode, whole), "it is stronger: ")
        return await self._keys.allow(found.id, whole, _asker(by))

    async def revoke(self, by: ApiKey, key_id: UUID) -> ApiKey:
        """End a key, if it had not ended."""
        found = await self.key(by, key_id)
        await self._keys.revoke(found.id, _asker(by))
        return await self.key(by, key_id)

    async def key(self, by: ApiKey, key_id: UUID) -> ApiKey:
        """One key."""
        found = await self._keys.reached(by.project_id, key_id)
        if found is None:
            raise Problem("not_found", "There is no key with this id.")
        return found

    async def keys(self, by: ApiKey, project_id: UUID | None, limit: int, after: UUID | None) -> list[ApiKey]:
        """Up to `limit` keys of a project, its own where none is named, newest first, behind `after`."""
        project = await self.project(by, project_id or by.project_id)
        return await self._keys.page(project.id, limit, after)

    async def make_project(self, by: ApiKey, name: str, idempotency: IdempotencyKey | None) -> tuple[Project, bool]:
        """A new project, and whether an earlier request made it. Raises Problem as `make`."""
        try:
            made = await self._projects.make(name, _asker(by, idempotency))
        except NameTaken:
            raise _refused("/name", "there is a project of this name: choose another") from None
        if isinstance(made, Project):
            return made, False
        return await self.project(by, _earlier(*made)), True

    async def project(self, by: ApiKey, project_id: UUID) -> Project:
        """One project."""
        found = await self._projects.find(by.project_id, project_id)
        if found is None:
            raise Problem("not_found", "There is no project with this id.")
        return found

    async def projects(self, by: ApiKey, limit: int, after: UUID | None) -> list[Project]:
        """Up to `limit` projects in reach, newest first, behind `after`."""
        return await self._projects.page(by.project_id, limit, after)

    async def _granted(self, by: ApiKey, text: str, made: ApiKey | tuple[Outcome, UUID]) -> Granted:
        if isinstance(made, ApiKey):
            return Granted(made, text)
        return Granted(await self.key(by, _earlier(*made)), None)


def _asker(by: ApiKey, idempotency: IdempotencyKey | None = None) -> Asker:
    return Asker(by.project_id, by.id, idempotency)


def _earlier(outcome: Outcome, made: UUID) -> UUID:
    """What the idempotency key stands for. Raises Problem `idempotency_key_reused`."""
    if outcome is Outcome.KEY_REUSED:
        raise key_reused()
    return made


def _within(by: ApiKey, wanted: _Rights, why: str = "") -> None:
    """Raises Problem that names the first thing that `wanted` may and `by` may not."""
    if beyond := sorted(wanted.scopes - by.scopes):
        raise _refused("/scopes", f"{why}your own key has no scope {beyond[0]}: it cannot give it on")
    if wanted.mode == "live" and by.mode == "test":
        raise _refused("/mode", f"{why}your own key is a test key: it makes test keys only")
    if by.workflows is not None and (wanted.workflows is None or not wanted.workflows <= by.workflows):
        raise _refused(
            "/workflows", f"{why}your own key is bound to {', '.join(sorted(by.workflows))}: name only those"
        )
    if by.expires_at is not None and (wanted.expires_at is None or wanted.expires_at > by.expires_at):
        raise _refused("/expires_at", f"{why}your own key ends at {by.expires_at.isoformat()}: name no later time")
    for period, most in by.budget.items():
        if wanted.budget.get(period, most + 1) > most:
            detail = f"{why}your own key may spend {money.show(most)} dollars: name no more"
            raise _refused(f"/budget/{period}_usd", detail)


def _refused(pointer: str, detail: str) -> Problem:
    return Problem("input_invalid", f"{pointer}: {detail}", errors=(FieldError(pointer, "input_invalid", detail),))
