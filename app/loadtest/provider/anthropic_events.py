"""The answer of the Anthropic Messages dialect, whole and as a stream of server-sent events."""

from typing import Any

import orjson

from app.loadtest.provider.dialect import Ask, Events, Reply
from app.loadtest.provider.usage import anthropic_usage, token_texts

_STOP = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}


def message_of(ask: Ask, reply: Reply) -> dict[str, Any]:
    """The whole answer."""
    message = {
        **_head(ask, reply),
        "content": _content(ask, reply),
        "usage": anthropic_usage(reply),
        **_end(ask, reply),
    }
    return {name: value for name, value in message.items() if name != "usage" or value is not None}


def message_events(ask: Ask, reply: Reply) -> Events:
    """The same answer in events, from message_start to message_stop; message_delta holds the usage."""
    usage = anthropic_usage(reply)
    head = {**_head(ask, reply), "content": [], "stop_reason": None, "stop_sequence": None}
    counted: dict[str, Any] = {} if usage is None else {"usage": usage}
    first = {} if usage is None else {"usage": {**usage, "output_tokens": 1}}
    opening = event("message_start", {"type": "message_start", "message": {**head, **first}})
    closing = event("message_delta", {"type": "message_delta", "delta": _end(ask, reply), **counted})
    mark = event("message_stop", {"type": "message_stop"})
    if not reply.content:
        return Events(opening, (), closing, mark)
    opening += event(
        "content_block_start", {"type": "content_block_start", "index": 0, "content_block": _empty(ask, reply)}
    )
    opening += event("ping", {"type": "ping"})
    closing = event("content_block_stop", {"type": "content_block_stop", "index": 0}) + closing
    return Events(opening, tuple(_deltas(ask, reply)), closing, mark)


def event(name: str, data: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(data))


def _head(ask: Ask, reply: Reply) -> dict[str, Any]:
    return {"id": f"msg_{reply.id}", "type": "message", "role": "assistant", "model": ask.model}


def _end(ask: Ask, reply: Reply) -> dict[str, Any]:
    used = ask.tool is not None and reply.finish == "stop"
    return {"stop_reason": "tool_use" if used else _STOP[reply.finish], "stop_sequence": None}


def _empty(ask: Ask, reply: Reply) -> dict[str, Any]:
    """The block before its first delta."""
    if ask.tool is None:
        return {"type": "text", "text": ""}
    return {"type": "tool_use", "id": f"toolu_{reply.id}", "name": ask.tool, "input": {}}


def _content(ask: Ask, reply: Reply) -> list[dict[str, Any]]:
    if not reply.content:
        return []
    own = {"text": reply.content} if ask.tool is None else {"input": _input(reply)}
    return [{**_empty(ask, reply), **own}]


def _deltas(ask: Ask, reply: Reply) -> list[bytes]:
    kind, member, text = "text_delta", "text", reply.content
    if ask.tool is not None:
        kind, member = "input_json_delta", "partial_json"
        text = text if reply.finish == "length" else orjson.dumps(_input(reply)).decode()
    frame = {"type": "content_block_delta", "index": 0}
    return [
        event("content_block_delta", {**frame, "delta": {"type": kind, member: part}}) for part in token_texts(text)
    ]


def _input(reply: Reply) -> dict[str, Any]:
    """A tool's input is always an object: what is none becomes a member of one; what was cut off is lost."""
    try:
        found = orjson.loads(reply.content)
    except orjson.JSONDecodeError:
        return {} if reply.finish == "length" else {"value": reply.content}
    return found if isinstance(found, dict) else {"value": found}
