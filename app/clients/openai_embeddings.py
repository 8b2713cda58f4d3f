"""Embeddings in the OpenAI protocol: a vector for each text, in the texts' order."""

from __future__ import annotations

from math import isfinite
from typing import Any

from app.clients.base import LimitHints, TokenUsage, Vector, WireAnswer, WireRequest
from app.clients.http import HttpAnswer, broken
from app.clients.wire_json import json_object, tokens


def embeddings_body(call: WireRequest) -> dict[str, Any]:
    """The request."""
    return {"model": call.model, "input": list(call.texts), "encoding_format": "float"}


def embeddings_answer(call: WireRequest, answer: HttpAnswer, hints: LimitHints) -> WireAnswer:
    """The vectors. Raises WireError unless there is one for each text, all of one length."""
    body = json_object(answer.body)
    listed, usage = body.get("data"), body.get("usage")
    data: list[Any] = listed if isinstance(listed, list) else []
    found = {one["index"]: _vector(one.get("embedding")) for one in data if _placed(one)}
    vectors = [found.get(place, ()) for place in range(len(call.texts))]
    if not all(vectors) or len({len(vector) for vector in vectors}) > 1:
        raise broken("it has no vector for each text", answer.status)
    sent = tokens(usage.get("prompt_tokens")) if isinstance(usage, dict) else None
    counted = None if sent is None else TokenUsage(sent, 0)
    return WireAnswer("", "stop", counted, answer.status, hints, tuple(vectors))


def _placed(one: Any) -> bool:
    return isinstance(one, dict) and type(one.get("index")) is int


def _vector(value: Any) -> Vector:
    """Numbers only, none of them infinite; nothing for anything else."""
    if not isinstance(value, list) or not all(type(x) in (int, float) and isfinite(x) for x in value):
        return ()
    return tuple(map(float, value))
