"""One concrete path for each workflow: the submit operation with the workflow's own input and output."""

from __future__ import annotations

import copy
from typing import Any

from app.engine.workflow import Workflow
from app.routers import samples

_SCHEMAS = "#/components/schemas/"
_LOCAL = "#/$defs/"


def add_workflow(
    generic: dict[str, Any], workflow: Workflow[Any, Any], schemas: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The path and its item; the schemas of input and output are put among `schemas`."""
    name = f"{workflow.name}.{workflow.version}"
    _adopt(schemas, f"{name}.input", workflow.input_schema)
    _adopt(schemas, f"{name}.output", workflow.output_schema)
    schemas[f"{name}.submit"] = _submit(schemas["Submit"], workflow)
    schemas[f"{name}.job"] = _job(workflow)
    operation = copy.deepcopy(generic)
    operation["operationId"] = f"jobs.submit.{workflow.name}"
    operation["summary"] = f"Submit {workflow.name}"
    operation["description"] = workflow.description or f"Runs {workflow.name}."
    operation["parameters"] = [one for one in operation["parameters"] if one["name"] != "workflow"]
    _specialise(operation, workflow, name)
    return f"/v1/workflows/{workflow.name}/jobs", {"post": operation}


def _specialise(operation: dict[str, Any], workflow: Workflow[Any, Any], name: str) -> None:
    given = _example(workflow)
    returned = samples.sample(workflow.output_schema, workflow.output_schema)
    body = operation["requestBody"]["content"]["application/json"]
    body["schema"], body["example"] = {"$ref": f"{_SCHEMAS}{name}.submit"}, {"input": given}
    own = {"workflow": workflow.name, "version": workflow.version, "lane": workflow.lane, "input": given}
    for status, output in (("201", returned), ("202", None)):
        answer = operation["responses"][status]["content"]["application/json"]
        answer["schema"] = {"$ref": f"{_SCHEMAS}{name}.job"}
        answer["example"] = {**answer["example"], **own, "output": output}


def _example(workflow: Workflow[Any, Any]) -> Any:
    """An input that the workflow takes: what is required, else all there is, else one optional field at a time."""
    schema = workflow.input_schema
    names = list(schema.get("properties", {}))
    for more in ([], names, *([name] for name in names)):
        found = samples.sample({**schema, "required": [*schema.get("required", []), *more]}, schema)
        if _accepts(workflow, found):
            return found
    return samples.sample(schema, schema)


def _accepts(workflow: Workflow[Any, Any], value: Any) -> bool:
    try:
        workflow.validate_input(value)
    except ValueError:
        return False
    return True


def _submit(plain: dict[str, Any], workflow: Workflow[Any, Any]) -> dict[str, Any]:
    name = f"{workflow.name}.{workflow.version}"
    properties = {**plain["properties"], "input": {"$ref": f"{_SCHEMAS}{name}.input"}}
    return {**plain, "title": f"Submit {workflow.name}", "properties": properties}


def _job(workflow: Workflow[Any, Any]) -> dict[str, Any]:
    name = f"{workflow.name}.{workflow.version}"
    output = {"anyOf": [{"$ref": f"{_SCHEMAS}{name}.output"}, {"type": "null"}]}
    own = {"properties": {"input": {"$ref": f"{_SCHEMAS}{name}.input"}, "output": output}}
    return {"title": f"Job of {workflow.name}", "allOf": [{"$ref": f"{_SCHEMAS}Job"}, own]}


def _adopt(schemas: dict[str, Any], name: str, schema: dict[str, Any]) -> None:
    """Put a schema that stands alone among the document's, its definitions beside it."""
    own = {key: value for key, value in schema.items() if key != "$defs"}
    schemas[name] = _pointing(own, name)
    for inner, definition in schema.get("$defs", {}).items():
        schemas[f"{name}.{inner}"] = _pointing(definition, name)


def _pointing(node: Any, name: str) -> Any:
    """The same with its references (also those of discriminators) into the document."""
    if isinstance(node, dict):
        return {key: _pointing(value, name) for key, value in node.items()}
    if isinstance(node, list):
        return [_pointing(item, name) for item in node]
    return (
        f"{_SCHEMAS}{name}.{node.removeprefix(_LOCAL)}" if isinstance(node, str) and node.startswith(_LOCAL) else node
    )
