"""`trading_model_blocks_total`: which model's orders the gate denied, and why."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_world import Api, armed, signal

CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"model_score": 0.3, "model_version": "d"}, "d", "score_low"),
    ({"model_score": 0.3, "model_version": "forged-4711"}, "other", "score_low"),
    ({"model_score": None, "set_digest": "d"}, "d", "score_missing"),
    ({"model_score": None}, "none", "score_missing"),
]


@pytest.mark.parametrize(("changes", "version", "reason"), CASES)
def test_block_names_the_forecast_set_and_what_the_gate_found(
    tmp_path: Path, changes: dict[str, Any], version: str, reason: str
) -> None:
    async def then(api: Api) -> None:
        await api.ask("PUT", "/v1/config", {"require_model_gate": True})
        assert (await _denied(api, changes))["error"] == "model_gate"
        await _counted(api, version, reason)

    armed(tmp_path, then)


@pytest.mark.parametrize(("days", "reason"), [(91, "too_old"), (None, "age_missing")])
def test_block_by_the_age_of_the_models_says_so(
    tmp_path: Path, days: int | None, reason: str
) -> None:
    async def then(api: Api) -> None:
        await api.ask("PUT", "/v1/config", {"require_model_gate": True})
        desk = api.service.desk
        old = {
            symbol: replace(row, model_age_days=days)
            for symbol, row in desk.reference.forecasts.items()
            if days is not None
        }
        desk.reference = replace(desk.reference, forecasts=old)
        assert (await _denied(api, {"model_score": 0.9}))["error"] == "model_gate"
        await _counted(api, "none", reason)

    armed(tmp_path, then)


async def _denied(api: Api, changes: dict[str, Any]) -> dict[str, Any]:
    body = signal(signal_id="s1", **changes)
    body = {name: value for name, value in body.items() if value is not None}
    found: dict[str, Any] = (await api.ask("POST", "/v1/signal", body)).json()
    return found


async def _counted(api: Api, version: str, reason: str) -> None:
    text = (await api.client.get("/v1/metrics/prom")).text
    labels = f'model_version="{version}",reason="{reason}"'
    assert f"trading_model_blocks_total{{{labels}}} 1.0" in text
