"""Reads compose.yaml as Docker does: anchors merged, variables put in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click
import typer
import yaml

from app.cli import command_line
from tests.stack import ROOT

_VARIABLE = re.compile(r"\$\{(\w+)(?:(:\?|:-)([^}]*))?\}")
# What a person fills in; no two alike, so that a mix-up shows.
FILLED = {
    "POSTGRES_PASSWORD": "0123abcd" * 6,
    "LANEWAY_PEPPER": "4567ef01" * 6,
    "LANEWAY_BOOTSTRAP_KEY": "lw_live_" + "89ab" * 10,
}


def text() -> str:
    """The file."""
    return (ROOT / "compose.yaml").read_text(encoding="utf-8")


def required() -> set[str]:
    """The variables without which it refuses to start."""
    return {name for name, rule, _ in _VARIABLE.findall(text()) if rule == ":?"}


def load(given: Mapping[str, str] = FILLED) -> dict[str, Any]:
    """The whole file with these variables. Raises KeyError for one that is required and missing."""
    return dict(_filled(yaml.safe_load(text()), given))


def _filled(node: Any, given: Mapping[str, str]) -> Any:
    """Variables are put into values, once they are read: a value that becomes empty stays a text."""
    if isinstance(node, dict):
        return {name: _filled(value, given) for name, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, given) for value in node]
    return _VARIABLE.sub(lambda found: _value(found, given), node) if isinstance(node, str) else node


def _value(found: re.Match[str], given: Mapping[str, str]) -> str:
    name, rule, rest = found.groups()
    if rule == ":-":
        return given.get(name) or rest
    return given[name]


def parsed(words: list[str]) -> tuple[str, dict[str, Any]]:
    """The command of ours that these words call, and its options. Raises click.UsageError when there is none."""
    group = typer.main.get_command(command_line())
    assert isinstance(group, click.Group) or hasattr(group, "resolve_command")
    outer = group.make_context("laneway", list(words), resilient_parsing=True)
    name, command, rest = group.resolve_command(outer, list(words))
    assert command is not None and name is not None
    return name, dict(command.make_context(name, rest, parent=outer).params)


def ours(services: Mapping[str, Any]) -> dict[str, Any]:
    """The services that run our image."""
    return {name: service for name, service in services.items() if service["image"].startswith("laneway:")}


def duration_s(text: str) -> float:
    """`45s`, `2m`."""
    return float(text[:-1]) * {"s": 1, "m": 60}[text[-1]]
