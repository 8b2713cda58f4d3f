"""What the simulated model says: the true answer or a wrong one where truth is known, else a value made by hash."""

from typing import Any

import orjson

from app.loadtest.provider.dialect import Ask, Finish, Reply
from app.loadtest.provider.draw import Draw
from app.loadtest.provider.fault import ErrorKind
from app.loadtest.provider.schema import resolve
from app.loadtest.provider.truth import Accuracy, Truth
from app.loadtest.provider.usage import cacheable_tokens, count_tokens, cut_to_tokens
from app.loadtest.provider.value import make_value
from app.loadtest.provider.words import sentence


class Model:
    """Answers by seed, model and item only, so a repeated question gets the same answer."""

    def __init__(self, seed: int, truth: Truth, accuracy: Accuracy) -> None:
        self._seed = seed
        self._truth = truth
        self._accuracy = accuracy

    def content(self, ask: Ask) -> str:
        """The text of the answer. Raises UnsupportedSchema where no value fits the schema that was asked for."""
        draw = Draw(self._seed, "answer", ask.model, ask.item)
        known = self._known(ask, draw)
        if ask.shape == "json_schema":
            return _json(_overlaid(make_value(ask.schema, draw.sub("value")), known, ask.schema))
        if known is not None:
            return known if isinstance(known, str) and ask.shape == "text" else _json(known)
        text = sentence(draw.sub("text"), 12, 40)
        return text if ask.shape == "text" else _json({"answer": text})

    def _known(self, ask: Ask, draw: Draw) -> Any:
        answer = self._truth.get(ask.item)
        if answer is None or self._accuracy.is_true(draw, ask.model):
            return answer
        return self._truth.wrong(answer, ask.schema, draw.sub("wrong"))


def make_reply(ask: Ask, content: str, kind: ErrorKind | None, draw: Draw, ordinal: int) -> Reply:
    """The answer as it is sent: spoiled by an error kind that changes its text, cut at the ask's `max_tokens`."""
    content, finish = _spoiled(content, kind, draw.sub("spoil"))
    if ask.max_tokens is not None and count_tokens(len(content)) > ask.max_tokens:
        content, finish = cut_to_tokens(content, ask.max_tokens), "length"
    in_cache = cacheable_tokens(ask.prompt_tokens) if ask.cacheable else 0
    return Reply(
        id=draw.sub("id").hex(24),
        content=content,
        finish=finish,
        prompt_tokens=ask.prompt_tokens,
        completion_tokens=count_tokens(len(content)),
        cached_tokens=in_cache if ordinal else 0,
        written_tokens=0 if ordinal else in_cache,
        counted=ask.counted and kind != "no_usage",
    )


def _spoiled(content: str, kind: ErrorKind | None, draw: Draw) -> tuple[str, Finish]:
    if kind == "truncated":
        return content[: len(content) // 2], "length"
    if kind == "content_filter":
        return "", "content_filter"
    if kind == "bad_json":
        return draw.pick((f"Sure, here it is: {content}", content[: len(content) // 2], _misfit(content))), "stop"
    return content, "stop"


def _misfit(content: str) -> str:
    return '{"unexpected": ' if content.startswith("[") else '["unexpected"]'


def _overlaid(made: Any, known: Any, schema: Any) -> Any:
    """The made value with what is known put in its place; known fields that the schema forbids are left out."""
    if known is None:
        return made
    if not isinstance(made, dict) or not isinstance(known, dict):
        return known
    node = resolve(schema, schema)
    named = node.get("properties", {})
    open_ = node.get("additionalProperties", True) is not False
    return {**made, **{name: value for name, value in known.items() if open_ or name in named}}


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
