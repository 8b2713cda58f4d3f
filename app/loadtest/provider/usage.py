"""Counts tokens by a plain rule: one token for each 4 characters begun; a repeated long prompt is partly cached."""

from typing import Any

from app.loadtest.provider.dialect import Reply

CHARS_PER_TOKEN = 4
_CACHE_FROM = 1024
_CACHE_UNIT = 128


def count_tokens(chars: int) -> int:
    """The tokens of so many characters: ceil(chars / 4)."""
    return -(-chars // CHARS_PER_TOKEN)


def token_texts(text: str) -> list[str]:
    """The text in tokens."""
    return [text[place : place + CHARS_PER_TOKEN] for place in range(0, len(text), CHARS_PER_TOKEN)]


def cacheable_tokens(prompt_tokens: int) -> int:
    """What the cache holds of a prompt after its first call: nothing below 1,024 tokens, else whole units of 128."""
    return prompt_tokens // _CACHE_UNIT * _CACHE_UNIT if prompt_tokens >= _CACHE_FROM else 0


def cut_to_tokens(text: str, tokens: int) -> str:
    """The longest beginning of the text that counts at most so many tokens."""
    return text[: tokens * CHARS_PER_TOKEN]


def openai_usage(reply: Reply) -> dict[str, Any] | None:
    """Usage as OpenAI tells it; None for an answer that doesn't tell it."""
    if not reply.counted:
        return None
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": reply.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def anthropic_usage(reply: Reply) -> dict[str, Any] | None:
    """Usage as Anthropic tells it, where `input_tokens` are those outside the cache; None where it isn't told."""
    if not reply.counted:
        return None
    return {
        "input_tokens": reply.prompt_tokens - reply.cached_tokens - reply.written_tokens,
        "cache_creation_input_tokens": reply.written_tokens,
        "cache_read_input_tokens": reply.cached_tokens,
        "output_tokens": reply.completion_tokens,
    }
