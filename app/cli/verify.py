"""`laneway verify`: looks through the database for anything that breaks a promise; changes nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from app.cli.start import refuse, settings_or_exit
from app.domain.duration import seconds, shown
from app.ops.verify import CHECKS, scope_of, verified
from app.store.database import StoreAway
from app.store.invariants.inspection import Finding, Scope

_WIDTH = 18
HEAD = f"{'check':{_WIDTH}} {'broken':>7}  what must hold"


def verify(
    since: Annotated[str | None, typer.Option(help="Only jobs submitted since then, as 1d or 2h ago.")] = None,
    timeout: Annotated[str, typer.Option(help="The most that each check may take.")] = "10s",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check every invariant of the stored work, in one snapshot; exit code 0 when all hold, else 1.

    Needs LANEWAY_DATABASE_URL. Nothing is changed; it may run at any time.
    """
    settings = settings_or_exit(needs_servers=False)
    if not settings.database_url:
        refuse("database_url: LANEWAY_DATABASE_URL is not set.")
    scope = scope_of(_duration(since, "--since") if since else None, _duration(timeout, "--timeout") or 0.0)
    try:
        findings = asyncio.run(_look(settings.database_url, scope, quiet=as_json))
    except StoreAway as error:
        typer.echo(f"The database is away: {error}", err=True)
        raise typer.Exit(1) from None
    holds = all(finding.holds for finding in findings)
    typer.echo(_json(findings, holds) if as_json else f"\n{summary(findings, since, timeout)}")
    raise typer.Exit(0 if holds else 1)


async def _look(url: str, scope: Scope, *, quiet: bool) -> list[Finding]:
    """All findings, each shown as it comes; on a terminal the next one's name stands below."""
    findings: list[Finding] = []
    if quiet:
        return [finding async for finding in verified(url, scope)]
    typer.echo(HEAD)
    _announce(0)
    async for finding in verified(url, scope):
        findings.append(finding)
        typer.echo(row(finding))
        _announce(len(findings))
    return findings


def _announce(done: int) -> None:
    if done < len(CHECKS) and sys.stdout.isatty():
        typer.echo(f"{CHECKS[done].name} ... ({done + 1} of {len(CHECKS)})\r", nl=False)


def row(finding: Finding) -> str:
    """What a person is told of one check."""
    found = "cut off" if finding.cut_off else str(finding.count)
    told = f"{finding.check.name:{_WIDTH}} {found:>7}  {finding.check.means}"
    return told + "".join(f"\n{'':{_WIDTH}} {'':>7}  - {one}" for one in finding.first)


def summary(findings: Sequence[Finding], since: str | None, timeout: str) -> str:
    """The last line: all of them in one sentence."""
    broken = sum(finding.count > 0 for finding in findings)
    cut = sum(finding.cut_off for finding in findings)
    took = shown(sum(finding.took_s for finding in findings))
    what = f"the jobs of the last {since}" if since else "all jobs"
    words = [f"{len(findings) - broken - cut} hold", f"{broken} broken"]
    if cut:
        words.append(f"{cut} cut off after {timeout} (ask for less with --since, or give them more with --timeout)")
    return f"{len(findings)} checks of {what} in {took}: {', '.join(words)}."


def _json(findings: list[Finding], holds: bool) -> str:
    return json.dumps({"holds": holds, "checks": [_entry(finding) for finding in findings]}, indent=2)


def _entry(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.check.name,
        "means": finding.check.means,
        "count": finding.count,
        "first": list(finding.first),
        "cut_off": finding.cut_off,
        "took_s": round(finding.took_s, 4),
    }


def _duration(text: str, option: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
