"""What the person at the terminal reads once everything serves."""

from __future__ import annotations

from app.supervise.embedded import Servers
from app.supervise.family import Family
from app.supervise.home import NOTE
from app.supervise.plan import Plan


def banner(url: str, plan: Plan, family: Family, servers: Servers) -> list[str]:
    """The lines, without a secret that the person gave himself."""
    return [
        f"Laneway serves at {url}",
        f"  docs       {url}/docs",
        f"  API key    {_key(plan, family)}",
        f"  database   {_database(servers)}",
        f"  doorbell   {'Valkey, embedded, in memory only' if servers.valkey else 'given by LANEWAY_REDIS_URL'}",
        f"  models     {_models(plan, family)}",
        f"  processes  {plan.api} API, {plan.workers} workers; {_output(plan)}",
        "Ctrl-C drains and stops.",
    ]


def _key(plan: Plan, family: Family) -> str:
    if plan.bootstrap_key:
        return f"{family.api_key[:12]}... (given by LANEWAY_BOOTSTRAP_KEY)"
    return f"{family.api_key} (kept in {plan.data}/api_key)"


def _database(servers: Servers) -> str:
    if servers.postgres is None:
        return "given by LANEWAY_DATABASE_URL"
    home = servers.postgres.home
    why = f" (see {NOTE})" if home.root != servers.postgres.log.parent.parent else ""
    return f"PostgreSQL, embedded, data in {home.postgres}{why}"


def _models(plan: Plan, family: Family) -> str:
    simulated = f"simulated provider at {family.simulator_url}: its answers are simulated"
    if not plan.providers and family.simulator_url:
        return simulated
    said = f"as {plan.config} says" if plan.config else "as the environment says"
    return f"{said}; for test keys the {simulated}" if family.simulator_url else said


def _output(plan: Plan) -> str:
    return "output passed through" if plan.verbose else f"logs in {plan.data}/logs"
