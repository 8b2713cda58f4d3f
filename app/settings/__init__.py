"""Settings: frozen groups, read from the environment and `laneway.toml`; the only reader of the environment."""

from app.settings.alerts import AlertSettings
from app.settings.breaker import BreakerSettings
from app.settings.budgets import BudgetSettings
from app.settings.cache import CacheSettings
from app.settings.load import ConfigurationError, child_environment, load_settings
from app.settings.providers import (
    LadderTarget,
    ModelAlias,
    PoolSettings,
    PriceSettings,
    ProviderSettings,
)
from app.settings.settings import (
    LANES,
    GatewaySettings,
    HttpSettings,
    LaneSettings,
    QueueSettings,
    Settings,
    TelemetrySettings,
    WebhookSettings,
    masked,
)

__all__ = [
    "LANES",
    "AlertSettings",
    "BreakerSettings",
    "BudgetSettings",
    "CacheSettings",
    "ConfigurationError",
    "GatewaySettings",
    "HttpSettings",
    "LadderTarget",
    "LaneSettings",
    "ModelAlias",
    "PoolSettings",
    "PriceSettings",
    "ProviderSettings",
    "QueueSettings",
    "Settings",
    "TelemetrySettings",
    "WebhookSettings",
    "child_environment",
    "load_settings",
    "masked",
]
