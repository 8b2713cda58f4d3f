"""The OpenAPI document: whole, valid, and true to the answers."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from app.domain.errors import CATALOGUE
from app.domain.event import WEBHOOK_EVENTS
from app.engine.catalogue import Catalogue
from app.main import create_app
from app.routers import (
    event_shapes,
    job_shapes,
    limit_shapes,
    many_samples,
    many_shapes,
    money_shapes,
    samples,
    service_shapes,
    shapes,
    workflow_shapes,
)
from app.routers.schemas import ReplayBody, RetryBody, SubmitBody
from app.settings import Settings
from tests.routers.support import fresh
from tests.stack import Stack, until

MODULES = ("app.workflows", "tests.flows.catalogue", "tests.routers.catalogue")
POSTS_WITH_LINKS = {"jobs.submit", "jobs.cancel", "jobs.retry"}
OPEN = {"health.live", "health.ready"}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.load(MODULES)


@pytest.fixture(scope="module")
def document(catalogue: Catalogue) -> dict[str, Any]:
    return create_app(Settings(), catalogue).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        yield from (found for value in node.values() for found in references(value))
    elif isinstance(node, list):
        yield from (found for value in node for found in references(value))


def test_every_operation_is_told_whole(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        for name in ("operationId", "summary", "description", "responses"):
            assert operation.get(name), (where, name)
        assert set(operation["tags"]) <= tags, where
        statuses = set(operation["responses"])
        assert statuses & {"200", "201", "202"}, where
        assert "500" in statuses, where
        if operation["operationId"] in OPEN:
            assert operation["security"] == [], where
        else:
            assert {"401", "403", "503"} <= statuses, where
            assert operation["security"], where
        for status, response in operation["responses"].items():
            assert response["description"], (where, status)
            for kind, content in response.get("content", {}).items():
                assert "schema" in content, (where, status)
                assert "example" in content or content["examples"], (where, status)
                problems = status >= "400" and not path.endswith("/readyz")
                assert (kind == "application/problem+json") == problems or status in ("500",), (where, status)
        if method == "post":
            (content,) = operation["requestBody"]["content"].values()
            assert {"schema", "example"} <= set(content), where
        for parameter in operation.get("parameters", []):
            assert parameter["schema"], (where, parameter["name"])
            assert ("{" + parameter["name"] + "}" in path) == (parameter["in"] == "path"), (where, parameter["name"])


def test_operation_ids_are_unique_and_references_lead_somewhere(document: dict[str, Any]) -> None:
    found = [operation["operationId"] for _, _, operation in operations(document)]
    found += [item["post"]["operationId"] for item in document["webhooks"].values()]
    assert len(found) == len(set(found))
    assert {"jobs.submit", "jobs.get", "jobs.list", "jobs.cancel", "jobs.retry", "jobs.output", "jobs.trace"} <= set(
        found
    )
    for reference in references(document):
        assert reference.startswith("#/components/schemas/")
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"], reference


def test_posts_lead_on(document: dict[str, Any]) -> None:
    ids = {operation["operationId"] for _, _, operation in operations(document)}
    linked = set()
    for _, _, operation in operations(document):
        for response in operation["responses"].values():
            for name, link in response.get("links", {}).items():
                assert link["operationId"] in ids, name
                assert link["parameters"] == {"job_id": "$response.body#/id"}
                linked.add(operation["operationId"])
            assert not response.get("links") or {"read", "cancel", "retry"} <= set(response["links"])
    assert linked >= POSTS_WITH_LINKS


def test_every_event_stands_under_webhooks(document: dict[str, Any]) -> None:
    assert set(document["webhooks"]) == {str(event) for event in WEBHOOK_EVENTS}
    for name, item in document["webhooks"].items():
        assert item["post"]["requestBody"]["content"]["application/json"]["example"]["type"] == name
        assert {one["name"] for one in item["post"]["parameters"]} == {
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
        }


def test_each_workflow_has_a_path_of_its_own(document: dict[str, Any], catalogue: Catalogue) -> None:
    schemas = document["components"]["schemas"]
    for name in catalogue.names():
        workflow = catalogue.default(name)
        operation = document["paths"][f"/v1/workflows/{name}/jobs"]["post"]
        assert operation["operationId"] == f"jobs.submit.{name}"
        body = operation["requestBody"]["content"]["application/json"]
        workflow.validate_input(SubmitBody.model_validate(body["example"]).input)
        submit = schemas[body["schema"]["$ref"].rsplit("/", 1)[-1]]
        assert submit["additionalProperties"] is False
        given = schemas[submit["properties"]["input"]["$ref"].rsplit("/", 1)[-1]]
        assert given.get("properties", {}).keys() == workflow.input_schema.get("properties", {}).keys()
        for status in ("201", "202"):
            answer = operation["responses"][status]["content"]["application/json"]
            job = schemas[answer["schema"]["$ref"].rsplit("/", 1)[-1]]
            assert job["allOf"][0] == {"$ref": "#/components/schemas/Job"}
            assert job_shapes.Job.model_validate(answer["example"]).workflow == name
        workflow.output_adapter.validate_python(
            operation["responses"]["201"]["content"]["application/json"]["example"]["output"]
        )


EXAMPLES: list[tuple[type[BaseModel], Any]] = [
    (money_shapes.UsageReport, money_shapes.USAGE), (money_shapes.ApiKeyState, money_shapes.MINTED),
    (money_shapes.NewKeyBody, money_shapes.NEW_KEY), (money_shapes.ProjectState, money_shapes.PROJECT),
    (limit_shapes.ClientLimits, limit_shapes.LIMITS), (limit_shapes.ErrorList, limit_shapes.ERRORS),
    (job_shapes.Job, samples.JOB), (job_shapes.Job, samples.QUEUED), (job_shapes.Job, samples.CANCELED),
    (job_shapes.JobPage, samples.PAGE), (workflow_shapes.DryRun, samples.DRY_RUN),
    (job_shapes.Timeline, samples.TIMELINE), (workflow_shapes.Workflow, samples.WORKFLOW),
    (service_shapes.ServiceState, samples.STATUS),
    (service_shapes.Ready, samples.READY),
    (event_shapes.Event, samples.EVENT), (SubmitBody, samples.SUBMIT), (RetryBody, {"from": "start"}),
    (event_shapes.EventPage, samples.EVENT_PAGE), (many_shapes.CausePage, many_samples.CAUSE_PAGE),
    (many_shapes.Operation, many_samples.OPERATION), (many_shapes.Operation, many_samples.COMPLETED),
    (many_shapes.AuditPage, many_samples.AUDIT_PAGE), (ReplayBody, many_samples.REPLAY),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "example"), EXAMPLES)
def test_an_example_has_its_shape(shape: type[BaseModel], example: Any) -> None:
    shape.model_validate(example)


def test_problem_examples_have_their_shape(document: dict[str, Any]) -> None:
    seen = set()
    for _, _, operation in operations(document):
        for status, response in operation["responses"].items():
            for code, example in (
                response.get("content", {}).get("application/problem+json", {}).get("examples", {}).items()
            ):
                assert str(shapes.Problem.model_validate(example["value"]).status) == status
                assert CATALOGUE[code].status == int(status)
                seen.add(code)
    assert len(seen) >= 20


def test_real_answers_have_the_shapes_that_are_told(stack: Stack) -> None:
    url = stack.hooks.answer(f"/{fresh()}")
    for workflow, given in (("asks", {"text": fresh()}), ("wrong", {"kind": "transient"}), ("noop-fast", {"n": 1})):
        job = stack.submit(workflow, given, wait=5 if workflow != "noop-fast" else 0, webhook={"url": url})
        job_shapes.Job.model_validate(job)
        job_shapes.Timeline.model_validate(stack.client.get(f"/v1/jobs/{job['id']}/trace").json())
    job_shapes.JobPage.model_validate(stack.client.get("/v1/jobs", params={"limit": 200}).json())
    workflow_shapes.WorkflowList.model_validate(stack.client.get("/v1/workflows").json())
    service_shapes.ServiceState.model_validate(stack.client.get("/v1/status").json())
    service_shapes.Ready.model_validate(stack.client.get("/readyz").json())
    service_shapes.Live.model_validate(stack.client.get("/livez").json())
    dry = stack.client.post("/v1/workflows/noop/jobs?validate_only=true", json={"input": {"m": 1}})
    assert workflow_shapes.DryRun.model_validate(dry.json()).errors
    shapes.Problem.model_validate(stack.client.post("/v1/workflows/noop/jobs", json={}).json())
    path = url.removeprefix(stack.hooks.url)
    until(lambda: len(stack.hooks.received(path)) >= 2)
    for arrival in stack.hooks.received(path):
        event_shapes.Event.model_validate_json(arrival["body"])


def test_the_document_is_served_to_anyone(stack: Stack, document: dict[str, Any]) -> None:
    served = stack.client.get("/openapi.json", headers={"Authorization": ""})
    assert served.status_code == 200
    assert served.json() == document
    assert served.json()["openapi"].startswith("3.1")


def test_the_specification_agrees(document: dict[str, Any]) -> None:
    if importlib.util.find_spec("openapi_spec_validator") is None:
        pytest.skip("openapi-spec-validator is not installed")
    importlib.import_module("openapi_spec_validator").validate(document)
