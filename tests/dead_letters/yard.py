"""A yard of dead letters: failed jobs under one name, what makes them succeed, and how they are replayed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.stack import Stack, until

LETTERS = "/v1/dead-letters"


class Yard:
    """Jobs of one test, told from others by their tag."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.tag = uuid4().hex
        self.mended = stack.folder / f"mended-{self.tag}"
        self.journal = stack.folder / f"journal-{self.tag}"
        self.journal.touch()

    def fail(self, *names: str, how: str = "processing", workflow: str = "breaks", **more: Any) -> list[str]:
        """Jobs of these names that have failed; their ids."""
        given = {"mended": str(self.mended), "journal": str(self.journal), "how": how}
        more = {**more, "tags": [self.tag, *more.get("tags", ())]}
        jobs = [self.stack.submit(workflow, {**given, "name": name}, **more)["id"] for name in names]
        self.settled("failed", len(jobs), jobs)
        return jobs

    def mend(self) -> None:
        """From now on they succeed."""
        self.mended.touch()

    def ran(self) -> Counter[str]:
        """How often each step of each job ran."""
        return Counter(Path(self.journal).read_text().splitlines())

    def settled(self, status: str, count: int, among: list[str] | None = None, timeout_s: float = 30) -> None:
        """Wait until so many jobs of the yard, or `among` these, are in this state."""

        def there() -> bool:
            jobs = self.jobs()
            return count == sum(job["status"] == status and (among is None or id in among) for id, job in jobs.items())

        until(there, timeout_s)

    def jobs(self) -> dict[str, dict[str, Any]]:
        """All jobs of the yard by id."""
        found: dict[str, dict[str, Any]] = {}
        cursor: dict[str, str] = {}
        while True:
            page = self.stack.client.get("/v1/jobs", params={"tag": self.tag, "limit": 200, **cursor}).json()
            found |= {job["id"]: job for job in page["data"]}
            if not page["has_more"]:
                return found
            cursor = {"cursor": page["next_cursor"]}

    def causes(self, **query: Any) -> dict[str, Any]:
        """The page of causes."""
        response = self.stack.client.get(LETTERS, params={"tag": self.tag, **query})
        assert response.status_code == 200, response.text
        return dict(response.json())

    def replay(self, body: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """The answer to a replay, of the whole yard where no body says otherwise."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.stack.client.post(
            f"{LETTERS}/replay", json=body or {"filter": {"tag": self.tag}}, headers=sent
        )  # fmt: skip

    def completed(self, operation: dict[str, Any], timeout_s: float = 30) -> dict[str, Any]:
        """The operation once it has ended."""
        until(lambda: self.operation(operation["id"])["terminal"], timeout_s)
        return self.operation(operation["id"])

    def operation(self, operation_id: str) -> dict[str, Any]:
        """How far it is."""
        response = self.stack.client.get(f"/v1/operations/{operation_id}")
        assert response.status_code == 200, response.text
        return dict(response.json())

    def events(self, job_id: str) -> list[str]:
        """The types of the job's events."""
        page = self.stack.client.get(f"/v1/jobs/{job_id}/events", params={"limit": 200}).json()
        return [event["type"] for event in page["data"]]
