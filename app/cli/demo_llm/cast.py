"""The processes of the demo: the model's server, and `laneway up` with a configuration that names it."""

from __future__ import annotations

from pathlib import Path

from app.cli.demo.cast import Cast
from app.cli.demo_llm.model import NAME, SLOTS
from app.supervise.folder import kept_key

_CONFIG = """# Written by `make demo-llm`.
[providers.local]
dialect = "openai"
base_url = "{address}/v1"

[providers.local.pools.all]
models = ["{model}"]
max_in_flight = {slots}

[models.small]
ladder = [{{ provider = "local", model = "{model}" }}]

[prices."local/{model}"]
input = "0"
output = "0"
"""


class LlmCast(Cast):
    """Starts both and ends them. `data` is absolute, and open; main thread only."""

    async def open(self) -> tuple[str, str]:
        """Everything serves; the API's address and key. Raises CannotStart with the last words of what failed."""
        address_file = self._data / "model.address"
        address_file.unlink(missing_ok=True)
        model = self._child("demo-model", "app.cli.demo_llm.model", str(address_file))
        address = await self._until(model, lambda: _line(address_file))
        config = _CONFIG.format(address=address, model=NAME, slots=SLOTS)
        (self._data / "laneway.toml").write_text(config, encoding="utf-8")
        words = ("up", "--data", str(self._data), "--port", "0", "--workers", "1")
        serving = self._child("demo-up", "app", *words)
        note = await self._until(serving, lambda: self._note(serving))
        return str(note["url"]), kept_key(self._data)


def _line(path: Path) -> str | None:
    """The file's one line, once it is whole."""
    text = path.read_text() if path.exists() else ""
    return text.strip() if text.endswith("\n") else None
