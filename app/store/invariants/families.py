"""Invariants of families: spawns count their children, and no parent waits for nobody."""

from __future__ import annotations

from app.store.invariants.check import ENDED, Check

FAMILIES = (
    Check(
        "spawn-counts",
        "a spawn has as many children, and as many open ones, as it says",
        "",
        f"""select s.id from spawns s left join (
            select spawn_id, count(*) as made, count(*) filter (where not {ENDED}) as open
            from jobs j where id >= $2 and spawn_id is not null group by spawn_id
        ) c on c.spawn_id = s.id
        where s.id >= $1 and (s.started, s.open) is distinct from (coalesce(c.made, 0), coalesce(c.open, 0))""",
    ),
    Check(
        "parent-waits",
        "a job that waits for children has open ones, and becomes due when a spawn's last has ended",
        "job",
        """select j.id from jobs j join spawns s on s.parent_id = j.id and s.awaited and not s.retired
        where j.status = 'waiting' and j.reason = 'children' and j.due_at > now()
        group by j.id having min(s.open) = 0""",
    ),
    Check(
        "child-orphan",
        "every child has a parent",
        "job",
        """select j.id from jobs j where j.id >= $1 and parent_id is not null and not exists (
            select from jobs p where p.id = j.parent_id
        )""",
    ),
)
