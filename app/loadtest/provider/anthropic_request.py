"""Reads a request to the Anthropic Messages API."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, field_validator

from app.loadtest.provider.anthropic_schema import as_read, check
from app.loadtest.provider.dialect import Ask, Refusal, Refused
from app.loadtest.provider.reading import Message, Part, digest_of, item_of, plain, read_body
from app.loadtest.provider.usage import count_tokens


class _Turn(Message):
    role: Literal["user", "assistant"]
    content: Annotated[str | list[Part], Field(min_length=1)]


class _JsonFormat(BaseModel):
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")

    @field_validator("schema_")
    @classmethod
    def _is_taken(cls, schema: dict[str, Any]) -> dict[str, Any]:
        check(schema)
        return schema


class _OutputConfig(BaseModel):
    format: _JsonFormat | None = None


class _InputSchema(BaseModel, extra="allow"):
    type: Literal["object"]


class _Tool(BaseModel):
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    input_schema: _InputSchema


class _ToolChoice(BaseModel):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None


class _Request(BaseModel):
    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[_Turn], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)]
    system: str | list[Part] | None = None
    output_config: _OutputConfig | None = None
    tools: list[_Tool] = []
    tool_choice: _ToolChoice | None = None
    stream: bool | None = None


_REQUEST = TypeAdapter(_Request)


def read_request(headers: Mapping[bytes, bytes], body: bytes) -> Ask:
    """The ask of a request. Raises Refused."""
    if b"anthropic-version" not in headers:
        raise Refused(_bad("anthropic-version: header is required"))
    request, raw = read_body(body, _REQUEST)
    tool = _forced(request)
    form = request.output_config.format if request.output_config else None
    texts = [plain(request.system), *(message.text() for message in request.messages)]
    return Ask(
        model=request.model,
        item=item_of(request.messages),
        digest=digest_of(raw, "messages", "system", "output_config", "tools", "tool_choice", "temperature"),
        prompt_tokens=max(1, count_tokens(sum(map(len, texts)))),
        max_tokens=request.max_tokens,
        shape="text" if tool is None and form is None else "json_schema",
        schema=tool.input_schema.model_dump() if tool else as_read(form.schema_) if form else None,
        stream=bool(request.stream),
        cacheable=b'"cache_control"' in body,
        tool=tool.name if tool else None,
    )


def _forced(request: _Request) -> _Tool | None:
    """The tool that must be used; a choice left to the model is answered with text."""
    choice = request.tool_choice
    if choice is None or choice.type not in ("any", "tool"):
        return None
    for tool in request.tools:
        if choice.type == "any" or tool.name == choice.name:
            return tool
    raise Refused(_bad(f"tool_choice.name: tool {choice.name!r} not found in provided tools"), request.model)


def _bad(message: str) -> Refusal:
    return Refusal("bad_request", 400, message, "invalid_request_error")
