"""What both judges have before them: the service, with an alias for each dialect of one provider; and their charges."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.stack import Stack, running_stack
from tests.supervise.embedded import open_folder

CHARGES = {
    "retry_after_ignored", "retried_non_retryable", "retry_storm", "truncated_stream_accepted", "no_backoff",
}  # fmt: skip


@contextmanager
def stack_before(openai_url: str, anthropic_url: str) -> Iterator[Stack]:
    """An API and two workers; the workflows of `tests.gateway.judged` ask the aliases `openai` and `anthropic`."""
    with open_folder() as folder:
        file = folder / "laneway.toml"
        file.write_text(f"""
[models.openai]
ladder = [{{ provider = "first", model = "mini-1" }}]
[models.anthropic]
ladder = [{{ provider = "second", model = "mini-2" }}]
[providers.first]
dialect = "openai"
base_url = "{openai_url}"
[providers.second]
dialect = "anthropic"
base_url = "{anthropic_url}"
""")
        with running_stack(folder, LANEWAY_CONFIG=str(file), LANEWAY_WORKFLOWS="tests.gateway.judged") as made:
            made.start_worker()
            made.start_worker()
            made.start_api()
            yield made
