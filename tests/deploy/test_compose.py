"""compose.yaml holds together: commands, settings, ports, dependencies, times and secrets are those of the code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from app import __version__
from app.settings import LANES, Settings
from tests.deploy.compose import FILLED, duration_s, load, ours, parsed, required, text
from tests.stack import ROOT

COMPOSE = load()
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ours(SERVICES)
CADDY = (ROOT / "deploy" / "Caddyfile").read_text(encoding="utf-8")
COMMANDS = {name: parsed(service["command"]) for name, service in OURS.items()}


def running(command: str) -> dict[str, dict[str, Any]]:
    """The services that run this command, with their options."""
    return {name: options for name, (called, options) in COMMANDS.items() if called == command}


def test_every_service_of_ours_runs_a_command_of_ours() -> None:
    assert {command for command, _ in COMMANDS.values()} == {"serve", "work", "migrate", "simulate"}
    assert {service["image"] for service in OURS.values()} == {f"laneway:{__version__}"}


def test_two_apis_and_every_lane_has_a_worker() -> None:
    assert len(running("serve")) == 2
    lanes = [lane for options in running("work").values() for lane in options["lanes"].split(",")]
    assert sorted(lanes) == sorted(LANES)


def test_every_variable_of_ours_is_a_setting() -> None:
    for name, service in OURS.items():
        for variable in service["environment"]:
            if variable.startswith("LANEWAY_"):
                path = variable.removeprefix("LANEWAY_").lower().split("__")
                assert path[0] in Settings.model_fields, f"{name}: {variable}"


def test_every_process_has_one_configuration_and_accepts_it() -> None:
    """With `laneway config check` in the folder that is mounted, in production mode."""
    (given,) = {json.dumps(service["environment"]) for name, service in OURS.items() if name != "simulator"}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LANEWAY_")}
    done = subprocess.run(
        [sys.executable, "-m", "app", "config", "check"],
        cwd=ROOT / "deploy" / "site",
        env={**environment, "PYTHONPATH": str(ROOT), **json.loads(given)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["mode"] == "production" and told["config"].endswith("laneway.toml")


def test_addresses_name_services_and_their_ports() -> None:
    settings = OURS["api-1"]["environment"]
    assert f":{FILLED['POSTGRES_PASSWORD']}@postgres:5432/laneway" in settings["LANEWAY_DATABASE_URL"]
    assert SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"] == FILLED["POSTGRES_PASSWORD"]
    assert {SERVICES["postgres"]["environment"][name] for name in ("POSTGRES_USER", "POSTGRES_DB")} == {"laneway"}
    assert settings["LANEWAY_REDIS_URL"].startswith("redis://valkey:6379/") and "valkey" in SERVICES
    assert settings["LANEWAY_SIMULATOR_URL"] == f"http://simulator:{COMMANDS['simulator'][1]['port']}"


def test_the_proxy_stands_before_every_api_and_asks_whether_it_is_ready() -> None:
    upstreams = re.findall(r"^\s*reverse_proxy (.*) \{$", CADDY, re.MULTILINE)[0].split()
    assert upstreams == [f"{name}:{options['port']}" for name, options in running("serve").items()]
    assert all(options["host"] == "0.0.0.0" for options in running("serve").values())
    assert "health_uri /readyz" in CADDY
    inner = SERVICES["proxy"]["ports"][0].split(":")[-1]
    assert re.search(rf"^:{inner} \{{$", CADDY, re.MULTILINE)


def test_the_proxy_has_time_to_see_that_an_api_goes() -> None:
    every, patience = (re.search(rf"{name} (\w+)", CADDY) for name in ("health_interval", "health_timeout"))
    assert every and patience
    notice_s = float(OURS["api-1"]["environment"]["LANEWAY_DRAIN_NOTICE_S"])
    assert notice_s > duration_s(every[1]) + duration_s(patience[1])


def test_nothing_is_killed_before_its_drain_is_over() -> None:
    for service in OURS.values():
        settings = {**OURS["api-1"]["environment"], **service["environment"]}
        drain_s = float(settings["LANEWAY_DRAIN_S"]) + float(settings["LANEWAY_DRAIN_NOTICE_S"])
        assert duration_s(service["stop_grace_period"]) >= drain_s + 10


def test_dependencies_exist_and_can_be_met() -> None:
    for name, service in SERVICES.items():
        for other, rule in service.get("depends_on", {}).items():
            needed = SERVICES[other]
            if rule["condition"] == "service_completed_successfully":
                assert needed["restart"] == "no" and COMMANDS[other][0] == "migrate", name
            else:
                assert rule["condition"] == "service_healthy", name
                asked = needed.get("healthcheck", {})
                assert "test" in asked or (other in running("serve") and not asked.get("disable")), name


def test_processes_without_a_port_are_not_asked_for_it() -> None:
    """The image's health check is an API's."""
    for name in OURS:
        assert bool(OURS[name].get("healthcheck", {}).get("disable")) == (name not in running("serve")), name


def test_connections_stay_below_what_postgresql_allows() -> None:
    """Its default is 100; each process has its pool and three that beat and flush; three more workers fit."""
    each = Settings().pool_size + 3
    assert each * (len(running("serve")) + len(running("work")) + 3) < 100


def test_no_secret_stands_in_the_file_and_each_is_asked_for() -> None:
    named = re.findall(r"^([A-Z_]+)=", (ROOT / "deploy" / "env.example").read_text(), re.MULTILINE)
    assert required() == set(FILLED) <= set(named)
    assert not re.findall(r"lw_live_\w|password: [^$]|PEPPER: [^$]|KEY: [^$]", text())
    for missing in FILLED:
        with pytest.raises(KeyError):
            load({name: value for name, value in FILLED.items() if name != missing})


def test_mounts_and_volumes_exist() -> None:
    for service in SERVICES.values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"], mount


def test_our_processes_have_no_rights_to_spare() -> None:
    for service in OURS.values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "ports" not in service, "only the proxy is reached from outside"
        assert all(mount.endswith(":ro") for mount in service["volumes"])
