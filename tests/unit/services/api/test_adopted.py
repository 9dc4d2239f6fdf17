"""What the API says of orders that were taken back from the broker: an older state was restored."""

from pathlib import Path

from api_world import Api, armed
from scenes import Scene


def test_audit_calls_an_order_adopted_whose_decision_went_with_the_state(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        scene = api.world
        assert isinstance(scene, Scene)
        await scene.crash()
        kept = (tmp_path / "state.db").read_bytes()
        await api.up()
        await scene.until_armed()
        scene.price("AAPL", "100.00")
        await api.order()
        await scene.wait(lambda: scene.protected() == scene.qty() == 10)
        await scene.crash()
        for name in ("state.db-wal", "state.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / "state.db").write_bytes(kept)
        await api.up()
        await scene.rearmed()
        await scene.wait(lambda: scene.protected() == scene.qty() == 10)
        told = (await api.ask("GET", "/v1/audit/report")).json()
        checks = {check["name"]: (check["level"], check["text"]) for check in told["checks"]}
        adopted = scene.entry().intent_id
        text = f"0 orders without a decision; 1 adopted from the broker: {adopted}"
        assert checks["decisions"] == ("OK", text)

    armed(tmp_path, then, kind=Scene)
