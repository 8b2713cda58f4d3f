"""Money as integer nano-dollars, shown with nine decimals."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

NANOS_PER_DOLLAR = 1_000_000_000


def show(nanos: int) -> str:
    """Nano-dollars as a decimal text, for instance `0.001100000`."""
    sign = "-" if nanos < 0 else ""
    whole, rest = divmod(abs(nanos), NANOS_PER_DOLLAR)
    return f"{sign}{whole}.{rest:09d}"


def nanos(text: str | Decimal) -> int:
    """Nano-dollars of a decimal text. Raises ValueError for anything else, and for less than a nano-dollar."""
    try:
        value = Decimal(text) * NANOS_PER_DOLLAR
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount in dollars") from None
    if not value.is_finite() or value != value.to_integral_value():
        raise ValueError(f"{text!r} is not an amount with at most nine decimals")
    return int(value)
