"""A stack before a provider of whose limits nobody tells anything."""

from __future__ import annotations

from tests.stack import Stack

POOL = "main/mini-1"
_CONFIG = """
[providers.main]
dialect = "openai"
base_url = "{url}"
[models.small]
ladder = [{{ provider = "main", model = "mini-1" }}]
"""


def tell_nothing(stack: Stack) -> None:
    """What starts from now on asks the simulated provider as one that it only knows the address of."""
    config = stack.folder / "laneway.toml"
    config.write_text(_CONFIG.format(url=stack.provider.base_url))
    stack.environment["LANEWAY_CONFIG"] = str(config)
