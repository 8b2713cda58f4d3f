"""Lanes: claims by tenant and workflow, virtual times, pauses, off-peak hours, ordering keys."""

from alembic import op

revision = "0003"
down_revision = "0002"

TABLES = """
alter table jobs
    -- Started only in the lane's off-peak hours; false from the first start on.
    add column off_peak boolean not null default false,
    add column ordering_key text,
    add column ordering_place bigint;

-- A claim looks at the first job of each line: one line for each project, workflow and off-peak flag.
drop index jobs_claim;
create index jobs_claim on jobs (lane, project_id, workflow, off_peak, priority desc, due_at, id)
    where status in ('queued', 'scheduled', 'waiting');

-- Slot-seconds that each project has had of a lane. The lane's own time stands under the nil id.
create table tenants (
    lane          text not null,
    project_id    uuid not null,
    virtual_time  double precision not null,
    primary key (lane, project_id)
) with (fillfactor = 50);

-- Read at each claim; no job is rewritten.
create table pauses (
    kind  text not null check (kind in ('lane', 'workflow')),
    name  text not null,
    at    timestamptz not null default clock_timestamp(),
    primary key (kind, name)
);

-- Live jobs with an ordering key, in the order of their submits; what a job becomes when it is the first.
create sequence ordering_places;
create table ordering_lines (
    project_id    uuid not null,
    ordering_key  text not null,
    place         bigint not null,
    job_id        uuid not null,
    status        text not null,
    reason        text,
    due_at        timestamptz not null,
    primary key (project_id, ordering_key, place)
);
"""

# The number that a line is locked by.
NUMBER = """
create function ordering_number(project_id uuid, ordering_key text) returns bigint
language sql immutable parallel safe as $$ select hashtextextended(project_id::text || ' ' || ordering_key, 0) $$
"""

# A new job stands in line; behind another it is no more than `queued: ordering`, with a due time that never comes, so
# that no claim ever looks at it. The lock makes places and commits go in step.
JOIN = """
create function ordering_join() returns trigger language plpgsql as $$
declare follows boolean;
begin
    perform pg_advisory_xact_lock(ordering_number(new.project_id, new.ordering_key));
    follows := exists (select from ordering_lines l
                       where l.project_id = new.project_id and l.ordering_key = new.ordering_key);
    new.ordering_place := nextval('ordering_places');
    insert into ordering_lines values (new.project_id, new.ordering_key, new.ordering_place, new.id, new.status,
        new.reason, new.due_at);
    if follows then
        new.status := 'queued';
        new.reason := 'ordering';
        new.due_at := '9999-01-01 00:00:00+00';
    end if;
    return new;
end $$
"""

# An ended job that is retried takes its old place again: the next after the one that is under way.
REJOIN = """
create function ordering_rejoin() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(ordering_number(new.project_id, new.ordering_key));
    if exists (select from ordering_lines l
               where l.project_id = new.project_id and l.ordering_key = new.ordering_key) then
        update jobs set status = 'queued', reason = 'ordering', due_at = '9999-01-01 00:00:00+00' where id = new.id;
    end if;
    insert into ordering_lines values (new.project_id, new.ordering_key, new.ordering_place, new.id, new.status,
        new.reason, new.due_at);
    return null;
end $$
"""

# An ended job leaves its line; the end of the first promotes the next that is still there. A row that is just being
# canceled is waited for.
PROMOTE = """
create function ordering_promote(project uuid, key text) returns boolean language plpgsql as $$
declare next ordering_lines;
begin
    for next in select * from ordering_lines l where l.project_id = project and l.ordering_key = key order by place loop
        update jobs set status = next.status, reason = next.reason, due_at = next.due_at, revision = revision + 1
        where id = next.job_id and status = 'queued' and reason = 'ordering';
        if found then
            return true;
        end if;
    end loop;
    return false;
end $$
"""

# Where nobody is seen behind the first, a submit that saw it alive may be about to commit: the lock waits for that.
LEAVE = """
create function ordering_leave() returns trigger language plpgsql as $$
begin
    delete from ordering_lines l
    where l.project_id = new.project_id and l.ordering_key = new.ordering_key and l.place = new.ordering_place;
    if old.reason is distinct from 'ordering' and not ordering_promote(new.project_id, new.ordering_key) then
        perform pg_advisory_xact_lock(ordering_number(new.project_id, new.ordering_key));
        perform ordering_promote(new.project_id, new.ordering_key);
    end if;
    return null;
end $$
"""

ENDED = "in ('succeeded', 'failed', 'canceled', 'expired')"
# No trigger before an update: it would lock every row of every update once more.
TRIGGERS = (
    """create trigger ordering_join before insert on jobs for each row
    when (new.ordering_key is not null) execute function ordering_join()""",
    f"""create trigger ordering_rejoin after update of status on jobs for each row
    when (new.ordering_key is not null and old.status {ENDED} and new.status not {ENDED})
    execute function ordering_rejoin()""",
    f"""create trigger ordering_leave after update of status on jobs for each row
    when (new.ordering_key is not null and old.status not {ENDED} and new.status {ENDED})
    execute function ordering_leave()""",
)


def upgrade() -> None:
    for statement in (*TABLES.split(";\n"), NUMBER, JOIN, REJOIN, PROMOTE, LEAVE, *TRIGGERS):
        if statement.strip():
            op.execute(statement)
