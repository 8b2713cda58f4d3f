"""The OpenAI Embeddings dialect: a unit vector for each text, made of its words; equal texts have equal ones."""

import math
import re
from hashlib import blake2b
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, Field, TypeAdapter

from app.loadtest.provider.dialect import Ask, Reply
from app.loadtest.provider.openai_chat import OpenAIChat
from app.loadtest.provider.reading import digest_of, read_body
from app.loadtest.provider.usage import count_tokens

DIMENSIONS = 64
_WORD = re.compile(r"\w+")


class _Request(BaseModel):
    model: Annotated[str, Field(min_length=1)]
    input: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=2048)]
    )
    encoding_format: Literal["float"] = "float"


_REQUEST = TypeAdapter(_Request)


class OpenAIEmbeddings(OpenAIChat):
    """Its key, errors and headers are those of chat."""

    def read(self, headers: Any, body: bytes) -> Ask:
        request, raw = read_body(body, _REQUEST)
        texts = (request.input,) if isinstance(request.input, str) else tuple(request.input)
        return Ask(
            model=request.model,
            item="\n".join(texts)[:1000],
            digest=digest_of(raw, "input"),
            prompt_tokens=sum(max(1, count_tokens(len(text))) for text in texts),
            max_tokens=1,
            shape="text",
            texts=texts,
        )

    def reply(self, ask: Ask, reply: Reply) -> bytes:
        data = [
            {"object": "embedding", "index": place, "embedding": vector_of(text)}
            for place, text in enumerate(ask.texts)
        ]
        usage = {"prompt_tokens": reply.prompt_tokens, "total_tokens": reply.prompt_tokens}
        body = {"object": "list", "data": data, "model": ask.model, **({"usage": usage} if reply.counted else {})}
        return orjson.dumps(body)


def vector_of(text: str) -> list[float]:
    """The sum of its words' directions, of length 1: texts that share words point the same way."""
    sums = [0.0] * DIMENSIONS
    for word in _WORD.findall(text.lower()) or [text]:
        drawn = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=DIMENSIONS).digest()
        sums = [one + byte - 127.5 for one, byte in zip(sums, drawn, strict=True)]
    length = math.sqrt(sum(one * one for one in sums))
    return [one / length for one in sums]
