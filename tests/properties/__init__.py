"""Properties: what holds for any order of acts."""

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.life_{part}" for part in ("machine", "clients", "workers", "house")),
)
