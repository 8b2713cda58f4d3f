"""The OpenAI Chat Completions dialect: its request, answer, error and limit-header shapes."""

import re
import time
from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from app.loadtest.provider.dialect import Ask, Headers, Refusal, Refused, Reply
from app.loadtest.provider.limit import Standing
from app.loadtest.provider.usage import count_tokens

_ITEM = re.compile(r"<item>(.*?)</item>", re.DOTALL)


class _Part(BaseModel):
    type: str
    text: str | None = None


class _Message(BaseModel):
    role: str
    content: str | list[_Part] | None = None

    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text or "" for part in self.content)
        return self.content or ""


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


class _Request(BaseModel):
    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[_Message], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    response_format: Annotated[_TextFormat | _ObjectFormat | _SchemaFormat, Field(discriminator="type")] | None = None
    n: Literal[1] | None = None
    stream: Literal[False] | None = None


_REQUEST = TypeAdapter(_Request)


class OpenAIChat:
    """Reads and writes Chat Completions, without streaming and with one choice."""

    def key(self, headers: Mapping[bytes, bytes]) -> str | None:
        scheme, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else None

    def read(self, body: bytes) -> Ask:
        raw = _parsed(body)
        model = raw.get("model") if isinstance(raw, dict) else None
        try:
            request = _REQUEST.validate_python(raw)
        except ValidationError as error:
            raise Refused(_bad_request(error), model if isinstance(model, str) else None) from None
        return _ask(request, raw)

    def reply(self, ask: Ask, reply: Reply) -> bytes:
        message: dict[str, Any] = {"role": "assistant", "content": reply.content, "refusal": None, "annotations": []}
        return orjson.dumps(
            {
                "id": f"chatcmpl-{reply.id}",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": ask.model,
                "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}],
                "usage": _usage(reply),
                "system_fingerprint": "fp_simulated",
            }
        )

    def error(self, refusal: Refusal) -> bytes:
        return orjson.dumps(
            {
                "error": {
                    "message": refusal.message,
                    "type": refusal.type,
                    "param": refusal.param,
                    "code": refusal.code,
                }
            }
        )

    def limit_headers(self, standings: list[Standing]) -> Headers:
        return tuple(header for standing in standings for header in _standing_headers(standing))


def models_body(names: list[str]) -> bytes:
    """The response body of `GET /v1/models`."""
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "simulated"} for name in names]
    return orjson.dumps({"object": "list", "data": models})


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        message = f"We could not parse the JSON body of your request: {error}"
        raise Refused(Refusal("bad_request", 400, message, "invalid_request_error")) from None


def _bad_request(error: ValidationError) -> Refusal:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    param = ".".join(str(step) for step in first["loc"]) or None
    message = f"Invalid value for {param or 'the body'}: {first['msg']}"
    return Refusal("bad_request", 400, message, "invalid_request_error", "invalid_value", param)


def _ask(request: _Request, raw: dict[str, Any]) -> Ask:
    form = request.response_format
    texts = [message.text() for message in request.messages]
    return Ask(
        model=request.model,
        item=_item(request.messages),
        digest=_digest(raw),
        prompt_tokens=max(1, count_tokens(sum(map(len, texts)))),
        max_tokens=request.max_completion_tokens or request.max_tokens,
        shape="text" if form is None else form.type,
        schema=form.json_schema.schema_ if isinstance(form, _SchemaFormat) else None,
    )


def _item(messages: list[_Message]) -> str:
    text = next((message.text() for message in reversed(messages) if message.role == "user"), "")
    match = _ITEM.search(text)
    return (text if match is None else match[1]).strip()


def _digest(raw: dict[str, Any]) -> str:
    content = [raw["messages"], raw.get("response_format"), raw.get("tools"), raw.get("temperature")]
    return blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def _usage(reply: Reply) -> dict[str, Any]:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": reply.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


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
