"""What the shapes of all HTTP answers share: base, words, problems; tests hold real answers against the shapes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Dollars = Annotated[str, Field(pattern=r"^-?[0-9]+\.[0-9]{9}$", examples=["0.001100000"])]
Lane = Literal["interactive", "standard", "bulk"]


class Answer(BaseModel):
    """Clients must expect new fields and new members of enums."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"additionalProperties": True})


class FieldProblem(Answer):
    """One broken rule: where in the body, and what is wrong."""

    pointer: str
    code: str
    detail: str


class Problem(Answer):
    """RFC 9457; `code` is stable, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str | None
    retryable: bool
    retry_after_s: int | None = None
    errors: list[FieldProblem] | None = None


ANSWERS: tuple[type[Answer], ...] = (Problem,)
