"""One account, worked by hand over two days, in every place that tells of it.

Trades are a person's at the gateway simulator: shares, a short, an option (100), a future (20),
each left in part; the gateway's own equity is the judge of the sums. By hand, in USD:

|  | entry, fee | exit, fee | realised | open fee | mid at the close, unrealised |
|---|---|---|---|---|---|
| AAPL 100, 40 sold | 100.02, 1.00 | 101.00, 1.00 | 39.20 - 1.40 | 0.60 | 101.01, 60 x 0.99 |
| MSFT -50, 20 bought | 200.00, 1.00 | 198.02, 1.00 | 39.60 - 1.40 | 0.60 | 198.01, 30 x 1.99 |
| call 2, 1 sold | 3.10, 1.30 | 3.40, 1.00 | 30.00 - 1.65 | 0.65 | 3.45, 100 x 0.35 |
| NQ 1 | 20000.50, 2.25 | | | 2.25 | 20010.25, 20 x 9.75 |

The day after: 30 AAPL sold at 103.00 and 10 bought at 103.02 (fees 1.00), NQ sold at 20000.00.
"""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from api_world import Api, token
from commandline import bft
from executors import CLOSE, reference
from fakes import arguments, make_ports, no_tick
from option_scenes import CALL
from scenes import WireScene
from virtual_time import LoopClock, run, settle

from bft.domain import sessions
from bft.flow import executor
from bft.ports import Reply
from bft.reports.trading import trading
from bft.steps import close

DAYS = (date(2026, 1, 5), date(2026, 1, 6))
OPENED = {"AAPL": (100, 100.02), "MSFT": (200, 200.02), CALL: (3, 3.10), "NQH6": (20000, 20000.5)}
CLOSED = {
    "AAPL": (101, 101.02),
    "MSFT": (198, 198.02),
    CALL: (3.40, 3.50),
    "NQH6": (20010, 20010.5),
}
NEXT = {"AAPL": (103, 103.02), "MSFT": (199, 199.02), CALL: (4, 4.10), "NQH6": (20000, 20000.5)}

FIRST_DAY = {
    "realised_usd": "104.35",
    "fees_usd": "4.45",
    "open_fees_usd": "4.1",
    "unrealised_usd": "349.1",
    "unrealised_change_usd": "349.1",
    "day_start_equity_usd": "100000",
    "equity_usd": "100449.35",
}
SECOND_DAY = {
    "realised_usd": "73.6",  # AAPL 30 x 2.98 - 1.30, NQ 20 x -0.50 - 4.50
    "fees_usd": "5.8",
    "open_fees_usd": "1",
    "unrealised_usd": "214.3",  # AAPL 30 x 2.99 - 0.10, MSFT 29.70, call 95.00
    "unrealised_change_usd": "89.9",  # AAPL 30 x 2.00 - 0.10, MSFT -30.00, call 60.00
    "day_start_equity_usd": "100449.35",
    "equity_usd": "100389.7",
}
BEGUN_USD = Decimal(100_000)
PAID = {DAYS[0]: Decimal("8.55"), DAYS[1]: Decimal("4.25")}  # fees, on the day they arose
EARNED_BEFORE = Decimal("222.15")  # of what left on day two: AAPL 29.70 - 0.30, NQ 195.00 - 2.25


def test_every_view_tells_the_same_account(tmp_path: Path) -> None:
    async def first(api: Api) -> None:
        quoted(api, OPENED)
        for symbol, qty in (("AAPL", 100), ("MSFT", -50), (CALL, 2), ("NQH6", 1)):
            await traded(api, symbol, qty)
        quoted(api, CLOSED)
        for symbol, qty in (("AAPL", -40), ("MSFT", 20), (CALL, -1)):
            await traded(api, symbol, qty)
        await agreed(api, tmp_path, FIRST_DAY)
        await api.world.at(CLOSE + timedelta(seconds=5))

    async def second(api: Api) -> None:
        quoted(api, NEXT)
        for symbol, qty in (("AAPL", -30), ("AAPL", 10), ("NQH6", -1)):
            await traded(api, symbol, qty)
        daily = await agreed(api, tmp_path, SECOND_DAY)
        start, equity = daily["day_start_equity_usd"], daily["equity_usd"]
        moved = daily["realised_usd"] - daily["open_fees_usd"] + daily["unrealised_change_usd"]
        assert start + moved - EARNED_BEFORE == equity

    at_gateway(tmp_path, first, at=CLOSE - timedelta(minutes=3), quotes=OPENED)
    begin = sessions.open_at(DAYS[1]) + timedelta(minutes=6)
    at_gateway(tmp_path, second, at=begin, quotes=CLOSED)


