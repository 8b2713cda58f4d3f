"""Query parameters of the routes that are called most: read by their model at once, told to the OpenAPI document.

The framework's own way through a model of parameters and several dependencies takes longer than all the rest of such a
call (`python -m bench submits`).
"""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Query = TypeVar("Query", bound=BaseModel)


def query_of(request: Request, model: type[Query]) -> Query:
    """The request's parameters. Raises RequestValidationError, as the framework does."""
    if not request.scope["query_string"]:
        return model()
    try:
        return model.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("query", *one["loc"])} for one in error.errors()]) from None


def documented(model: type[BaseModel]) -> dict[str, Any]:
    """The parameters of the model, for `openapi_extra`."""
    fields = model.model_json_schema()["properties"]
    told = [_parameter(name, schema) for name, schema in fields.items()]
    return {"parameters": told}


def _parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    told = {"name": name, "in": "query", "required": False, "schema": schema}
    return {**told, "description": schema["description"]} if "description" in schema else told
