"""Options through the executor, the real client and the gateway simulator."""

from pathlib import Path

from option_scenes import CALL, OptionScene, option_signal, optioned

from bft.domain.orders import Leg


def test_an_option_signal_becomes_a_guarded_position(tmp_path: Path) -> None:
    async def story(scene: OptionScene) -> None:
        opened = await scene.submit(option_signal())
        for r in opened.decision.rules:
            print(r.number, r.rule, r.verdict, r.note, r.value, r.limit)
        print(opened.decision.context if hasattr(opened.decision, "context") else "")
        print(scene.executor.facts.options.facts(list(scene.executor.desk.contracts.values())[0]))
        assert opened.decision.allowed, opened.decision.detail
        await scene.sleep(5)
        for i in scene.intents():
            print(
                i.leg,
                i.state,
                i.order_type,
                i.qty,
                i.limit_price_usd,
                i.stop_price_usd,
                i.contract.tick_usd,
            )
        print([e.message for e in scene.executor.desk.state.events][-6:])
        await scene.sleep(70)
        for i in scene.intents():
            print(
                i.leg,
                i.state,
                i.order_type,
                i.qty,
                i.limit_price_usd,
                i.stop_price_usd,
                i.contract.tick_usd,
            )

    optioned(tmp_path, story)
