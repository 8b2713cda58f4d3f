"""The official Anthropic SDK judges the simulated provider: what it reads, streams, parses and raises."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anthropic
import pytest
import pytest_asyncio
from anthropic import AsyncAnthropic
from anthropic.types import MessageParam, TextBlock, ToolParam, ToolUseBlock
from pydantic import BaseModel, Field

from tests.loadtest.provider_process import ProviderProcess, running_provider

ASKED: list[MessageParam] = [{"role": "user", "content": "Rate <item>nice</item>"}]
TOOL: ToolParam = {
    "name": "rate",
    "input_schema": {"type": "object", "properties": {"stars": {"const": 4}}, "required": ["stars"]},
}


class Rating(BaseModel):
    label: str
    stars: int = Field(ge=1, le=5)


def connect(provider: ProviderProcess, key: str = "any", timeout_s: float = 10.0) -> AsyncAnthropic:
    return AsyncAnthropic(base_url=provider.url, api_key=key, max_retries=0, timeout=timeout_s)


@pytest_asyncio.fixture
async def sdk(provider: ProviderProcess) -> AsyncIterator[AsyncAnthropic]:
    async with connect(provider) as client:
        yield client


async def test_messages(sdk: AsyncAnthropic, provider: ProviderProcess) -> None:
    provider.set_answers({"nice": "very nice"})
    answer = await sdk.messages.create(model="mini-1", max_tokens=100, system="Be brief.", messages=ASKED)
    assert answer.content == [TextBlock(type="text", text="very nice")]
    assert (answer.role, answer.stop_reason) == ("assistant", "end_turn")
    (call,) = provider.calls()
    assert answer.usage.input_tokens == call["prompt_tokens"]
    assert answer.usage.output_tokens == call["completion_tokens"] == 3
    assert (answer.usage.cache_read_input_tokens, answer.usage.cache_creation_input_tokens) == (0, 0)
    cut = await sdk.messages.create(model="mini-1", max_tokens=1, messages=ASKED)
    assert cut.stop_reason == "max_tokens"


async def test_structured_output(sdk: AsyncAnthropic) -> None:
    answer = await sdk.messages.parse(model="mini-1", max_tokens=100, messages=ASKED, output_format=Rating)
    assert isinstance(answer.parsed_output, Rating)


async def test_a_forced_tool(sdk: AsyncAnthropic) -> None:
    answer = await sdk.messages.create(
        model="mini-1", max_tokens=100, messages=ASKED, tools=[TOOL], tool_choice={"type": "tool", "name": "rate"}
    )
    (block,) = answer.content
    assert isinstance(block, ToolUseBlock)
    assert (block.name, block.input, answer.stop_reason) == ("rate", {"stars": 4}, "tool_use")


async def test_a_stream_event_by_event(sdk: AsyncAnthropic, provider: ProviderProcess) -> None:
    provider.set_answers({"nice": "very \U0001f600 nice"})
    texts, names, output = list[str](), list[str](), 0
    stream = await sdk.messages.create(model="mini-1", max_tokens=100, messages=ASKED, stream=True)
    async for event in stream:
        names.append(event.type)
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            texts.append(event.delta.text)
        if event.type == "message_delta":
            output, reason = event.usage.output_tokens, event.delta.stop_reason
    assert "".join(texts) == "very \U0001f600 nice"
    assert (names[0], names[-1]) == ("message_start", "message_stop")
    assert (output, reason) == (provider.calls()[0]["completion_tokens"], "end_turn")


async def test_its_stream_helper_puts_the_same_answer_together(sdk: AsyncAnthropic) -> None:
    whole = await sdk.messages.create(model="mini-1", max_tokens=100, messages=ASKED)
    async with sdk.messages.stream(model="mini-1", max_tokens=100, messages=ASKED) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert isinstance(whole.content[0], TextBlock)
    assert text == whole.content[0].text
    assert isinstance(final.content[0], TextBlock)
    assert final.content[0].text == text
    assert (final.stop_reason, final.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)
    assert final.usage.input_tokens == whole.usage.input_tokens


async def test_its_stream_helper_reads_structured_output_and_tools(sdk: AsyncAnthropic) -> None:
    async with sdk.messages.stream(model="mini-1", max_tokens=100, messages=ASKED, output_format=Rating) as structured:
        parsed = (await structured.get_final_message()).parsed_output
    assert isinstance(parsed, Rating)
    async with sdk.messages.stream(
        model="mini-1", max_tokens=100, messages=ASKED, tools=[TOOL], tool_choice={"type": "any"}
    ) as tools:
        (block,) = (await tools.get_final_message()).content
    assert isinstance(block, ToolUseBlock)
    assert block.input == {"stars": 4}


@pytest.mark.parametrize(
    ("kind", "error", "type_"),
    [
        ("http_500", anthropic.InternalServerError, "api_error"),
        ("http_503", anthropic.InternalServerError, "api_error"),
        ("http_529", anthropic.InternalServerError, "overloaded_error"),
        ("rate_limited", anthropic.RateLimitError, "rate_limit_error"),
        ("insufficient_quota", anthropic.BadRequestError, "invalid_request_error"),
        ("invalid_request", anthropic.BadRequestError, "invalid_request_error"),
        ("context_length_exceeded", anthropic.BadRequestError, "invalid_request_error"),
    ],
)
async def test_errors_with_a_status(
    sdk: AsyncAnthropic, provider: ProviderProcess, kind: str, error: type[anthropic.APIStatusError], type_: str
) -> None:
    provider.set_faults(error_rates={kind: 1})
    with pytest.raises(error) as caught:
        await sdk.messages.create(model="mini-1", max_tokens=100, messages=ASKED)
    assert caught.value.type == type_
    assert caught.value.api_message
    assert len(provider.calls()) == 1


@pytest.mark.parametrize("kind", ["reset", "truncated_body"])
async def test_errors_of_the_connection(sdk: AsyncAnthropic, provider: ProviderProcess, kind: str) -> None:
    provider.set_faults(error_rates={kind: 1})
    with pytest.raises(anthropic.APIConnectionError):
        await sdk.messages.create(model="mini-1", max_tokens=100, messages=ASKED)


async def test_a_limit_with_its_headers(sdk: AsyncAnthropic, provider: ProviderProcess) -> None:
    provider.set_faults(rpm=6, burst_s=10, limit_headers="full")
    raw = await sdk.messages.with_raw_response.create(model="mini-1", max_tokens=100, messages=ASKED)
    assert raw.headers["anthropic-ratelimit-requests-limit"] == "6"
    with pytest.raises(anthropic.RateLimitError) as caught:
        await sdk.messages.create(model="mini-1", max_tokens=100, messages=ASKED)
    assert int(caught.value.response.headers["retry-after"]) > 0


async def test_streams_that_break(sdk: AsyncAnthropic, provider: ProviderProcess) -> None:
    for kind in ("error_event", "truncated_body"):
        provider.set_faults(error_rates={kind: 1})
        texts: list[str] = []
        # The SDK lets the transport's own error through where the connection is cut in mid-stream.
        with pytest.raises(Exception) as caught:
            async with sdk.messages.stream(model="mini-1", max_tokens=100, messages=ASKED) as stream:
                async for piece in stream.text_stream:
                    texts.append(piece)
        assert len("".join(texts)) == 4 * provider.calls()[-1]["completion_tokens"] > 0
        if kind == "error_event":
            assert isinstance(caught.value, anthropic.APIStatusError)
            assert caught.value.type == "overloaded_error"
        else:
            assert "peer closed connection" in str(caught.value)


async def test_timeouts_keys_and_models(provider: ProviderProcess) -> None:
    provider.set_faults(error_rates={"timeout": 1})
    async with connect(provider, timeout_s=0.3) as sdk:
        with pytest.raises(anthropic.APITimeoutError):
            await sdk.messages.create(model="mini-1", max_tokens=100, messages=ASKED)
    with running_provider("--api-key", "right", "--model", "mini-1") as locked:
        async with connect(locked, "right") as sdk:
            await sdk.messages.create(model="mini-1", max_tokens=100, messages=ASKED)
            with pytest.raises(anthropic.NotFoundError):
                await sdk.messages.create(model="other", max_tokens=100, messages=ASKED)
        async with connect(locked, "wrong") as sdk:
            with pytest.raises(anthropic.AuthenticationError):
                await sdk.messages.create(model="mini-1", max_tokens=100, messages=ASKED)
