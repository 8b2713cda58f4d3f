"""The catalogue: what it takes, and what it refuses with the module's name and the reason."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.engine.catalogue import Catalogue, CatalogueError, UnknownWorkflow
from app.engine.declaration import WorkflowDefinitionError
from tests.engine.broken import HEAD, declared, modules


def refused(folder: Path, source: str) -> str:
    """Why a catalogue of this one module is refused."""
    with modules(folder, shop=source), pytest.raises((CatalogueError, WorkflowDefinitionError)) as caught:
        Catalogue.load(["shop"])
    return str(caught.value)


def test_versions_live_side_by_side(tmp_path: Path) -> None:
    first = HEAD + declared("a") + declared("b", extra=", default=True") + declared("b", "2", "b_two")
    with modules(tmp_path, one=first, two=HEAD + declared("a", "2")):
        catalogue = Catalogue.load(["one", "two"])
    assert catalogue.names() == ["a", "b"]
    assert catalogue.versions("a") == ["1", "2"]
    assert catalogue.get("a").version == catalogue.default("a").version == "2"
    assert catalogue.get("a", "1").version == "1"
    assert catalogue.get("b").version == "1"
    assert catalogue.get("b", "2").description == "b, 2."


def test_the_order_of_modules_and_a_second_load_change_nothing_else(tmp_path: Path) -> None:
    with modules(tmp_path, one=HEAD + declared("a"), two=HEAD + declared("a", "2")):
        assert Catalogue.load(["two", "one"]).default("a").version == "1"
        assert Catalogue.load(["one", "two"]).default("a").version == "2"
        assert Catalogue.load(["one"]).versions("a") == ["1"]


def test_a_version_whose_function_name_was_taken_over_is_still_there(tmp_path: Path) -> None:
    with modules(tmp_path, shop=HEAD + declared("a", "1", "same") + declared("a", "2", "same")):
        assert Catalogue.load(["shop"]).versions("a") == ["1", "2"]


def test_a_package_may_gather_its_workflows(tmp_path: Path) -> None:
    package = "from shop.a import a\nfrom shop.b import b\n"
    with modules(tmp_path, package_of_shop=package, a_in_shop=HEAD + declared("a"), b_in_shop=HEAD + declared("b")):
        assert Catalogue.load(["shop", "shop.a"]).names() == ["a", "b"]


def test_unknown_names_and_versions_say_what_there_is() -> None:
    catalogue = Catalogue.load(["app.workflows"])
    with pytest.raises(UnknownWorkflow, match="no workflow 'review-sentimant'; there is review-sentiment") as caught:
        catalogue.get("review-sentimant")
    assert caught.value.matches == ("review-sentiment",)
    with pytest.raises(UnknownWorkflow, match="version '9'; there is 1"):
        catalogue.get("review-sentiment", "9")
    with pytest.raises(UnknownWorkflow, match=r"there is no workflow 'zzz'$"):
        catalogue.versions("zzz")
    with pytest.raises(UnknownWorkflow):
        catalogue.get("x" * 100_000)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing_of_that_name\n", "ModuleNotFoundError: No module named 'nothing_of_that_name' in "),
        ("def f(:\n", "SyntaxError: invalid syntax"),
        ("\n\n1 / 0\n", "ZeroDivisionError: division by zero in "),
        ("raise SystemExit('bye')\n", "SystemExit: bye"),
        ("x = 1\n", "declares no workflow"),
        (HEAD + declared("a") + declared("a", function="other"), "declared twice"),
        (HEAD + declared("a", extra=", default=True") + declared("a", "2", "b", ", default=True"), "two versions with"),
    ],
)
def test_a_module_that_cannot_be_taken_is_named_with_the_reason(tmp_path: Path, source: str, reason: str) -> None:
    text = refused(tmp_path, source)
    assert reason in text
    assert "shop" in text


def test_the_line_that_failed_is_named(tmp_path: Path) -> None:
    assert f"{tmp_path / 'shop.py'}:3" in refused(tmp_path, "\n\n1 / 0\n")
    assert f"{tmp_path / 'shop.py'}:2" in refused(tmp_path, "\ndef f(:\n")


def test_a_duplicate_names_both_places(tmp_path: Path) -> None:
    sources = {"one": HEAD + declared("a"), "two": HEAD + declared("a")}
    with modules(tmp_path, **sources), pytest.raises(CatalogueError) as caught:
        Catalogue.load(["one", "two"])
    assert "one.a" in str(caught.value)
    assert "two.a" in str(caught.value)


def test_a_missing_module_says_where_it_was_looked_for() -> None:
    with pytest.raises(CatalogueError, match=r"'no_such_shop' can't be imported.*LANEWAY_WORKFLOWS") as caught:
        Catalogue.load(["no_such_shop"])
    assert os.getcwd() in str(caught.value)


@pytest.mark.parametrize("name", ["app", "app.flows", "app.workflows_of_mine", "app.engine"])
def test_a_package_named_app_is_refused(name: str) -> None:
    with pytest.raises(CatalogueError, match="Laneway's own name: rename your package"):
        Catalogue.load([name])


def test_the_working_directory_is_searched_last(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(HEAD + declared("a"))
    (tmp_path / "pydantic.py").write_text("raise RuntimeError('shadowed')\n")
    code = (
        "import sys\nfrom app.engine.catalogue import Catalogue\nprint(Catalogue.load(['shop']).names(), sys.path[-1])"
    )
    env = {**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == f"['a'] {tmp_path}", done.stderr
