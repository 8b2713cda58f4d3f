"""Faults switched while the provider runs."""

from typing import Any

import httpx
import pytest

from tests.loadtest.provider_process import ProviderProcess


def _faults(provider: ProviderProcess) -> dict[str, Any]:
    settings: dict[str, Any] = provider.http.get("/sim/faults").json()
    return settings


def test_put_patch_and_delete(provider: ProviderProcess) -> None:
    start = _faults(provider)
    provider.set_faults(rpm=60)
    assert _faults(provider) == start | {"rpm": 60}
    provider.http.patch("/sim/faults", json={"tpm": 5}).raise_for_status()
    assert _faults(provider) == start | {"rpm": 60, "tpm": 5}
    provider.set_faults(latency="fixed(1)")
    assert _faults(provider) == start | {"latency": "fixed(1)"}
    provider.reset_faults()
    assert _faults(provider) == start


def test_latency_changes_at_once(provider: ProviderProcess) -> None:
    assert provider.chat("hello").elapsed.total_seconds() < 0.4
    provider.set_faults(latency="fixed(400)")
    assert provider.chat("hello").elapsed.total_seconds() >= 0.4


def test_down_with_503(provider: ProviderProcess) -> None:
    provider.set_faults(down="503")
    assert provider.chat("hello").status_code == 503
    assert provider.http.get("/livez").status_code == 200
    provider.set_faults(down=None)
    assert provider.chat("hello").status_code == 200


def test_down_refusing(provider: ProviderProcess) -> None:
    provider.set_faults(down="refuse")
    with pytest.raises(httpx.ReadError):
        provider.chat("hello", headers={"Idempotency-Key": "k-1"})
    (call,) = provider.calls()
    assert (call["outcome"], call["status"], call["idempotency_key"]) == ("down_refuse", None, "k-1")


def test_down_hanging(provider: ProviderProcess) -> None:
    provider.set_faults(down="hang")
    with pytest.raises(httpx.ReadTimeout):
        provider.chat("hello", timeout_s=0.15)
    assert provider.stats()["by_outcome"] == {"down_hang": 1}


def test_only_one_model_suffers(provider: ProviderProcess) -> None:
    provider.set_faults(only_model="big-1", down="503")
    assert provider.chat("hello", model="mini-1").status_code == 200
    assert provider.chat("hello", model="big-1").status_code == 503
    provider.set_faults(only_model="big-1", rpm=6, burst_s=10)
    assert [provider.chat("hello", model=model).status_code for model in ("big-1", "big-1", "mini-1")] == [
        200,
        429,
        200,
    ]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ('{"latency": "slow"}', "latency"),
        ('{"error_rates": {"earthquake": 0.1}}', "error_rates.earthquake"),
        ('{"error_rates": {"reset": 1.5}}', "error_rates.reset"),
        ('{"error_rates": {"reset": 0.6, "timeout": 0.6}}', "error_rates"),
        ('{"rpm": 0}', "rpm"),
        ('{"down": "maybe"}', "down"),
        ('{"limit_headers": "some"}', "limit_headers"),
        ('{"speed": 1}', "speed"),
        ("[]", "body"),
        ("{", "JSON"),
    ],
)
def test_bad_faults_are_refused_by_name_and_change_nothing(provider: ProviderProcess, body: str, named: str) -> None:
    provider.set_faults(rpm=77)
    for method in ("PUT", "PATCH"):
        response = provider.http.request(method, "/sim/faults", content=body)
        assert response.status_code == 400
        assert named in response.json()["error"]["message"]
    assert _faults(provider)["rpm"] == 77


def test_an_unknown_control_address_is_404(provider: ProviderProcess) -> None:
    assert provider.http.get("/sim/nothing").status_code == 404
    assert provider.http.post("/sim/faults", json={}).status_code == 404
