"""Partial output, whatever is lost, repeated or said too late: what the client has is the beginning of one answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.jobs.partial import Partial
from app.jobs.told import Told

STEP = {"step": "s", "key": None}
OLD = "of a worker that is out"


@dataclass
class Client:
    """Puts together what it is told of one step."""

    text: str = ""
    resets: int = 0

    def hear(self, told: list[Told]) -> None:
        for one in told:
            assert one.id is None
            assert {name: one.data[name] for name in STEP} == STEP
            if one.name == "reset":
                self.text, self.resets = "", self.resets + 1
            else:
                assert one.data["text"]
                self.text += one.data["text"]


@dataclass
class Answers:
    """What a worker says: answers one after the other, piece by piece; the last is `name`, `text` so far."""

    name: str = "0000"
    text: str = ""
    said: dict[str, str] = field(default_factory=dict)

    def begin(self) -> dict[str, Any]:
        old, self.name, self.text = self.name, f"{int(self.name) + 1:04d}", ""
        return {**STEP, "answer": old}

    def piece(self, text: str) -> dict[str, Any]:
        at, self.text = len(self.text), self.text + text
        self.said[self.name] = self.text
        return {**STEP, "answer": self.name, "at": at, "text": text}

    def whole(self) -> dict[str, Any]:
        return {**STEP, "answer": self.name, "at": 0, "text": self.text}


ACTS = st.lists(st.sampled_from(["piece", "piece", "piece", "lost", "begin", "begin, lost", "again", "old"]))


@given(ACTS, st.booleans())
def test_the_client_has_the_beginning_of_an_answer(acts: list[str], resumed: bool) -> None:
    partial, answers = Partial(resumed), Answers()
    client = Client("from before" if resumed else "")
    for n, act in enumerate(acts):
        if act in ("piece", "lost"):
            note = ("piece", answers.piece(f"{n} "))
        elif act in ("begin", "begin, lost"):
            note = ("reset", answers.begin())
        elif act == "again":
            note = ("piece", answers.whole())
        else:
            note = ("piece", {**answers.whole(), "answer": "00", "text": OLD})
        if "lost" not in act and (act != "again" or answers.text):
            client.hear(partial.told(*note))
        said = [OLD, *answers.said.values(), *(["from before"] if resumed and not client.resets else [])]
        assert not client.text or any(one.startswith(client.text) for one in said)
    if answers.text:
        client.hear(partial.told("piece", answers.whole()))
        assert client.text == answers.text


def test_a_hole_is_noticed_and_filled_without_a_reset() -> None:
    partial, answers, client = Partial(False), Answers(), Client()
    client.hear(partial.told("piece", answers.piece("a")))
    answers.piece("b")
    assert not partial.lacks
    client.hear(partial.told("piece", answers.piece("c")))
    assert (client.text, partial.lacks) == ("a", True)
    client.hear(partial.told("piece", answers.whole()))
    client.hear(partial.told("piece", answers.piece("d")))
    assert (client.text, client.resets) == ("abcd", 0)


def test_what_the_author_emits_passes_as_it_is() -> None:
    data = {"step": "s", "answer": "0", "at": 9}
    assert Partial(True).told("delta", data) == [Told("delta", data)]
