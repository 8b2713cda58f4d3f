"""What the receiver answers: one list for each path, worked off from the front; the last entry stays."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Answer(BaseModel):
    """One scripted answer. `times` requests get it; None: all that follow."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Annotated[int, Field(ge=200, le=599)] = 200
    # Before the status line.
    delay_s: Annotated[float, Field(ge=0)] = 0.0
    retry_after: str | None = None
    location: str | None = None
    # Zeros; with `gzip` they travel compressed, about a thousand to one.
    body_bytes: Annotated[int, Field(ge=0)] = 0
    gzip: bool = False
    # `status`: says nothing at all. `body`: sends the status and 64 kB of `body_bytes`, then nothing more.
    hang: Literal["status", "body"] | None = None
    times: Annotated[int, Field(ge=1)] | None = None


OK = Answer()
ANSWERS: TypeAdapter[list[Answer]] = TypeAdapter(Annotated[list[Answer], Field(min_length=1)])


class Script:
    """The answers of every path; a path without a list of its own takes that of `*`, else 200."""

    def __init__(self) -> None:
        self._lists: dict[str, list[tuple[Answer, int | None]]] = {}

    def set(self, path: str, answers: list[Answer]) -> None:
        """Replace the list of a path."""
        self._lists[path] = [(answer, answer.times) for answer in answers]

    def next(self, path: str) -> Answer:
        """The answer to the request that just came; the last of a list goes on when its times are used up."""
        entries = self._lists.get(path) or self._lists.get("*")
        if not entries:
            return OK
        answer, left = entries[0]
        if left is not None and len(entries) > 1:
            entries[:1] = [(answer, left - 1)] if left > 1 else []
        return answer
