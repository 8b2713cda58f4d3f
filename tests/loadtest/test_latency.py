"""The latency syntax: what it means, and that an error names the bad part."""

from statistics import median, quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.loadtest.provider.draw import Draw
from app.loadtest.provider.latency import parse_latency


def _sample_ms(text: str, count: int = 4000) -> list[float]:
    latency = parse_latency(text)
    return [latency.seconds(Draw("latency", place)) * 1000 for place in range(count)]


def test_lognormal_has_its_median_and_its_p99() -> None:
    sample = _sample_ms("lognormal(80,400)")
    assert median(sample) == pytest.approx(80, rel=0.06)
    assert quantiles(sample, n=100)[98] == pytest.approx(400, rel=0.2)


def test_mixture_keeps_its_shares() -> None:
    sample = _sample_ms("0.9*uniform(10,20) + 0.1*fixed(2000)")
    assert sum(ms == 2000 for ms in sample) / len(sample) == pytest.approx(0.1, abs=0.02)
    assert all(10 <= ms <= 20 or ms == 2000 for ms in sample)


@given(low=st.floats(0, 1e5), more=st.floats(0, 1e5), place=st.integers())
def test_uniform_stays_between_its_bounds(low: float, more: float, place: int) -> None:
    seconds = parse_latency(f"uniform({low:.3f},{low + more:.3f})").seconds(Draw(place))
    assert low / 1000 - 1e-5 <= seconds <= (low + more) / 1000 + 1e-5


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "''"),
        ("fast", "'fast'"),
        ("cauchy(3)", "'cauchy'"),
        ("fixed(x)", "'x'"),
        ("fixed(-1)", "'-1'"),
        ("fixed(1,2)", "takes 1 number, not 2"),
        ("lognormal(80)", "takes 2 numbers, not 1"),
        ("lognormal(400,80)", "must rise"),
        ("lognormal(0,80)", "above 0"),
        ("0.5*fixed(1)+fixed(2)", "'fixed(2)'"),
        ("0.5*fixed(1)+0.4*fixed(2)", "0.9"),
        ("1..2*fixed(1)", "'1..2'"),
    ],
)
def test_error_names_the_bad_part(text: str, named: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_latency(text)
    assert named in str(caught.value)
