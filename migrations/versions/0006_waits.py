"""Waits: why a job did not start at once, and when it came to the head of its ordering key."""

from alembic import op

revision = "0006"
down_revision = "0005"

# Both for the timeline alone: a claim clears the reason, and the due time of a job in line is its own again.
COLUMNS = "alter table jobs add column submit_reason text, add column headed_at timestamptz"

# As before, with the time of it.
PROMOTE = """
create or replace function ordering_promote(project uuid, key text) returns boolean language plpgsql as $$
declare next ordering_lines;
begin
    for next in select * from ordering_lines l where l.project_id = project and l.ordering_key = key order by place loop
        update jobs set status = next.status, reason = next.reason, due_at = next.due_at, revision = revision + 1,
            headed_at = clock_timestamp()
        where id = next.job_id and status = 'queued' and reason = 'ordering';
        if found then
            return true;
        end if;
    end loop;
    return false;
end $$
"""


def upgrade() -> None:
    op.execute(COLUMNS)
    op.execute(PROMOTE)
