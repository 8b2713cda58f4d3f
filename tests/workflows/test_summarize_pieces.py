"""Splitting into pieces: the fewest, none too long, nothing lost, nice ends where there are any."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.workflows.pieces import calls, groups, head, split

# Any character but surrogates, which are no text; and texts with words, sentences and paragraphs.
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
PROSE = st.lists(st.sampled_from(["word", "a", "Ende. ", "why? ", " ", "\n", "\n\n", "文。", "ü", "😀"]), max_size=120)
TEXTS = ANY | PROSE.map("".join)
LIMITS = st.integers(4, 120)


def fewest(text: str, limit: int) -> int:
    """How many pieces it takes when each is filled character by character: no split has fewer."""
    count = room = 0
    for character in text:
        size = len(character.encode())
        if size > room:
            count, room = count + 1, limit
        room -= size
    return count


@given(TEXTS, LIMITS)
def test_fewest_pieces_none_too_long_nothing_lost(text: str, limit: int) -> None:
    pieces = split(text, limit)
    assert "".join(pieces) == text
    assert all(0 < len(piece.encode()) <= limit for piece in pieces)
    assert len(pieces) == fewest(text, limit)


@given(st.lists(st.text("abc", min_size=1, max_size=8).map(lambda word: f"{word}. "), min_size=1, max_size=60))
def test_a_sentence_stays_whole_where_there_is_room(sentences: list[str]) -> None:
    """With a fifth of every piece to spare, and sentences of a tenth of one, no cut lies within a sentence."""
    text, limit = "".join(sentences), 100
    pieces = split(text, limit)
    assume(len(text) <= 0.8 * limit * len(pieces))
    assert all(piece.endswith(". ") for piece in pieces[:-1])


def test_the_nicest_end_is_taken_and_pieces_are_even() -> None:
    paragraphs = ["One sentence. Another one.\nA line. " * 3 + "The end.\n\n" for _ in range(6)]
    pieces = split("".join(paragraphs), 300)
    assert pieces == ["".join(paragraphs[n : n + 2]) for n in (0, 2, 4)]
    assert split("word " * 30, 100) == ["word " * 15] * 2


def test_a_text_without_any_end_is_cut_where_it_must() -> None:
    assert split("x" * 250, 100) == ["x" * 83, "x" * 83, "x" * 84]
    assert split("", 10) == []
    with pytest.raises(ValueError, match="3 bytes"):
        split("text", 3)


@given(TEXTS, LIMITS)
def test_a_head_fits_and_begins_the_text(text: str, limit: int) -> None:
    begun = head(text, limit)
    assert text.startswith(begun) and len(begun.encode()) <= limit
    assert begun == text or len(begun.encode()) >= limit // 2 - 3


@given(st.integers(1, 300), st.integers(2, 20))
def test_combining_takes_the_fewest_calls(count: int, fan_in: int) -> None:
    parts, asked = [[n] for n in range(count)], 0
    while len(parts) > 1:
        rounds = groups(parts, fan_in)
        assert all(len(group) <= fan_in for group in rounds)
        asked += sum(len(group) > 1 for group in rounds)
        parts = [[n for part in group for n in part] for group in rounds]
    assert parts == [list(range(count))], "in order, each once"
    assert asked == fewest_combining(count, fan_in)
    assert calls(count, fan_in) == count + asked


@cache
def fewest_combining(count: int, fan_in: int) -> int:
    """The fewest calls that leave one part, whatever is combined with what."""
    if count == 1:
        return 0
    return 1 + min(fewest_combining(count - taken + 1, fan_in) for taken in range(2, min(count, fan_in) + 1))


@given(st.integers(0, 400), st.integers(2, 20))
def test_fewer_pieces_never_take_more_calls(count: int, fan_in: int) -> None:
    assert calls(count, fan_in) <= calls(count + 1, fan_in)
