"""The part of `laneway.toml` that names providers, model aliases and prices."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from app.settings.refusal import Broken


class Group(BaseModel):
    """A frozen group of settings that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PoolSettings(Group):
    """One pool of a provider: models that share a limit. Announced limits are optional."""

    models: Annotated[list[str], Field(min_length=1)]
    requests_per_minute: Annotated[int | None, Field(gt=0)] = None
    tokens_per_minute: Annotated[int | None, Field(gt=0)] = None
    # Calls in flight over all workers; None takes gateway.max_in_flight.
    max_in_flight: Annotated[int | None, Field(gt=0, le=100_000)] = None
    # How the provider counts what is announced: a bucket that refills, by minutes of the clock, over the last minute.
    window: Literal["refill", "minute", "sliding"] = "refill"


class ProviderSettings(Group):
    """One AI provider: its protocol, address and credential."""

    dialect: Literal["openai", "anthropic"]
    base_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    # The name of the environment variable that holds the key, or a file that holds it; none: no Authorization header.
    api_key_env: str | None = None
    api_key_file: str | None = None
    # Read from the two above at start-up; never written in the file.
    api_key: SecretStr | None = None
    pools: dict[str, PoolSettings] = {}

    @field_validator("api_key")
    @classmethod
    def _not_in_the_file(cls, value: SecretStr | None) -> SecretStr | None:
        raise ValueError("a key does not belong in the file: name its variable in api_key_env, or its file")

    @model_validator(mode="after")
    def _one_key_source(self) -> ProviderSettings:
        if self.api_key_env and self.api_key_file:
            raise ValueError("give api_key_env or api_key_file, not both")
        seen: set[str] = set()
        for name, pool in self.pools.items():
            if twice := seen & set(pool.models):
                raise Broken(f"model {sorted(twice)[0]!r} stands in another pool too", "pools", name, "models")
            seen |= set(pool.models)
        return self


class LadderTarget(Group):
    """One rung of an alias: a provider's model, and its part of the calls."""

    provider: str
    model: str
    # None: 1 where another target of the ladder names a weight. 0: asked only when others gave no answer.
    weight: Annotated[int | None, Field(ge=0, le=1000)] = None


class ModelAlias(Group):
    """What workflows name: a ladder of targets, asked from the top, or with weights from the one that is drawn."""

    ladder: Annotated[list[LadderTarget], Field(min_length=1)]

    @field_validator("ladder")
    @classmethod
    def _somebody_is_asked(cls, value: list[LadderTarget]) -> list[LadderTarget]:
        if all(target.weight == 0 for target in value):
            raise ValueError("every weight is 0: one target at least must be asked first")
        return value


class PriceSettings(Group):
    """Dollars for a million tokens; overrides the price list that ships with the product."""

    input: Annotated[Decimal, Field(ge=0)]
    output: Annotated[Decimal, Field(ge=0)]
    cached_input: Annotated[Decimal | None, Field(ge=0)] = None
