"""What all dialects read alike: the JSON body, the item that a question is about, and the digest of its content."""

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from app.loadtest.provider.dialect import Refusal, Refused

_ITEM = re.compile(r"<item>(.*?)</item>", re.DOTALL)


class Part(BaseModel):
    """One part of a message's content; only text counts."""

    type: str
    text: str | None = None


class Message(BaseModel):
    """One turn of the conversation."""

    role: str
    content: str | list[Part] | None = None

    def text(self) -> str:
        """The text of all parts."""
        return plain(self.content)


def plain(content: str | list[Part] | None) -> str:
    """The text of a content, which is a text, a list of parts, or nothing."""
    if isinstance(content, list):
        return "".join(part.text or "" for part in content)
    return content or ""


def read_body(body: bytes, form: TypeAdapter[Any]) -> tuple[Any, dict[str, Any]]:
    """The request in this form, and as it came. Raises Refused that names the bad part."""
    raw = _parsed(body)
    model = raw.get("model") if isinstance(raw, dict) else None
    try:
        return form.validate_python(raw), raw
    except ValidationError as error:
        raise Refused(_bad_request(error), model if isinstance(model, str) else None) from None


def item_of(messages: Iterable[Message]) -> str:
    """What the last user message is about: the text between `<item>` and `</item>`, or all of it."""
    text = next((message.text() for message in reversed(list(messages)) if message.role == "user"), "")
    match = _ITEM.search(text)
    return (text if match is None else match[1]).strip()


def digest_of(raw: dict[str, Any], *parts: str) -> str:
    """A name for the content of a request: the same for the same named parts."""
    content = [raw.get(part) for part in parts]
    return blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


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
