"""The official OpenAI SDK judges the simulated provider: what it reads, streams, parses and raises is the protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator

import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from tests.loadtest.provider_process import ProviderProcess, running_provider

ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Rate <item>nice</item>"}]


class Rating(BaseModel):
    label: str
    stars: int


def connect(provider: ProviderProcess, key: str = "any", timeout_s: float = 10.0) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=provider.base_url, api_key=key, max_retries=0, timeout=timeout_s)


@pytest_asyncio.fixture
async def sdk(provider: ProviderProcess) -> AsyncIterator[AsyncOpenAI]:
    async with connect(provider) as client:
        yield client


async def test_chat(sdk: AsyncOpenAI, provider: ProviderProcess) -> None:
    provider.set_answers({"nice": "very nice"})
    answer = await sdk.chat.completions.create(model="mini-1", messages=ASKED)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("very nice", "stop")
    (call,) = provider.calls()
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == call["prompt_tokens"]
    assert answer.usage.completion_tokens == call["completion_tokens"] == 3
    assert answer.usage.prompt_tokens_details is not None
    cut = await sdk.chat.completions.create(model="mini-1", messages=ASKED, max_completion_tokens=1)
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == ("very", "length")


async def test_json_schema(sdk: AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.parse(model="mini-1", messages=ASKED, response_format=Rating)
    assert isinstance(answer.choices[0].message.parsed, Rating)


async def test_models(sdk: AsyncOpenAI) -> None:
    assert [model.id async for model in sdk.models.list()] == ["mini-1", "big-1"]


async def test_a_stream(sdk: AsyncOpenAI, provider: ProviderProcess) -> None:
    provider.set_answers({"nice": "very \U0001f600 nice"})
    texts, usage, reasons = list[str](), None, list[str | None]()
    stream = await sdk.chat.completions.create(
        model="mini-1", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    async for chunk in stream:
        usage = chunk.usage or usage
        texts += [choice.delta.content or "" for choice in chunk.choices]
        reasons += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
    assert "".join(texts) == "very \U0001f600 nice"
    assert reasons == ["stop"]
    assert usage is not None
    assert usage.completion_tokens == provider.calls()[0]["completion_tokens"] == 3


async def test_its_stream_helper_puts_the_same_answer_together(sdk: AsyncOpenAI) -> None:
    whole = await sdk.chat.completions.create(model="mini-1", messages=ASKED)
    async with sdk.chat.completions.stream(
        model="mini-1", messages=ASKED, stream_options={"include_usage": True}
    ) as stream:
        async for event in stream:
            if event.type == "content.done":
                assert event.content == whole.choices[0].message.content
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == whole.choices[0].message.content
    assert final.choices[0].finish_reason == "stop"
    assert final.usage == whole.usage


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        ("http_500", openai.InternalServerError, None),
        ("http_503", openai.InternalServerError, None),
        ("http_529", openai.InternalServerError, None),
        ("rate_limited", openai.RateLimitError, "rate_limit_exceeded"),
        ("insufficient_quota", openai.RateLimitError, "insufficient_quota"),
        ("invalid_request", openai.BadRequestError, "invalid_value"),
        ("context_length_exceeded", openai.BadRequestError, "context_length_exceeded"),
        ("reset", openai.APIConnectionError, None),
        ("truncated_body", openai.APIConnectionError, None),
    ],
)
async def test_errors(
    sdk: AsyncOpenAI, provider: ProviderProcess, kind: str, error: type[openai.APIError], code: str | None
) -> None:
    provider.set_faults(error_rates={kind: 1})
    with pytest.raises(error) as caught:
        await sdk.chat.completions.create(model="mini-1", messages=ASKED)
    assert caught.value.code == code
    assert len(provider.calls()) == 1


async def test_a_limit_with_its_headers(sdk: AsyncOpenAI, provider: ProviderProcess) -> None:
    provider.set_faults(rpm=6, burst_s=10, limit_headers="full")
    raw = await sdk.chat.completions.with_raw_response.create(model="mini-1", messages=ASKED)
    assert raw.headers["x-ratelimit-limit-requests"] == "6"
    with pytest.raises(openai.RateLimitError) as caught:
        await sdk.chat.completions.create(model="mini-1", messages=ASKED)
    assert int(caught.value.response.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("kind", "error"), [("error_event", openai.APIError), ("truncated_body", openai.APIConnectionError)]
)
async def test_streams_that_break(
    sdk: AsyncOpenAI, provider: ProviderProcess, kind: str, error: type[openai.APIError]
) -> None:
    provider.set_faults(error_rates={kind: 1})
    texts: list[str] = []
    stream = await sdk.chat.completions.create(model="mini-1", messages=ASKED, stream=True)
    with pytest.raises(error):
        async for chunk in stream:
            texts += [choice.delta.content or "" for choice in chunk.choices]
    assert len("".join(texts)) == 4 * provider.calls()[0]["completion_tokens"]


async def test_timeouts_keys_and_models(provider: ProviderProcess) -> None:
    provider.set_faults(error_rates={"timeout": 1})
    async with connect(provider, timeout_s=0.3) as sdk:
        with pytest.raises(openai.APITimeoutError):
            await sdk.chat.completions.create(model="mini-1", messages=ASKED)
    with running_provider("--api-key", "right", "--model", "mini-1") as locked:
        async with connect(locked, "right") as sdk:
            await sdk.chat.completions.create(model="mini-1", messages=ASKED)
            with pytest.raises(openai.NotFoundError):
                await sdk.chat.completions.create(model="other", messages=ASKED)
        async with connect(locked, "wrong") as sdk:
            with pytest.raises(openai.AuthenticationError):
                await sdk.chat.completions.create(model="mini-1", messages=ASKED)
