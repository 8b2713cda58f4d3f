"""The OpenAI Chat Completions dialect as a stream of server-sent events."""

import time
from typing import Any

import orjson

from app.loadtest.provider.dialect import Ask, Events, Reply
from app.loadtest.provider.usage import openai_usage, token_texts


def chat_events(ask: Ask, reply: Reply) -> Events:
    """The chunks of an answer: the role, a chunk for each token, the reason of the end, the usage where asked for."""
    frame = {
        "id": f"chatcmpl-{reply.id}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": ask.model,
        "system_fingerprint": "fp_simulated",
    }
    if ask.counted:
        frame["usage"] = None
    closing = _chunk(frame, {}, reply.finish)
    if reply.counted:
        closing += _data({**frame, "choices": [], "usage": openai_usage(reply)})
    return Events(
        opening=_chunk(frame, {"role": "assistant", "content": "", "refusal": None}, None),
        tokens=tuple(_chunk(frame, {"content": text}, None) for text in token_texts(reply.content)),
        closing=closing,
        mark=b"data: [DONE]\n\n",
    )


def error_event(error: dict[str, Any]) -> bytes:
    """An error in the middle of a stream."""
    return _data({"error": error})


def _chunk(frame: dict[str, Any], delta: dict[str, Any], finish: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _data({**frame, "choices": [choice]})


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"
