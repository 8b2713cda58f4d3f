"""The OpenAI Chat Completions dialect: its request, answer, error and limit-header shapes."""

import math
import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, Field, TypeAdapter

from app.loadtest.provider.dialect import Ask, Events, Headers, Refusal, Reply, retry_after
from app.loadtest.provider.limit import Standing
from app.loadtest.provider.openai_events import chat_events, error_event
from app.loadtest.provider.reading import Message, digest_of, item_of, read_body
from app.loadtest.provider.usage import count_tokens, openai_usage


class _NamedSchema(BaseModel):
    name: str
    schema_: Any = Field(alias="schema")


class _TextFormat(BaseModel):
    type: Literal["text"]


class _ObjectFormat(BaseModel):
    type: Literal["json_object"]


class _SchemaFormat(BaseModel):
    type: Literal["json_schema"]
    json_schema: _NamedSchema


class _StreamOptions(BaseModel):
    include_usage: bool = False


class _Request(BaseModel):
    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[Message], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    response_format: Annotated[_TextFormat | _ObjectFormat | _SchemaFormat, Field(discriminator="type")] | None = None
    n: Literal[1] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None


_REQUEST = TypeAdapter(_Request)


class OpenAIChat:
    """Reads and writes Chat Completions, with one choice."""

    name = "openai"

    def key(self, headers: Mapping[bytes, bytes]) -> str | None:
        scheme, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else None

    def read(self, headers: Mapping[bytes, bytes], body: bytes) -> Ask:
        return _ask(*read_body(body, _REQUEST))

    def reply(self, ask: Ask, reply: Reply) -> bytes:
        message: dict[str, Any] = {"role": "assistant", "content": reply.content, "refusal": None, "annotations": []}
        body = {
            "id": f"chatcmpl-{reply.id}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": ask.model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}],
            "usage": openai_usage(reply),
            "system_fingerprint": "fp_simulated",
        }
        return orjson.dumps({name: value for name, value in body.items() if value is not None})

    def events(self, ask: Ask, reply: Reply) -> Events:
        return chat_events(ask, reply)

    def own(self, refusal: Refusal) -> Refusal:
        return refusal

    def error(self, refusal: Refusal) -> bytes:
        return orjson.dumps({"error": _error(refusal)})

    def error_event(self, refusal: Refusal) -> bytes:
        return error_event(_error(refusal))

    def limit_headers(self, standings: list[Standing], wait_s: float | None) -> Headers:
        announced = tuple(header for standing in standings for header in _standing_headers(standing))
        in_ms = () if wait_s is None else ((b"retry-after-ms", b"%d" % math.ceil(wait_s * 1000)),)
        return announced + retry_after(wait_s) + in_ms


def models_body(names: list[str]) -> bytes:
    """The response body of `GET /v1/models`."""
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "simulated"} for name in names]
    return orjson.dumps({"object": "list", "data": models})


def _ask(request: _Request, raw: dict[str, Any]) -> Ask:
    form = request.response_format
    texts = [message.text() for message in request.messages]
    return Ask(
        model=request.model,
        item=item_of(request.messages),
        digest=digest_of(raw, "messages", "response_format", "tools", "temperature"),
        prompt_tokens=max(1, count_tokens(sum(map(len, texts)))),
        max_tokens=request.max_completion_tokens or request.max_tokens,
        shape="text" if form is None else form.type,
        schema=form.json_schema.schema_ if isinstance(form, _SchemaFormat) else None,
        stream=bool(request.stream),
        counted=not request.stream or bool(request.stream_options and request.stream_options.include_usage),
    )


def _error(refusal: Refusal) -> dict[str, Any]:
    return {"message": refusal.message, "type": refusal.type, "param": refusal.param, "code": refusal.code}


def _standing_headers(standing: Standing) -> Headers:
    name = standing.dimension.encode()
    return (
        (b"x-ratelimit-limit-" + name, b"%d" % standing.limit),
        (b"x-ratelimit-remaining-" + name, b"%d" % standing.remaining),
        (b"x-ratelimit-reset-" + name, _duration(standing.reset_s).encode()),
    )


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f}m{rest:.3g}s" if minutes else f"{rest:.3g}s"
