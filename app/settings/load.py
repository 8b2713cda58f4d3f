"""Reads the environment and `laneway.toml` into Settings, or says which key is wrong and why."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsError, TomlConfigSettingsSource

from app.settings.refusal import explain, unreadable
from app.settings.settings import Settings

CONFIG_NAME = "laneway.toml"


class ConfigurationError(Exception):
    """The configuration is refused; the message names each bad key and its rule, never a secret."""


def load_settings(data_dir: Path | None = None, **overrides: Any) -> Settings:
    """Settings of this process. Raises ConfigurationError.

    The file is `LANEWAY_CONFIG`, else `laneway.toml` in the working directory, else in `data_dir`, else none.
    """
    path = find_config(os.environ, data_dir)
    layered = _layered(path)
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = layered(**given, config=path)
    except ValidationError as error:
        raise ConfigurationError(explain(error, path, os.environ)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from None
    except SettingsError as error:
        raise ConfigurationError(unreadable(_field(error), os.environ)) from None
    return _with_provider_keys(settings)


def _layered(path: Path | None) -> type[Settings]:
    """Settings whose lowest layer is the file: arguments win over the environment, the environment over the file."""

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, path))

    return Layered


def find_config(environment: Mapping[str, str], data_dir: Path | None) -> Path | None:
    """Where the configuration file is, None without one. Raises ConfigurationError for a named one that is missing."""
    if named := environment.get("LANEWAY_CONFIG"):
        return _existing(Path(named))
    places = [Path.cwd(), *([data_dir] if data_dir else [])]
    return next((place / CONFIG_NAME for place in places if (place / CONFIG_NAME).is_file()), None)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ConfigurationError(f"LANEWAY_CONFIG: there is no file {path}")
    return path


def _field(error: SettingsError) -> str:
    """The field whose variable could not be read: the library tells it in words only."""
    found = re.search(r'field "([^"]+)"', str(error))
    return found[1] if found else "config"


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with `extra` on top, for a child process."""
    return {**os.environ, **extra}


def _with_provider_keys(settings: Settings) -> Settings:
    """Read each provider's key from where the file says it is."""
    providers = {}
    for name, provider in settings.providers.items():
        key = provider.api_key
        if provider.api_key_env:
            text = os.environ.get(provider.api_key_env, "")
            if not text:
                raise ConfigurationError(
                    f"providers.{name}.api_key_env: the environment variable {provider.api_key_env} is not set"
                )
            key = _usable(f"providers.{name}.api_key_env", text)
        elif provider.api_key_file:
            key = _key_from_file(name, Path(provider.api_key_file))
        providers[name] = provider.model_copy(update={"api_key": key})
    return settings.model_copy(update={"providers": providers})


def _key_from_file(name: str, path: Path) -> SecretStr:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"providers.{name}.api_key_file: cannot read {path}: {error}") from None
    return _usable(f"providers.{name}.api_key_file", text)


def _usable(where: str, text: str) -> SecretStr:
    """The key, if it can stand in an HTTP header."""
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ConfigurationError(f"{where}: the key must be visible ASCII characters without spaces")
    return SecretStr(text)
