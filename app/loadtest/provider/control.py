"""The `/sim/` addresses: switch faults, write answers, read the call log while the provider runs."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.loadtest.provider.calls import CallLog
from app.loadtest.provider.exchange import BodyTooLarge, Exchange
from app.loadtest.provider.fault import FaultBoard
from app.loadtest.provider.script import AnswerScript

Payload = dict[str, Any]


class _Page(BaseModel):
    model_config = ConfigDict(extra="forbid")
    after: int = Field(0, ge=0)
    limit: int = Field(10_000, ge=1, le=1_000_000)


class Control:
    """PUT describes the whole deviation from the start, PATCH changes only what it names, DELETE goes back."""

    def __init__(self, board: FaultBoard, script: AnswerScript, log: CallLog) -> None:
        self._board = board
        self._script = script
        self._log = log
        self._acts: dict[tuple[str, str], Callable[[Exchange, bytes], Payload]] = {
            ("GET", "/sim/faults"): lambda exchange, body: self._faults(),
            ("PUT", "/sim/faults"): self._put_faults,
            ("PATCH", "/sim/faults"): self._patch_faults,
            ("DELETE", "/sim/faults"): self._reset_faults,
            ("GET", "/sim/answers"): lambda exchange, body: self._script.left(),
            ("PUT", "/sim/answers"): self._put_answers,
            ("PATCH", "/sim/answers"): self._patch_answers,
            ("DELETE", "/sim/answers"): self._clear_answers,
            ("GET", "/sim/calls"): self._calls,
            ("DELETE", "/sim/calls"): self._clear_calls,
            ("GET", "/sim/stats"): lambda exchange, body: self._log.stats(),
        }

    async def serve(self, exchange: Exchange) -> None:
        """Answers one request: 200 with the state after it, 400 for a bad body or query, 404 for no such address."""
        act = self._acts.get((exchange.method, exchange.path))
        if act is None:
            await exchange.answer(404, _error(f"unknown address: {exchange.method} {exchange.path}"))
            return
        try:
            answer = orjson.dumps(act(exchange, await exchange.body()), option=orjson.OPT_UTC_Z)
        except ValidationError as error:
            await exchange.answer(400, _error(describe(error)))
        except (orjson.JSONDecodeError, BodyTooLarge) as error:
            await exchange.answer(400, _error(f"the body is not JSON that can be read: {error}"))
        else:
            await exchange.answer(200, answer)

    def _faults(self) -> Payload:
        return self._board.now.model_dump()

    def _put_faults(self, exchange: Exchange, body: bytes) -> Payload:
        self._board.put(_object(body))
        return self._faults()

    def _patch_faults(self, exchange: Exchange, body: bytes) -> Payload:
        self._board.patch(_object(body))
        return self._faults()

    def _reset_faults(self, exchange: Exchange, body: bytes) -> Payload:
        self._board.reset()
        return self._faults()

    def _put_answers(self, exchange: Exchange, body: bytes) -> Payload:
        self._script.put(orjson.loads(body))
        return self._script.left()

    def _patch_answers(self, exchange: Exchange, body: bytes) -> Payload:
        self._script.patch(orjson.loads(body))
        return self._script.left()

    def _clear_answers(self, exchange: Exchange, body: bytes) -> Payload:
        self._script.clear()
        return {}

    def _calls(self, exchange: Exchange, body: bytes) -> Payload:
        page = _Page.model_validate(dict(parse_qsl(exchange.query.decode("latin-1"))))
        calls, last = self._log.after(page.after, page.limit)
        return {"data": calls, "next": last}

    def _clear_calls(self, exchange: Exchange, body: bytes) -> Payload:
        self._log.clear()
        return self._log.stats()


def describe(error: ValidationError) -> str:
    """What is wrong, in one line, each part named."""
    found = error.errors(include_url=False, include_context=False)
    return "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg'].removeprefix('Value error, ')}" for one in found
    )


class _Object(BaseModel):
    model_config = ConfigDict(extra="allow")


def _object(body: bytes) -> Payload:
    return _Object.model_validate(orjson.loads(body)).model_extra or {}


def _error(message: str) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": "simulator_error", "param": None, "code": None}})
