"""What a statement reads of its tables, as PostgreSQL counts it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from app.store.database import Connection

_READ = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")


async def rows_read(connection: Connection, statement: str, *values: Any) -> Counter[str]:
    """The rows that it takes from each table or partition, also those that it then leaves out."""
    (plan,) = json.loads(await connection.fetchval(f"explain (analyze, timing off, format json) {statement}", *values))
    read: Counter[str] = Counter()
    for node in _nodes(plan["Plan"]):
        if "Relation Name" in node:
            read[node["Relation Name"]] += round(sum(node.get(what, 0) for what in _READ) * node["Actual Loops"])
    return read


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
