"""The catalogue: every version of every workflow, read from the modules that settings name."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from app.domain.errors import LanewayError
from app.engine.declaration import refuse_unbuilt
from app.engine.workflow import Workflow, declared_in
from app.telemetry.logs import log

REFERENCE = "app.workflows"
# Features of a declaration that have no effect yet.
_WITHOUT_EFFECT = ("reduces",)


class CatalogueError(LanewayError):
    """A module can't be taken into the catalogue; the message names it and the reason."""


class UnknownWorkflow(LanewayError):
    """No such workflow, or no such version of it; `matches` are names or versions that look alike."""

    def __init__(self, name: str, version: str | None, matches: tuple[str, ...]) -> None:
        what = f"workflow {name[:100]!r}" + ("" if version is None else f" version {version[:100]!r}")
        hint = f"; there is {', '.join(matches)}" if matches else ""
        super().__init__(f"there is no {what}{hint}")
        self.name = name
        self.version = version
        self.matches = matches


class Catalogue:
    """Workflows by name and version."""

    def __init__(self, workflows: Iterable[Workflow[Any, Any]]) -> None:
        """Raises CatalogueError for the same name and version twice, and for two defaults."""
        self._versions: dict[str, dict[str, Workflow[Any, Any]]] = {}
        for workflow in workflows:
            self._add(workflow)
        self._defaults = {name: _default(list(versions.values())) for name, versions in self._versions.items()}

    @classmethod
    def load(cls, modules: Sequence[str]) -> Catalogue:
        """Import the modules and take their workflows. Raises CatalogueError, WorkflowDefinitionError."""
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        found = [workflow for name in modules for workflow in _workflows(name)]
        unique = list({id(workflow): workflow for workflow in found}.values())
        for workflow in unique:
            refuse_unbuilt(workflow.fn)
            _note_without_effect(workflow)
        return cls(unique)

    def get(self, name: str, version: str | None = None) -> Workflow[Any, Any]:
        """That version, or the one that runs when none is named. Raises UnknownWorkflow."""
        if version is None:
            return self.default(name)
        versions = self._of(name)
        if version not in versions:
            raise UnknownWorkflow(name, version, tuple(versions))
        return versions[version]

    def default(self, name: str) -> Workflow[Any, Any]:
        """The version marked default, else the last one declared. Raises UnknownWorkflow."""
        self._of(name)
        return self._defaults[name]

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._versions)

    def versions(self, name: str) -> list[str]:
        """The versions of a workflow in the order of declaration. Raises UnknownWorkflow."""
        return list(self._of(name))

    def _of(self, name: str) -> dict[str, Workflow[Any, Any]]:
        if name not in self._versions:
            matches = difflib.get_close_matches(name[:100], self._versions, n=3)
            raise UnknownWorkflow(name, None, tuple(matches))
        return self._versions[name]

    def _add(self, workflow: Workflow[Any, Any]) -> None:
        versions = self._versions.setdefault(workflow.name, {})
        other = versions.setdefault(workflow.version, workflow)
        if other is not workflow:
            raise CatalogueError(
                f"workflow {workflow.name!r} version {workflow.version!r} is declared twice: "
                f"by {other.place} and by {workflow.place}; give one of them another version"
            )


def _default(versions: list[Workflow[Any, Any]]) -> Workflow[Any, Any]:
    marked = [workflow for workflow in versions if workflow.default]
    if len(marked) > 1:
        places = " and ".join(workflow.place for workflow in marked)
        raise CatalogueError(f"workflow {marked[0].name!r} has two versions with default=True: {places}")
    return (marked or versions)[-1]


def _workflows(name: str) -> list[Workflow[Any, Any]]:
    found = declared_in(_imported(name))
    if not found:
        raise CatalogueError(f"module {name!r} declares no workflow: put @workflow(...) on an async function in it")
    return found


def _imported(name: str) -> ModuleType:
    if name.split(".")[0] == "app" and name != REFERENCE and not name.startswith(f"{REFERENCE}."):
        raise CatalogueError(
            f"module {name!r} lies in a package named 'app', which is Laneway's own name: rename your package"
        )
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise CatalogueError(f"module {name!r} can't be imported: {_reason(name, error)}") from error


def _reason(name: str, error: BaseException) -> str:
    """Type, message, file and line, and what to do where we know it."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, LanewayError):
        return text
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and f"{name}.".startswith(f"{missing}."):
        return f"{text}; LANEWAY_WORKFLOWS takes import paths that Python finds from {os.getcwd()}"
    if isinstance(error, SyntaxError):
        return text if error.filename is None else f"{text} in {error.filename}:{error.lineno}"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    return f"{text} in {own[-1].filename}:{own[-1].lineno}" if len(own) > 1 else text


def _note_without_effect(workflow: Workflow[Any, Any]) -> None:
    for field in _WITHOUT_EFFECT:
        if getattr(workflow, field) is not None:
            log("engine").warning("workflow field has no effect yet", workflow=workflow.name, what=field)