def test_equity_says_when_the_gateway_told_it(tmp_path: Path) -> None:
    """Between two of its messages prices move, and the parts with them; the page says so."""

    async def story(api: Api) -> None:
        quoted(api, {"AAPL": (100, 100.02)})
        await traded(api, "AAPL", 100)
        await api.world.sleep(5)
        quoted(api, {"AAPL": (101, 101.02)})
        await api.world.sleep(1)
        asked = api.service.now
        before = await told(api, "/v1/pnl/daily")
        assert (before["equity_usd"], before["unrealised_change_usd"]) == ("99998", "99")
        shown = await equity_note(api)
        await api.world.sleep(4)
        after = await told(api, "/v1/pnl/daily")
        assert (after["equity_usd"], after["unrealised_change_usd"]) == ("100098", "99")
        first, second = (datetime.fromisoformat(row["equity_at"]) for row in (before, after))
        assert first < asked < second
        assert shown == f"as the broker told at {clock(first)}, \u22122.00 since the day began"
        assert (await equity_note(api)).startswith(f"as the broker told at {clock(second)}, +98.00")

    at_gateway(tmp_path, story, at=CLOSE - timedelta(minutes=3), quotes=OPENED)


def at_gateway(
    folder: Path,
    story: Callable[[Api], Awaitable[None]],
    *,
    at: datetime,
    quotes: dict[str, tuple[float, float]],
) -> None:
    """Run a story with an executor's API at the gateway; the account goes on from the last one."""

    async def main() -> None:
        scene = WireScene(folder=folder, clock=LoopClock(at), night=reference("AAPL", "MSFT"))
        api = Api(scene)
        await scene.serve()
        try:
            quoted(api, quotes)
            await api.up()
            await scene.rearmed()
            await scene.sleep(2)
            await story(api)
            await api.client.aclose()
            await scene.stop()
        finally:
            await settle()
            await scene.sim.stop()

    run(main())


def quoted(api: Api, quotes: dict[str, tuple[float, float]]) -> None:
    for symbol, (low, high) in quotes.items():
        bid, ask = Decimal(str(low)), Decimal(str(high))
        mid = (bid + ask) / 2
        api.world.sim.tick(symbol, bid=bid, ask=ask, last=mid, bid_size=500, ask_size=500)


async def traded(api: Api, symbol: str, qty: int) -> None:
    """A person's market order, booked with its fee."""
    executions = api.service.desk.state.executions
    before = len(executions)
    side = "BUY" if qty > 0 else "SELL"
    api.world.sim.place_manual(symbol=symbol, side=side, qty=abs(qty))
    await api.world.wait(lambda: len(executions) > before)
    await api.world.sleep(1)


async def agreed(api: Api, root: Path, wanted: dict[str, str]) -> dict[str, Decimal]:
    """Check every view against the day's figures worked by hand, and the sums of the book."""
    await api.world.sleep(5)
    await api.service.desk.writer.flush()
    daily = await told(api, "/v1/pnl/daily")
    assert {name: daily[name] for name in wanted} == wanted
    figures = {name: Decimal(text) for name, text in wanted.items()}
    await on_the_api(api, figures)
    await on_the_page(api, figures)
    await in_the_report(api, root, figures)
    return figures


async def told(api: Api, path: str) -> Any:
    return (await api.ask("GET", path)).json()


async def on_the_api(api: Api, figures: dict[str, Decimal]) -> None:
    """Days add up to the summary, positions to what is unrealised, trades to both."""
    total = await told(api, "/v1/pnl/summary")
    assert Decimal(total["unrealised_usd"]) == figures["unrealised_usd"]
    days = (await told(api, "/v1/pnl/history"))["days"]
    today = {name: days[-1][name] for name in ("realised_usd", "fees_usd")}
    assert {name: Decimal(text) for name, text in today.items()}.items() <= figures.items()
    for name in today:
        assert summed(days, name) == Decimal(total[name])
    positions = (await told(api, "/v1/positions"))["positions"]
    assert summed(positions, "unrealised_usd") == figures["unrealised_usd"]
    open_fees = summed((await told(api, "/v1/lots"))["rows"], "fee_left_usd")
    log = (await told(api, "/v1/logs/trades"))["trades"]
    assert summed(log, "pnl_usd") == Decimal(total["realised_usd"])
    assert summed(log, "fees_usd") == Decimal(total["fees_usd"]) + open_fees
    made = Decimal(total["realised_usd"]) - open_fees + figures["unrealised_usd"]
    assert BEGUN_USD + made == figures["equity_usd"]
    page = (await told(api, "/v1/audit/report"))["markdown"]
    quarters = re.findall(r"trades, (\S+) USD net", page)
    assert sum(Decimal(text) for text in quarters) == Decimal(total["realised_usd"])
    text = (await api.ask("GET", "/v1/metrics/prom")).text
    (day_pnl,) = re.findall(r"^bft_executor_day_pnl_usd (\S+)$", text, re.MULTILINE)
    desk = api.service.desk
    counted = desk.state.limits_of("account", desk.account, desk.trading_day, at=desk.now)
    assert counted.realised_usd == figures["realised_usd"]
    assert counted.fees_usd == PAID[desk.trading_day]
    spent = figures["realised_usd"] - figures["open_fees_usd"]
    assert float(day_pnl) == float(spent + figures["unrealised_change_usd"])


