"""`laneway jobs test`: a failed job as a pytest file, and its record beside it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from app.cli.client import URL, Json, Key, Url, call
from app.domain import ids
from app.domain.errors import LanewayError
from app.engine.catalogue import REFERENCE, Catalogue, UnknownWorkflow
from app.engine.record import JobRecord
from app.engine.workflow import Workflow
from app.settings import ConfigurationError, load_settings

# Their cause is the hour, the client or the purse: no run of the code alone shows it.
_OUTSIDE = frozenset({"run_timeout", "start_timeout", "cost_cap_reached"})
_TEST = '''"""{job_id}: `{workflow}` {version} failed{where} with {code} ({kind}).

Written by `laneway jobs test`; red until the workflow is mended. The file {record} beside it holds what the job
recorded: its input, the results of its steps, its models' answers.
"""

from pathlib import Path

from {module} import {name}

from laneway.testing import rerun


def test_{test}() -> None:
    # A model step that the job had not reached needs a reply: rerun(..., replies={{"step": ...}}).
    rerun({name}, Path(__file__).with_suffix(".json"))
'''


def write_test(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="job_...")],
    key: Key,
    url: Url = URL,
    out: Annotated[Path | None, typer.Option(help="The test file. Default: tests/test_ID.py, or ./test_ID.py.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
) -> None:
    """Write a pytest that fails as the job did, over its recorded steps. Needs LANEWAY_WORKFLOWS."""
    job = call("GET", url, key, f"/v1/jobs/{job_id}")
    _refuse_unfit(job)
    workflow = _workflow(job)
    record = record_of(job, call("GET", url, key, f"/v1/jobs/{job_id}/trace"))
    path = out or (Path("tests") if Path("tests").is_dir() else Path()) / f"test_{job_id}.py"
    beside = path.with_suffix(".json")
    for file in (path, beside):
        if file.exists() and not force:
            _stop(f"{file} is there already: --force writes over it, --out names another.")
    beside.write_text(_json(record), encoding="utf-8")
    path.write_text(_source(job, workflow, beside.name), encoding="utf-8")
    typer.echo(f"Wrote {path} and {beside}. Run it: python -m pytest {path}")
    typer.echo(f"{beside} holds the job's input, results and model answers as they were: look for secrets and")
    typer.echo("personal data before you keep or share it.")


def record_of(job: Json, trace: Json) -> Json:
    """What the test runs over, from the API's job and timeline."""
    spans = {span["id"]: span for span in trace["spans"] if span["kind"] == "step"}
    calls = [span for span in trace["spans"] if span["kind"] == "call" and span["parent_id"] in spans]
    found = {
        "job_id": str(ids.read("job", job["id"])),
        "workflow": job["workflow"],
        "version": job["version"],
        "started_at": job["started_at"],
        "input": job["input"],
        "error": {"error_class": job["error"]["class"], **{k: job["error"][k] for k in ("code", "detail", "step")}},
        "steps": [_step(span) for span in spans.values() if span["status"] != "unrecorded"],
        "calls": [_call(span, spans[span["parent_id"]]) for span in calls],
    }
    JobRecord.model_validate(found)
    return found


def _step(span: Json) -> Json:
    more = span["attributes"]
    error = {"error_class": more.get("error_class"), "code": more.get("error"), "detail": more.get("error_detail", "")}
    return {
        "name": span["name"],
        "key": more.get("key", ""),
        "kind": more["step_kind"],
        "status": span["status"],
        "tries": span["try"],
        "args_digest": more["args_digest"],
        "output": more.get("output"),
        "error": {**error, "step": span["name"]} if error["code"] else None,
        "started_at": span["started_at"],
        "ended_at": span["ended_at"],
        "attempt": more["attempt"],
        "span_id": span["id"],
    }


def _call(span: Json, step: Json) -> Json:
    more = span["attributes"]
    answer = more.get("answer") or {}
    return {
        "step": step["name"],
        "key": step["attributes"].get("key", ""),
        "started_at": span["started_at"],
        "outcome": span["status"],
        "error_code": more.get("error"),
        "text": answer.get("text"),
        "finish_reason": answer.get("finish_reason"),
    }


def _refuse_unfit(job: Json) -> None:
    if job["status"] != "failed":
        _stop(f"The job is {job['status']}: only a failed one makes a failing test.")
    if job["error"]["code"] in _OUTSIDE:
        _stop(f"The job failed with {job['error']['code']}, which no run of its code in memory shows.")


def _workflow(job: Json) -> Workflow[Any, Any]:
    """The workflow in this environment's code."""
    try:
        catalogue = Catalogue.load((REFERENCE, *load_settings().workflows))
        return catalogue.get(job["workflow"], job["version"])
    except UnknownWorkflow as error:
        _stop(f"{error}. LANEWAY_WORKFLOWS names the modules with your workflows.")
    except (ConfigurationError, LanewayError) as error:
        _stop(str(error))


def _source(job: Json, workflow: Workflow[Any, Any], record: str) -> str:
    error = job["error"]
    return _TEST.format(
        job_id=job["id"], workflow=job["workflow"], version=job["version"], code=error["code"], kind=error["class"],
        where=f" in step `{error['step']}`" if error["step"] else "", record=record, module=workflow.fn.__module__,
        name=_name_in_module(workflow), test=job["id"],
    )  # fmt: skip


def _name_in_module(workflow: Workflow[Any, Any]) -> str:
    """How its module calls it."""
    names = [name for name, value in vars(sys.modules[workflow.fn.__module__]).items() if value is workflow]
    return names[0] if names else workflow.fn.__name__


def _json(record: Json) -> str:
    """For people to read through; what UTF-8 can't hold is escaped."""
    text = json.dumps(record, indent=1, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(record, indent=1)
    return text + "\n"


def _stop(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(1)
