"""Option orders at the gateway simulator: what the night stores, a signal, a market to trade in."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from executors import NIGHT, World, signal, usd
from scenes import Scene, WireScene, guarded, papered, wired

from bft.domain.orders import IntentState, Leg, OrderRequest
from bft.domain.trading import ExitPolicy, Instrument
from bft.risk.profiles import OPTIONS
from bft.services.executor.chains import Chain
from bft.services.executor.covers import Cover

EXPIRY = date(2026, 2, 20)


def occ(right: str = "C", strike: object = 100, expiry: date = EXPIRY, root: str = "AAPL") -> str:
    """OCC symbol: root, YYMMDD, C or P, strike in thousandths."""
    return f"{root:<6}{expiry:%y%m%d}{right}{int(usd(strike) * 1000):08d}"


CALL, PUT = occ("C"), occ("P")


def volatilities(count: int = 60, *, low: str = "0.10", high: str = "1.00") -> Chain:
    """A chain whose history runs from low to high and says nothing of today's rows."""
    days = [NIGHT - timedelta(days=back) for back in range(count - 1, -1, -1)]
    level = {0: usd(low), count - 1: usd(high)}
    told = tuple((day, level.get(n, usd(low))) for n, day in enumerate(days))
    return Chain(symbol="AAPL", asof=NIGHT, volatilities=told)


@dataclass
class Chained(World):
    """A World whose night stored `chain` of AAPL."""

    chain: Chain = field(default_factory=volatilities)

    async def start(self, **changes: Any) -> Any:
        return await super().start(**{"load_chains": self._chains, **changes})

    async def _chains(self, symbols: frozenset[str]) -> Mapping[str, Chain]:
        return {
            symbol: self.chain if symbol == "AAPL" else Chain(symbol=symbol) for symbol in symbols
        }


@dataclass
class PaperOptions(Chained, Scene):
    """Options on the paper broker."""


@dataclass
class OptionScene(Chained, WireScene):
    """Options at the gateway."""

    def vix(self, level: object) -> None:
        self.sim.tick("VIX", bid=level, ask=level, last=level)

    def under(self, bid: object) -> None:
        """Move the underlying, and with it every option that is watched."""
        self.price("AAPL", bid)


def on_paper(folder: Path, story: Callable[[Any], Awaitable[None]], chain: Chain) -> None:
    """Run a story with options on the paper broker: AAPL at 100.00, VIX at 17, no option yet."""

    async def begun(scene: Any) -> None:
        scene.price("VIX", "17")
        await story(scene)

    papered(folder, begun, kind=PaperOptions, profile=OPTIONS, chain=chain)


def option_signal(symbol: str = CALL, **changes: Any) -> OrderRequest:
    """A signal for an option, sized by risk, whose levels lie 7 and 12 % from the underlying."""
    right = Instrument.CALL if symbol[-9] == "C" else Instrument.PUT
    values: Mapping[str, Any] = {
        "signal_id": f"sig-{symbol}",
        "instrument": right,
        "limit_price_usd": None,
        "confidence": usd("0.8"),
        "exits": ExitPolicy(stop_frac=0.07, target_frac=0.12),
    }
    return signal(symbol, **{**values, **changes})


def optioned(
    folder: Path, story: Callable[[Any], Awaitable[None]], *, calm: bool = True, **given: Any
) -> None:
    """Run a story with options at a gateway: AAPL at 100.00, VIX at 17."""

    async def begun(scene: Any) -> None:
        if given.get("vix", 17) is not None:
            scene.vix(given.get("vix", 17))
        await story(scene)

    more = {key: value for key, value in given.items() if key != "vix"}
    wired(folder, begun, calm=calm, kind=OptionScene, profile=OPTIONS, **more)


def premium(scene: OptionScene, bid: object, symbol: str = CALL, *, wide: str = "0.05") -> None:
    """Hold the option's own market at a price, whatever its underlying does."""
    low = usd(bid)
    scene.sim.tick(symbol, bid=low, ask=low + usd(wide), last=low)


async def held(scene: OptionScene, symbol: str = CALL, **changes: Any) -> Cover:
    """A signal became a filled option position under its guards; the market stays at 3.00."""
    opened = await scene.submit(option_signal(symbol, **changes))
    assert opened.decision.allowed, opened.decision.detail
    state = scene.executor.desk.state.intents
    name = opened.intent_id or ""
    premium(scene, (state[name].limit_price_usd or 0) - usd("0.05"), symbol)
    await scene.wait(lambda: state[name].state is IntentState.FILLED, within_s=5)
    premium(scene, "3.00", symbol)
    await scene.wait(lambda: guarded(scene) == scene.executor.guard.covers[name].open_qty > 0)
    return scene.executor.guard.covers[name]


def exits(scene: Scene) -> list[tuple[str, int]]:
    return [(e.reason, e.filled_qty) for e in scene.intents(Leg.EXIT)]
