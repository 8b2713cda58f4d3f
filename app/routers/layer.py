"""A thin layer around the application that adds header fields to the head of each answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Fields = Sequence[tuple[bytes, bytes]]
Head = Callable[[int], Fields]
"""The fields that an answer of this status gets."""


class Layer(ABC):
    """A layer says by `begin` what is to be added; it may keep in the request's state what those inside it need."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    @abstractmethod
    def begin(self, scope: Scope) -> Head:
        """A request begins."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        head = self.begin(scope)

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *head(message["status"])]
            await send(message)

        await self._app(scope, receive, send_on)
