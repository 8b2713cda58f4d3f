"""Runs the real simulated provider in a process of its own, for any test that needs an AI provider."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

_ADDRESS = re.compile(r"listening on (http://\S+)")
ANTHROPIC_HEADERS = {"anthropic-version": "2023-06-01"}
_START_S = 20.0
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class ProviderProcess:
    """A running provider: `url` is its root, `base_url` what an OpenAI client is given, `http` a client for tests."""

    url: str
    process: subprocess.Popen[str]
    http: httpx.Client

    @property
    def base_url(self) -> str:
        """The address that OpenAI clients are configured with."""
        return f"{self.url}/v1"

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def chat(
        self,
        content: str,
        *,
        model: str = "mini-1",
        schema: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
        **fields: Any,
    ) -> httpx.Response:
        """One chat call with one user message. Raises httpx.HTTPError where the connection fails."""
        body = chat_body(content, model=model, schema=schema, **fields)
        return self.http.post("/v1/chat/completions", json=body, headers=headers, timeout=timeout_s)

    def messages(
        self,
        content: str,
        *,
        model: str = "mini-1",
        schema: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
        **fields: Any,
    ) -> httpx.Response:
        """The same by Anthropic's protocol."""
        body = messages_body(content, model=model, schema=schema, **fields)
        sent = {**ANTHROPIC_HEADERS, **(headers or {})}
        return self.http.post("/v1/messages", json=body, headers=sent, timeout=timeout_s)

    def set_faults(self, **faults: Any) -> None:
        """Switches faults: the settings at start with these changes."""
        self.http.put("/sim/faults", json=faults).raise_for_status()

    def reset_faults(self) -> None:
        """Back to the settings at start."""
        self.http.delete("/sim/faults").raise_for_status()

    def set_answers(self, answers: Mapping[str, Any]) -> None:
        """Writes answers by item: one, or a list in turn; a text, a JSON answer or `{"$fault": kind}`."""
        self.http.put("/sim/answers", json=answers).raise_for_status()

    def clear_answers(self) -> None:
        """Forgets the written answers."""
        self.http.delete("/sim/answers").raise_for_status()

    def calls(self, after: int = 0) -> list[dict[str, Any]]:
        """Every logged call with a number above `after`."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.http.get("/sim/calls", params={"after": after}).raise_for_status().json()
            if not page["data"]:
                return found
            found += page["data"]
            after = page["next"]

    def clear_calls(self) -> None:
        """Empties the call log and its counts."""
        self.http.delete("/sim/calls").raise_for_status()

    def stats(self) -> dict[str, Any]:
        """The counts over all calls."""
        counts: dict[str, Any] = self.http.get("/sim/stats").raise_for_status().json()
        return counts

    def kill(self) -> None:
        """Kills the process with SIGKILL and waits for its end."""
        self.process.kill()
        self.process.wait(_STOP_S)

    def stop(self) -> int:
        """Asks the process to stop with SIGTERM and gives its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_STOP_S)


def chat_body(
    content: str, *, model: str = "mini-1", schema: Mapping[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """The request body of a chat call with one user message, with a JSON Schema for its answer where given."""
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": content}], **fields}
    if schema is not None:
        named = {"name": "answer", "strict": True, "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    return body


def messages_body(
    content: str, *, model: str = "mini-1", schema: Mapping[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """The same by Anthropic's protocol."""
    turn = {"role": "user", "content": content}
    body: dict[str, Any] = {"model": model, "max_tokens": 4096, "messages": [turn], **fields}
    if schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    return body


def content_of(response: httpx.Response) -> str:
    """The text of a chat answer. Raises httpx.HTTPStatusError for an error answer."""
    text: str = response.raise_for_status().json()["choices"][0]["message"]["content"]
    return text


def answer_of(response: httpx.Response) -> Any:
    """The JSON value of a chat answer."""
    return orjson.loads(content_of(response))


@contextmanager
def running_provider(*args: str, latency: str = "fixed(0)") -> Iterator[ProviderProcess]:
    """A provider on a free port with these command-line options. Raises RuntimeError where it doesn't start."""
    command = [sys.executable, "-m", "app.loadtest.provider", "--port", "0", "--latency", latency, *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        try:
            url = _address(process)
            with httpx.Client(base_url=url, trust_env=False) as http:
                yield ProviderProcess(url, process, http)
        finally:
            _end(process)


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        if select.select([process.stdout], [], [], 0.2)[0]:
            match = _ADDRESS.search(process.stdout.readline())
            if match:
                return match[1]
    raise RuntimeError(f"the simulated provider did not start (exit code {process.poll()})")


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
