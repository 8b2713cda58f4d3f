"""How each invariant is broken, by hand, in a database where all hold."""

from __future__ import annotations

# One job of a kind that `tests/ops/honest.py` leaves behind.
_PLAIN = "select id from jobs where status = 'succeeded' and not has_webhook and parent_id is null order by id limit 1"
_FAILED = "select id from jobs where status = 'failed' order by id limit 1"
_LATER = "select id from jobs where tags ? 'later'"
_PARENT = "select id from jobs where tags ? 'parent'"
_HELD = "select id from jobs where reason = 'ordering'"
_RUNNING = "select id from jobs where status = 'running'"
_DEAD = "select id from deliveries where status = 'dead' order by id limit 1"
_LONG_AGO = "update workers set started_at = started_at - interval '1 day';"
_EVENT = "insert into events (id, project_id, job_id, type, at, revision) select uuidv7(), project_id"
_OPERATION = """insert into operations (id, project_id, kind, wanted, total, done, portions)
    select uuidv7(), id, 'dead_letters.replay', '{{}}', {done}, {done}, {done} from projects limit 1"""

BREACHES = {
    "state-legal": f"update jobs set reason = 'retry' where id = ({_RUNNING})",
    "end-explained": f"update jobs set disposition = null where id = ({_FAILED})",
    "owner": f"update jobs set cancel_requested = true where id = ({_LATER})",
    "lease": f"""{_LONG_AGO} update jobs set claimed_at = claimed_at - interval '1 hour', worker_id = gen_random_uuid()
        where id = ({_RUNNING})""",
    "client-clock": f"{_LONG_AGO} update jobs set expire_by = now() - interval '1 hour' where id = ({_LATER})",
    "one-end": f"""update jobs set revision = revision + 1 where id = ({_PLAIN});
        {_EVENT}, id, 'job.succeeded', now(), revision from jobs where id = ({_PLAIN})""",
    "end-told": f"update events set type = 'job.failed' where job_id = ({_PLAIN}) and type = 'job.succeeded'",
    "start-told": f"delete from events where job_id = ({_PLAIN}) and type = 'job.started'",
    "event-order": f"update events set revision = 1 where job_id = ({_PLAIN}) and type = 'job.started'",
    "event-orphan": f"{_EVENT}, gen_random_uuid(), 'job.started', now(), 1 from jobs where id = ({_PLAIN})",
    "payload-missing": f"delete from payloads where id = (select input_id from jobs where id = ({_LATER}))",
    "payload-orphan": f"insert into payloads (id, job_id, body) select uuidv7(), id, '1' from ({_PLAIN}) one",
    "attempts": f"""insert into attempts (job_id, n, epoch, status, cost_nanos, ended_at)
        select id, 1, 0, 'failed', 0, now() from ({_PLAIN}) one""",
    "record-orphan": """update steps set attempt = 9
        where (job_id, name, key) in (select job_id, name, key from steps order by 1, 2, 3 limit 1)""",
    "key-job": """update idempotency set job_id = gen_random_uuid()
        where key in (select key from idempotency order by key limit 1)""",
    "ledger-calls": "delete from calls where id in (select id from calls order by id limit 1)",
    "usage": f"update jobs set input_tokens = input_tokens + 1 where id = ({_PLAIN})",
    "attempt-costs": f"update jobs set attempt_cost_nanos = attempt_cost_nanos + 1 where id = ({_PLAIN})",
    "usage-hours": """update usage_hours set cost_nanos = cost_nanos + 1
        where (project_id, hour) in (select project_id, hour from usage_hours limit 1)""",
    "spawn-counts": f"update spawns set started = started + 1 where parent_id = ({_PARENT})",
    "parent-waits": f"""update spawns set open = 0 where parent_id = ({_PARENT});
        update jobs set spawn_id = null where parent_id = ({_PARENT}); update spawns set started = 0
        where parent_id = ({_PARENT})""",
    "child-orphan": f"update jobs set parent_id = gen_random_uuid() where parent_id = ({_PARENT})",
    "line-agrees": "update ordering_lines set place = place + 1000000",
    "line-head": f"update jobs set reason = null, due_at = now() where id = ({_HELD})",
    "line-held": f"update jobs set due_at = now() where id = ({_HELD})",
    "hook-known": f"update jobs set has_webhook = false where id = ({_LATER})",
    "delivery-missing": f"""delete from delivery_attempts where delivery_id = ({_DEAD});
        delete from deliveries where id = ({_DEAD})""",
    "delivery-once": """insert into deliveries (id, event_id, job_id, project_id, type, url, secret, body, next_at)
        select uuidv7(), event_id, job_id, project_id, type, url, secret, body, now()
        from deliveries limit 1""",
    "delivery-state": f"update deliveries set ended_at = null where id = ({_DEAD})",
    "delivery-forgotten": f"""{_LONG_AGO} update deliveries set status = 'failed', ended_at = null,
        next_at = now() - interval '2 hours' where id = ({_DEAD})""",
    "delivery-lease": f"""{_LONG_AGO} update deliveries set status = 'failed', ended_at = null,
        next_at = now() - interval '10 minutes', worker_id = gen_random_uuid() where id = ({_DEAD})""",
    "operation-audit": _OPERATION.format(done=1),
    "replay-once": f"""{_OPERATION.format(done=2)};
        insert into audit (id, project_id, action, operation_id, count, job_ids)
        select uuidv7(), o.project_id, 'jobs.replayed', o.id, 1, array[j.id]
        from operations o, ({_PLAIN}) j, generate_series(1, 2)""",
    "partitions": """do $$ begin execute 'drop table payloads_'
        || to_char(date_trunc('week', now() at time zone 'utc') + interval '7 days', 'YYYYMMDD'); end $$""",
    "partition-rest": f"""update payloads set id = '00000000-0000-7000-8000-000000000001'
        where id = (select input_id from jobs where id = ({_PLAIN}));
        update jobs set input_id = '00000000-0000-7000-8000-000000000001' where id = ({_PLAIN})""",
}
