"""What the provider answers: repeatable by seed, true by accuracy, wrong but valid, or as a test wrote it down."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.loadtest.provider_process import ProviderProcess, answer_of, content_of, running_provider

_LABELS = ["positive", "negative", "neutral"]
_SCHEMA = {
    "$defs": {"Label": {"enum": _LABELS, "type": "string"}},
    "type": "object",
    "properties": {
        "label": {"$ref": "#/$defs/Label"},
        "spam": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        "reason": {"type": "string", "minLength": 5},
    },
    "required": ["label", "spam", "reason"],
    "additionalProperties": False,
}
_ITEMS = [f"review {n}" for n in range(300)]


def _truth(n: int) -> dict[str, Any]:
    return {"label": _LABELS[n % 3], "spam": n % 2 == 0, "unasked": n}


@pytest.fixture(scope="module")
def truth_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("truth") / "truth.jsonl"
    lines = [json.dumps({"item": item, "answer": _truth(n)}) for n, item in enumerate(_ITEMS)]
    path.write_text("\n".join([*lines, json.dumps({"item": "capital", "answer": "Paris"}), ""]))
    return path


def _outcome(provider: ProviderProcess, content: str, model: str) -> tuple[Any, ...]:
    """What a caller sees of one call, with nothing that belongs to the clock."""
    try:
        response = provider.chat(content, model=model, schema=_SCHEMA)
    except httpx.HTTPError as error:
        return ("cut", type(error).__name__)
    body = response.json()
    return (response.status_code, body.get("id"), body.get("choices"), body.get("usage"), body.get("error"))


def test_two_processes_with_one_seed_give_the_same_run() -> None:
    rates = ["http_500=0.2", "bad_json=0.2", "truncated=0.1", "reset=0.1", "insufficient_quota=0.1"]
    flags = [flag for rate in rates for flag in ("--error-rate", rate)]
    runs = []
    for seed in ("11", "11", "12"):
        with running_provider("--seed", seed, *flags) as provider:
            asked = [(f"<item>{n}</item>", model) for n in range(15) for model in ("mini-1", "big-1")] * 2
            runs.append([_outcome(provider, content, model) for content, model in asked])
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert runs[0][:30] != runs[0][30:], "a repeated content draws its errors anew"
    assert len({outcome[0] for outcome in runs[0]}) == 4


def test_the_same_question_gets_the_same_answer_whatever_the_prompt_around_it(provider: ProviderProcess) -> None:
    first, second, other = (
        answer_of(provider.chat(text, schema=_SCHEMA))
        for text in ("Rate <item>nice</item>", "Once more: <item> nice </item>!", "Rate <item>poor</item>")
    )
    assert first == second != other


def test_accuracy_by_model_and_wrong_answers_that_fit(truth_file: Path) -> None:
    shares = ["--accuracy", "big-1=1", "--accuracy", "poor-1=0", "--accuracy", "mini-1=0.7"]
    with running_provider("--truth", str(truth_file), *shares) as provider:
        right = {
            model: [_is_true(provider, n, model) for n in range(len(_ITEMS))]
            for model in ("big-1", "poor-1", "mini-1", "other-1")
        }
        assert [_is_true(provider, n, "mini-1") for n in range(50)] == right["mini-1"][:50]
    share = {model: sum(flags) / len(flags) for model, flags in right.items()}
    assert (share["big-1"], share["poor-1"]) == (1.0, 0.0)
    assert share["mini-1"] == pytest.approx(0.7, abs=0.08)
    assert share["other-1"] == pytest.approx(0.9, abs=0.06)


def _is_true(provider: ProviderProcess, n: int, model: str) -> bool:
    answer = answer_of(provider.chat(f"Judge: <item>{_ITEMS[n]}</item>", model=model, schema=_SCHEMA))
    assert set(answer) == {"label", "spam", "reason"}
    assert answer["label"] in _LABELS
    assert answer["spam"] in (True, False, None)
    assert len(answer["reason"]) >= 5
    truth = _truth(n)
    label_true = bool(answer["label"] == truth["label"])
    spam_true = answer["spam"] is truth["spam"]
    assert label_true == spam_true, "a wrong answer is wrong in every field that offers a choice"
    return label_true


def test_truth_without_a_schema(truth_file: Path) -> None:
    with running_provider("--truth", str(truth_file), "--accuracy", "*=1", "--accuracy", "poor-1=0") as provider:
        assert content_of(provider.chat("capital")) == "Paris"
        assert content_of(provider.chat("capital", model="poor-1")) != "Paris"
        assert answer_of(provider.chat("review 4")) == _truth(4)
        wrong = answer_of(provider.chat("review 4", model="poor-1"))
        assert wrong["label"] in _LABELS
        assert wrong["label"] != _truth(4)["label"]


def test_written_answers_come_in_turn_and_the_last_stays(provider: ProviderProcess) -> None:
    provider.set_answers({"a": ["no json", {"label": "x"}, {"$fault": "http_503"}, "end"], "b": {"label": "y"}})
    seen = [provider.chat("<item>a</item>") for _ in range(5)]
    assert [response.status_code for response in seen] == [200, 200, 503, 200, 200]
    assert [content_of(seen[place]) for place in (0, 1, 3, 4)] == ["no json", '{"label":"x"}', "end", "end"]
    assert [answer_of(provider.chat("b")) for _ in range(2)] == [{"label": "y"}] * 2
    assert provider.http.get("/sim/answers").json() == {"a": ["end"], "b": ['{"label":"y"}']}


def test_written_answers_are_replaced_added_and_cleared(provider: ProviderProcess) -> None:
    unwritten = content_of(provider.chat("a"))
    provider.set_answers({"a": "one"})
    provider.http.patch("/sim/answers", json={"b": "two"}).raise_for_status()
    assert [content_of(provider.chat(item)) for item in "ab"] == ["one", "two"]
    provider.set_answers({"b": "three"})
    assert [content_of(provider.chat(item)) for item in "ab"] == [unwritten, "three"]
    provider.clear_answers()
    assert content_of(provider.chat("a")) == unwritten


@pytest.mark.parametrize("body", ['["a"]', '{"a": {"$fault": "earthquake"}}', "{"])
def test_a_bad_script_is_refused_and_changes_nothing(provider: ProviderProcess, body: str) -> None:
    provider.set_answers({"a": "one"})
    assert provider.http.put("/sim/answers", content=body).status_code == 400
    assert content_of(provider.chat("a")) == "one"
