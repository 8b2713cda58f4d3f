"""Which workflow names an alias of a model: so that nobody takes away from a running process what its work needs."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache

from app.engine.catalogue import Catalogue


def who_names(catalogue: Catalogue, alias: str) -> str | None:
    """The first workflow whose module has the alias as a text; None where none has.

    A name that is put together while a job runs is not seen. A module without a source to look at counts as naming it.
    """
    for name in catalogue.names():
        for version in catalogue.versions(name):
            texts = _texts(catalogue.get(name, version).fn.__module__)
            if texts is None or alias in texts:
                return name
    return None


@cache
def _texts(module: str) -> frozenset[str] | None:
    """Every text of a module's source, and those it has from other modules."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError, SyntaxError, KeyError):
        return None
    return frozenset((*_written(tree), *(one for one in vars(sys.modules[module]).values() if isinstance(one, str))))


def _written(tree: ast.Module) -> Iterator[str]:
    return (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
