"""What a context asks of models: an answer, an answer as it is written, embeddings; each a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, overload

from app.engine import codec
from app.engine.ask import Question, Turn, ask, given, turns
from app.engine.embed import Embedded, Vectors, checked_texts, embed
from app.engine.policies import Policy
from app.engine.routing import Route, alias_of, named
from app.engine.schema import AnswerForm, answer_form, stream_form
from app.engine.steps import Steps
from app.engine.stream import Stream
from app.engine.ways import ways_of_ask, ways_of_embed
from app.engine.work import Try, Work, checked_identity, checked_policy, digest_of, misuse, stable_key
from app.gateway.calls.request import Message

T = TypeVar("T")


class Asking:
    """The steps of one job that go to models; `max_cost_nanos` is the workflow's own cap for a job."""

    __slots__ = ("_max_cost_nanos", "_steps")

    def __init__(self, steps: Steps, max_cost_nanos: int | None) -> None:
        self._steps = steps
        self._max_cost_nanos = max_cost_nanos

    @overload
    async def ask(
        self,
        name: str,
        *,
        model: str | Route,
        prompt: str | None = None,
        messages: Sequence[Turn] | None = None,
        key: str | int | None = None,
        policy: Policy | None = None,
    ) -> str: ...
    @overload
    async def ask(
        self,
        name: str,
        *,
        model: str | Route,
        prompt: str | None = None,
        messages: Sequence[Turn] | None = None,
        output: type[T],
        key: str | int | None = None,
        policy: Policy | None = None,
    ) -> T: ...
    async def ask(
        self,
        name: str,
        *,
        model: str | Route,
        prompt: str | None = None,
        messages: Sequence[Turn] | None = None,
        output: Any = str,
        key: str | int | None = None,
        policy: Policy | None = None,
    ) -> Any:
        """The model's answer, as text or as `output`; recorded like any step.

        `model` is an alias from the settings, or a function that picks one by the user's turns (`by_complexity`).
        Raises ProcessingError `output_invalid` when two repairs don't help, `cost_cap_reached` at the job's cap.
        """
        name, key = checked_identity(name, key)
        policy = checked_policy((name, key), policy)
        conversation = turns(prompt, messages)
        question = self._question((name, key), model, conversation, answer_form, output, policy)

        async def act(one: Try) -> Any:
            return await ask(self._steps.run, question, one)

        digest = digest_of((name, key), named(model), *conversation)
        ways = ways_of_ask(self._steps.run, policy, question, given(prompt, conversation))
        return await self._steps.take(Work(name, key, "ask", digest, policy, question.form.adapter, act, ways=ways))

    async def embed(
        self,
        name: str,
        *,
        model: str,
        texts: Iterable[str],
        key: str | int | None = None,
        policy: Policy | None = None,
    ) -> list[list[float]]:
        """The texts' embeddings, in their order; recorded like any step. `model` is an alias from the settings.

        Each text is asked for once: what the project knows of it is taken, for as long as the policy's cache says, else
        `cache.embedding_ttl_s`.
        """
        identity = checked_identity(name, key)
        policy, wanted = checked_policy(identity, policy), checked_texts(name, texts)
        asked = Embedded(model, wanted, policy, self._max_cost_nanos, stable_key(self._steps.run.job_id, identity))

        async def act(one: Try) -> Any:
            return await embed(self._steps.run, asked, one)

        digest = digest_of(identity, model, *wanted)
        ways = ways_of_embed(identity, policy, wanted)
        return await self._steps.take(
            Work(*identity, "embed", digest, policy, codec.adapter_of(Vectors), act, ways=ways)
        )

    @overload
    def stream(
        self,
        name: str,
        *,
        model: str | Route,
        prompt: str | None = None,
        messages: Sequence[Turn] | None = None,
        key: str | int | None = None,
        policy: Policy | None = None,
    ) -> Stream[str]: ...
    @overload
    def stream(
        self,
        name: str,
        *,
        model: str | Route,
        prompt: str | None = None,
        messages: Sequence[Turn] | None = None,
        output: type[str],
        key: str | int | None = None,
        policy: Policy | None = None,
    ) -> Stream[str]: ...
    @overload
    def stream(
        self,
        name: str,
        *,
        model: str | Route,
        prompt: str | None = None,
        messages: Sequence[Turn] | None = None,
        output: type[list[T]],
        key: str | int | None = None,
        policy: Policy | None = None,
    ) -> Stream[T]: ...
    def stream(
        self,
        name: str,
        *,
        model: str | Route,
        prompt: str | None = None,
        messages: Sequence[Turn] | None = None,
        output: Any = str,
        key: str | int | None = None,
        policy: Policy | None = None,
    ) -> Stream[Any]:
        """`async for item in ctx.stream(...)`: the answer's items as they arrive, pieces of text or a list's elements.

        Steps may start on an item before the answer is whole: key them by the item, never by its index. Only the
        whole answer is recorded; a later run gets its items, and its text as one piece. A cut stream is tried again,
        and no item comes twice. Raises as `ask`.
        """
        identity = checked_identity(name, key)
        conversation = turns(prompt, messages)
        policy = checked_policy(identity, policy)
        question = self._question(identity, model, conversation, stream_form, output, policy)
        digest = digest_of(identity, named(model), *conversation)
        return Stream(self._steps, identity, digest, policy, question, given(prompt, conversation))

    def _question(
        self,
        identity: tuple[str, str],
        model: str | Route,
        conversation: tuple[Message, ...],
        form_of: Callable[[Any], AnswerForm],
        output: Any,
        policy: Policy,
    ) -> Question:
        try:
            form = form_of(output)
        except (codec.NotRecordable, TypeError) as error:
            raise misuse(identity, f"asks for an output that can't be had: {output!r} {error}") from None
        return Question(
            alias=alias_of(identity, model, conversation),
            messages=conversation,
            form=form,
            timeout_s=policy.timeout_s,
            max_cost_nanos=self._max_cost_nanos,
            key=stable_key(self._steps.run.job_id, identity),
            cache=policy.cache,
        )