async def on_the_page(api: Api, figures: dict[str, Decimal]) -> None:
    headers = {"cookie": f"bft_session={token('viewer')}"}
    shown = (await api.client.get("/?part=board", headers=headers)).text
    tile = r'class="tile"><span>(.*?)</span><b>(?:<span class="\w*">)?(.*?)<.*?<small>(.*?)</small>'
    tiles = {name: (value, note) for name, value, note in re.findall(tile, shown, re.DOTALL)}
    since = figures["equity_usd"] - figures["day_start_equity_usd"]
    assert tiles["Equity"][0] == f"${figures['equity_usd']:,.2f}"
    assert signed(since) in tiles["Equity"][1]
    assert tiles["Realised today, USD"][0] == signed(figures["realised_usd"])
    assert tiles["Open fees, USD"][0] == signed(-figures["open_fees_usd"])
    assert tiles["Unrealised change, USD"][0] == signed(figures["unrealised_change_usd"])


async def equity_note(api: Api) -> str:
    headers = {"cookie": f"bft_session={token('viewer')}"}
    shown = (await api.client.get("/?part=board", headers=headers)).text
    (note,) = re.findall(r"<span>Equity</span>.*?<small>(.*?)</small>", shown, re.DOTALL)
    return str(note)


def clock(at: datetime) -> str:
    return f"{at.astimezone(sessions.NEW_YORK):%H:%M:%S}"


async def in_the_report(api: Api, root: Path, figures: dict[str, Decimal]) -> None:
    """What `bft run close` keeps of the day, `bft ledger` of the book, and the report of both."""
    day = api.service.desk.trading_day
    ports = make_ports(root, api=await Answers.of(api))
    close.run(ports, arguments(close.STEP, "--reconcile", "--asof", str(day), json=True), no_tick)
    code, _, _ = bft("ledger", "export", "--format", "json", "--root", str(root), "--json")
    assert code == 0
    kept = json.loads((root / f"ledger/days/{day}.json").read_text())
    book = json.loads((root / "ledger/book.json").read_text())
    _, positions, _ = bft("ledger", "positions", "--root", str(root), "--json")
    assert positions["positions"] == book["positions"]
    facts = dict(trading(day, book, kept)["facts"])
    assert facts["Realised, net of fees"] == f"{signed(figures['realised_usd'])} USD"
    assert facts["Fees of it"] == f"${figures['fees_usd']:.2f}"
    assert facts["Open fees"].startswith(f"${figures['open_fees_usd']:.2f},")
    assert facts["Unrealised change"] == f"{signed(figures['unrealised_change_usd'])} USD"
    assert facts["Account before"] == f"${figures['day_start_equity_usd']:,.2f}"
    assert facts["Account after"] == f"${figures['equity_usd']:,.2f}"
    standing = executor.standing(ports.api, str(root))
    costs = {row["symbol"]: Decimal(row["average_cost_usd"]) for row in book["positions"]}
    assert {p["symbol"]: Decimal(p["average_cost"]) for p in standing["positions"]} == costs


@dataclass
class Answers:
    """The executor's answers at an instant, for callers that cannot wait on this loop."""

    bodies: dict[str, Any]
    url: str = "http://executor"
    asked: int = 0

    @classmethod
    async def of(cls, api: Api) -> "Answers":
        paths = ("health", "pnl/daily", "positions", "orders?limit=1000", "kill", "halts")
        more = ("reconcile/unknown", "events?limit=1000")
        return cls({f"/v1/{path}": await told(api, f"/v1/{path}") for path in (*paths, *more)})

    def ask(self, method: str, path: str, **_: Any) -> Reply:
        if not path.startswith("/v1/reconcile") or path in self.bodies:
            return Reply(status=200, body=self.bodies[path])
        self.asked += method == "POST"
        return Reply(status=200, body={"result": {"number": self.asked}})


def summed(rows: list[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in rows if row[name] is not None), Decimal(0))


def signed(value: Decimal) -> str:
    return f"{value:+,.2f}".replace("-", "\u2212")
