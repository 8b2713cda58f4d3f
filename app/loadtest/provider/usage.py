"""Counts tokens by a plain rule: one token for each 4 characters begun; a repeated long prompt is partly cached."""

CHARS_PER_TOKEN = 4
_CACHE_FROM = 1024
_CACHE_UNIT = 128


def count_tokens(chars: int) -> int:
    """The tokens of so many characters: ceil(chars / 4)."""
    return -(-chars // CHARS_PER_TOKEN)


def cached_tokens(prompt_tokens: int, ordinal: int) -> int:
    """Prompts of 1,024 tokens or more are cached from their second call on, in whole units of 128 tokens."""
    if ordinal == 0 or prompt_tokens < _CACHE_FROM:
        return 0
    return prompt_tokens // _CACHE_UNIT * _CACHE_UNIT


def cut_to_tokens(text: str, tokens: int) -> str:
    """The longest beginning of the text that counts at most so many tokens."""
    return text[: tokens * CHARS_PER_TOKEN]
