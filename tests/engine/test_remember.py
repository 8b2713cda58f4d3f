"""What tells the functions of steps apart, so that one's result is never taken for another's."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from app.engine.codec import NotRecordable
from app.engine.remember import code_of

CODE = """
import json
from tests.engine.test_remember import code_of, plain, set_in_it
print(json.dumps([code_of(plain), code_of(set_in_it)]))
"""


def plain(text: str) -> str:
    return text + "a"


def set_in_it(text: str) -> bool:
    return text in {"apple", "pear", "plum", "cherry"}


def adder(n: int) -> Callable[[int], int]:
    def add(m: int) -> int:
        return n + m

    return add


def with_default(m: int, n: int = 1) -> int:
    return m + n


def changed(source: str) -> Callable[..., Any]:
    scope: dict[str, Any] = {}
    exec(source, scope)
    found: Callable[..., Any] = scope["f"]
    return found


def test_equal_functions_are_equal_in_every_process() -> None:
    ours = [code_of(plain), code_of(set_in_it)]
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}
        told = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
        assert json.loads(told.stdout) == ours


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (plain, set_in_it),
        (adder(1), adder(2)),
        (str.strip, str.lower),
        (changed("def f(x): return x + 1"), changed("def f(x): return x + 2")),
        (changed("def f(x): return x.a"), changed("def f(x): return x.b")),
        (changed("def f(x, n=1): return x + n"), changed("def f(x, n=2): return x + n")),
        (changed("def f(x): return [y + 1 for y in x]"), changed("def f(x): return [y + 2 for y in x]")),
    ],
)
def test_other_code_defaults_or_captured_values_are_another_function(
    one: Callable[..., Any], other: Callable[..., Any]
) -> None:
    assert code_of(one) == code_of(one)
    assert code_of(one) != code_of(other)


class Shop:
    def price(self) -> int:
        return 1

    def __call__(self) -> int:
        return 2


@pytest.mark.parametrize(
    "fn",
    [Shop().price, Shop(), functools.partial(plain, "x"), "text".upper],
    ids=["method", "object", "partial", "builtin"],
)
def test_what_has_a_state_is_refused(fn: Callable[..., Any]) -> None:
    with pytest.raises(NotRecordable):
        code_of(fn)


def test_a_captured_value_that_cannot_be_compared_is_refused() -> None:
    shop = Shop()
    with pytest.raises(NotRecordable):
        code_of(lambda: shop())
