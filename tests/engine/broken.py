"""Writes modules for the catalogue's tests into a folder and makes them importable while the test runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HEAD = """from pydantic import BaseModel
from laneway import Context, workflow


class In(BaseModel):
    x: int

"""


def declared(name: str, version: str = "1", function: str | None = None, extra: str = "") -> str:
    """The source of one small workflow."""
    own = function or name.replace("-", "_")
    return (
        f'\n@workflow("{name}", version="{version}"{extra})\n'
        f"async def {own}(ctx: Context, payload: In) -> In:\n"
        f'    """{name}, {version}."""\n'
        f"    return payload\n"
    )


@contextmanager
def modules(folder: Path, **sources: str) -> Iterator[None]:
    """Modules of these names; `package_of_x` is the package x, `x_in_y` the module x of the package y."""
    before = set(sys.modules)
    for name, source in sources.items():
        path = folder / _path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            del sys.modules[name]


def _path(name: str) -> str:
    if name.startswith("package_of_"):
        return f"{name.removeprefix('package_of_')}/__init__.py"
    module, _, package = name.partition("_in_")
    return f"{package}/{module}.py" if package else f"{module}.py"
