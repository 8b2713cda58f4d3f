"""The gateway in force: built anew when the settings change; a call in the air ends with the one it began with."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.call import Call
from app.gateway.calls.request import ModelAnswer, ModelGateway, ModelRequest
from app.settings import Settings

Build = Callable[[Settings], ModelGateway]
"""Makes a gateway by these settings; what must outlive it (connections, leases) it is given."""


class Door:
    """A gateway that stands for the newest one."""

    def __init__(self, build: Build, settings: Settings) -> None:
        self._build = build
        self._newest = build(settings)

    def renew(self, settings: Settings) -> None:
        """Calls that begin from now on go by these settings."""
        self._newest = self._build(settings)

    async def complete(
        self,
        request: ModelRequest,
        record: Callable[[Call], None],
        on_text: Callable[[str], None] | None = None,
    ) -> ModelAnswer:
        """As the newest gateway answers."""
        return await self._newest.complete(request, record, on_text)
