"""The ASGI application of the simulated provider: which address goes where."""

from collections.abc import Mapping
from typing import Any

from app.loadtest.provider.answer import Model
from app.loadtest.provider.anthropic_messages import AnthropicMessages
from app.loadtest.provider.calls import CallLog, Journal
from app.loadtest.provider.control import Control
from app.loadtest.provider.dialect import Dialect, Refusal
from app.loadtest.provider.exchange import ClientGone, Exchange, Receive, Send
from app.loadtest.provider.fault import FaultBoard
from app.loadtest.provider.journal import FileJournal, NoJournal
from app.loadtest.provider.openai_chat import OpenAIChat, models_body
from app.loadtest.provider.openai_embeddings import OpenAIEmbeddings
from app.loadtest.provider.options import Options
from app.loadtest.provider.planner import Door, Planner
from app.loadtest.provider.refusals import WRONG_KEY, no_such_route
from app.loadtest.provider.script import AnswerScript
from app.loadtest.provider.visit import Reception

_DEFAULT_MODELS = ["mini-1", "big-1"]
_OPENAI, _EMBEDDINGS, _ANTHROPIC = "/v1/chat/completions", "/v1/embeddings", "/v1/messages"


class Application:
    """Routes requests: the dialects' addresses, `/v1/models`, `/sim/...` and `/livez`."""

    def __init__(self, options: Options) -> None:
        board, script = FaultBoard(options.faults), AnswerScript()
        door = Door(options.api_key, options.models)
        model = Model(options.seed, options.truth, options.accuracy)
        self._door = door
        self._models = list(options.models) or _DEFAULT_MODELS
        log = CallLog(_journal(options), options.keep_calls)
        self.reception = Reception(Planner(options.seed, door, board, script, model), log)
        self._control = Control(board, script, log)
        self._openai = OpenAIChat()
        self._dialects: dict[str, Dialect] = {
            _OPENAI: self._openai, _EMBEDDINGS: OpenAIEmbeddings(), _ANTHROPIC: AnthropicMessages(),
        }  # fmt: skip

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Serves one request."""
        exchange = Exchange(scope, receive, send)
        try:
            await self._route(exchange)
        except ClientGone:
            return

    async def _route(self, exchange: Exchange) -> None:
        dialect = self._dialects.get(exchange.path)
        if dialect is not None and exchange.method == "POST":
            await self.reception.receive(exchange, dialect)
        elif exchange.path.startswith("/sim/"):
            await self._control.serve(exchange)
        elif (exchange.method, exchange.path) == ("GET", "/livez"):
            await exchange.answer(200, b'{"status":"ok"}')
        elif (exchange.method, exchange.path) == ("GET", "/v1/models"):
            await self._list_models(exchange)
        else:
            await self._refuse(exchange, no_such_route(exchange.method, exchange.path))

    async def _list_models(self, exchange: Exchange) -> None:
        if self._door.key_fits(self._openai.key(exchange.headers)):
            await exchange.answer(200, models_body(self._models))
        else:
            await self._refuse(exchange, WRONG_KEY)

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        dialect = self._dialects[_ANTHROPIC if exchange.path.startswith(_ANTHROPIC) else _OPENAI]
        own = dialect.own(refusal)
        await exchange.answer(own.status, dialect.error(own))


def _journal(options: Options) -> Journal:
    return NoJournal() if options.journal is None else FileJournal(options.journal, options.fsync)
