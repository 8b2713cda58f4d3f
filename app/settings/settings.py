"""Every setting with its meaning, bound and default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.domain import lane
from app.domain.duration import seconds
from app.domain.hours import Hours, hours
from app.settings.alerts import AlertSettings
from app.settings.breaker import BreakerSettings
from app.settings.budgets import BudgetSettings, known_budgets
from app.settings.cache import CacheSettings
from app.settings.providers import (
    Group,
    LadderTarget,
    ModelAlias,
    PriceSettings,
    ProviderSettings,
)
from app.settings.refusal import Broken

LANES = (*lane.LANES, lane.DELIVERY)
SIMULATED = "simulated"
_KEY = re.compile(r"^lw_(live|test)_[A-Za-z0-9]{32,}$")


class HttpSettings(Group):
    """The HTTP door."""

    # The longest a request may be held by `Prefer: wait`.
    max_wait_s: Annotated[float, Field(gt=0, le=600)] = 60.0
    # Bodies above this many bytes are refused with 413.
    max_body_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 4 << 20
    # What each key may send, at once or evenly; beyond it requests get 429 `rate_limited`. Answers 304 cost nothing.
    # As it is, one API cannot reach it: a large backlog may be submitted as fast as it goes.
    requests_per_minute: Annotated[int, Field(ge=1, le=60_000_000)] = 600_000
    # JSON that nests deeper is refused with 400.
    max_json_depth: Annotated[int, Field(ge=8, le=900)] = 100
    # How clients reach this service; used in `urls` and `Location`. None takes relative URLs.
    public_url: str | None = None
    # The longest silence of an event stream; then it sends a comment.
    heartbeat_s: Annotated[float, Field(ge=0.1, le=60)] = 12.0


class QueueSettings(Group):
    """The backlog."""

    # Unstarted jobs in all, and for each project; beyond it submits get 429 `queue_full`.
    max_unstarted: Annotated[int, Field(ge=1)] = 2_000_000
    max_unstarted_per_project: Annotated[int, Field(ge=1)] = 1_000_000
    # How often every process rings due work and looks for dead workers.
    ring_interval_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    # Jobs that one transaction of a large replay queues again.
    portion: Annotated[int, Field(ge=1, le=10_000)] = 2000
    # Seconds before each further try of the steps that a job succeeded without (`ctx.enrich`). Two days in all.
    mend_schedule_s: Annotated[tuple[float, ...], Field(min_length=1, max_length=50)] = (
        60, 300, 1800, 7200, 21600, 43200, 86400,
    )  # fmt: skip


class WebhookSettings(Group):
    """Outgoing webhooks."""

    # Allow http and private addresses: development only.
    allow_private: bool = False
    # Seconds before each attempt; the first is 0. About 75 hours in all.
    schedule_s: Annotated[tuple[float, ...], Field(min_length=1, max_length=50)] = (
        0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400,
    )  # fmt: skip
    # One attempt may take this long in all.
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 15.0
    # Attempts at once to one host, for each worker process: the rest of the delivery slots is for the others.
    max_per_host: Annotated[int, Field(ge=1, le=10_000)] = 10


class LaneSettings(Group):
    """One lane."""

    # Jobs in flight for each worker process.
    slots: Annotated[int, Field(ge=1, le=10_000)] = 100
    # The hours in which its jobs may start, for instance 22:00-06:00 UTC; none: at any time.
    off_peak: str | None = None

    @field_validator("off_peak")
    @classmethod
    def _known_hours(cls, value: str | None) -> str | None:
        if value is not None:
            hours(value)
        return value


class GatewaySettings(Group):
    """Calls to models."""

    # Calls in flight for a pool that announces no cap, over all workers.
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 1000
    # The wait after a 429 that names no time, where no controller has an estimate.
    rate_limit_wait_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    # A wait for the provider longer than this parks the job and frees its slot.
    max_slot_wait_s: Annotated[float, Field(ge=0, le=60)] = 10.0
    # A job whose provider refuses our credential waits for so long that somebody mends it, then it fails.
    refused_wait_s: Annotated[float, Field(ge=0, le=604_800)] = 900.0
    # Decoded bytes of an answer; beyond it the call fails. The longest answers of today (128k tokens) have about 1 MB.
    max_answer_bytes: Annotated[int, Field(ge=1024)] = 4 << 20
    # How often the counters of budgets are compared with the ledger.
    reconcile_interval_s: Annotated[float, Field(ge=1, le=86400)] = 3600.0
    # Dollars for a million tokens of a model without a known price.
    unknown_price_usd_per_million: Annotated[float, Field(ge=0)] = 50.0


class TelemetrySettings(Group):
    """Logs and traces."""

    # OTLP over HTTP, for instance http://127.0.0.1:4318; none: nothing is exported.
    otlp_endpoint: str | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    service_name: str = "laneway"


class Settings(BaseSettings):
    """All settings. Environment variables (`LANEWAY_` + path with `__`) win over the file."""

    model_config = SettingsConfigDict(
        env_prefix="LANEWAY_", env_nested_delimiter="__", env_ignore_empty=True, frozen=True, extra="forbid"
    )

    # postgresql://user:password@host:port/name
    database_url: str = ""
    # redis://host:port/0, or unix:///path
    redis_url: str = ""
    # The configuration file that was read, None when there was none.
    config: Path | None = None
    # Import paths of modules with workflows.
    workflows: Annotated[tuple[str, ...], NoDecode] = ()
    # A key that exists from the first start on, with every scope.
    bootstrap_key: SecretStr | None = None
    mode: Literal["development", "production"] = "development"
    # Secret for the HMAC under which API keys are stored.
    pepper: SecretStr = SecretStr("laneway-development-pepper")
    # Where the embedded servers' binaries are; none: they are looked for.
    postgres_bin: str | None = None
    valkey_bin: str | None = None
    # Given by the supervisor to each child it starts.
    process_id: UUID | None = None
    # Given by the supervisor that began with providers: their file may not come to name none.
    began_with_providers: bool = False
    # The simulated provider that serves every alias when no file configures one.
    simulator_url: str | None = None
    # A worker that has not beaten for this long is dead.
    lease_s: Annotated[float, Field(ge=0.5, le=300)] = 4.0
    # How long a worker lets running jobs go on after SIGTERM.
    drain_s: Annotated[float, Field(ge=0, le=3600)] = 25.0
    # How long an API goes on accepting after SIGTERM while `/readyz` says `draining`, so that a proxy can leave it.
    drain_notice_s: Annotated[float, Field(ge=0, le=300)] = 0.0
    # PostgreSQL connections of each process, beside the one that beats.
    pool_size: Annotated[int, Field(ge=2, le=200)] = 8
    # `/metrics` and `/v1/status` answer without a key.
    metrics_open: bool = False
    # Names a place in the code where this process kills itself: fault tests only.
    crash_point: str | None = None

    http: HttpSettings = HttpSettings()
    queue: QueueSettings = QueueSettings()
    webhooks: WebhookSettings = WebhookSettings()
    alerts: AlertSettings = AlertSettings()
    gateway: GatewaySettings = GatewaySettings()
    breaker: BreakerSettings = BreakerSettings()
    cache: CacheSettings = CacheSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    lanes: dict[str, LaneSettings] = {}
    providers: dict[str, ProviderSettings] = {}
    models: dict[str, ModelAlias] = {}
    budgets: dict[str, BudgetSettings] = {}
    prices: dict[str, PriceSettings] = {}

    @field_validator("workflows", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("lease_s", "drain_s", "drain_notice_s", mode="before")
    @classmethod
    def _duration(cls, value: Any) -> Any:
        return seconds(value) if isinstance(value, str) and not value.replace(".", "", 1).isdigit() else value

    @field_validator("bootstrap_key")
    @classmethod
    def _key_form(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _KEY.match(value.get_secret_value()):
            raise ValueError("must be lw_live_ or lw_test_ and at least 32 letters or digits")
        return value

    @field_validator("lanes")
    @classmethod
    def _known_lanes(cls, value: dict[str, LaneSettings]) -> dict[str, LaneSettings]:
        for name in value:
            if name not in LANES:
                raise Broken(f"there is no such lane: use one of {', '.join(LANES)}", name)
        if "delivery" in value and value["delivery"].off_peak:
            raise Broken("there are none: webhooks are sent when they are due", "delivery", "off_peak")
        return value

    @field_validator("budgets")
    @classmethod
    def _known_budgets(cls, value: dict[str, BudgetSettings]) -> dict[str, BudgetSettings]:
        return known_budgets(value)

    @model_validator(mode="after")
    def _providers_stay(self) -> Settings:
        # Else whatever is asked would be answered by the simulated provider that is there for test keys.
        if self.began_with_providers and not self.providers:
            raise Broken("there is none any more: put them back, or restart `laneway up` to go on without", "providers")
        return self

    @model_validator(mode="after")
    def _targets_exist(self) -> Settings:
        for alias, ladder in self.models.items():
            for target in ladder.ladder:
                if target.provider not in self.providers:
                    known = ", ".join(sorted(self.providers)) or "none"
                    rule = f"names provider {target.provider!r}, which is not configured (configured: {known})"
                    raise Broken(rule, "models", alias, "ladder")
        return self

    @model_validator(mode="after")
    def _no_default_secrets(self) -> Settings:
        if self.mode == "production" and self.pepper.get_secret_value() == "laneway-development-pepper":
            raise Broken("must be set in production mode: a random text of at least 32 characters", "pepper")
        if self.mode == "production" and self.webhooks.allow_private:
            raise Broken("is for development: unset it in production mode", "webhooks", "allow_private")
        return self

    @property
    def takes_test_keys(self) -> bool:
        """Whether it is known where a simulated provider listens."""
        return self.simulator_url is not None or SIMULATED in self.providers

    @property
    def simulated(self) -> bool:
        """Whether every alias is served by the simulated provider because none is configured."""
        return not self.providers and self.simulator_url is not None

    def lane(self, name: str) -> LaneSettings:
        """The lane's settings, with the lane's own default where the file names no slots."""
        given = self.lanes.get(name, LaneSettings())
        return given if "slots" in given.model_fields_set else given.model_copy(update={"slots": _DEFAULT_SLOTS[name]})

    @property
    def off_peak_hours(self) -> dict[str, Hours]:
        """The hours of each lane that has some."""
        return {name: hours(lane.off_peak) for name, lane in self.lanes.items() if lane.off_peak}

    def provider(self, name: str) -> ProviderSettings:
        """The provider of that name; the simulated one stands in where none is configured. Raises KeyError."""
        if self.simulated and name == SIMULATED:
            return ProviderSettings(dialect="openai", base_url=f"{self.simulator_url}/v1")
        return self.providers[name]

    def ladder(self, alias: str) -> tuple[LadderTarget, ...]:
        """The targets of an alias; any alias when the provider is simulated. Raises KeyError."""
        if self.simulated:
            return (LadderTarget(provider=SIMULATED, model=f"{alias}-sim"),)
        return tuple(self.models[alias].ladder)


_DEFAULT_SLOTS = {"interactive": 50, "standard": 100, "bulk": 200, "delivery": 50}


def masked(settings: Settings) -> dict[str, Any]:
    """The effective settings as plain JSON, secrets and URL passwords hidden."""
    plain = settings.model_dump(mode="json")
    for field in ("database_url", "redis_url"):
        plain[field] = re.sub(r"(://[^:/@]*):[^@]*@", r"\1:**********@", plain[field])
    return plain
