"""What the executor did on a day, counted by hand."""

from datetime import date
from typing import Any

import pytest

from bft.reports.trading import trading

DAY = date(2026, 1, 5)
AT, BEFORE = "2026-01-05T15:00:00+00:00", "2026-01-02T15:00:00+00:00"


def trade(name: str, **changes: Any) -> dict[str, Any]:
    empty = dict.fromkeys(
        "entry_price stop_price target_price exited_at exit_price pnl_usd r_multiple slippage_bps "
        "outcome entered_at".split()
    )
    about = {"id": name, "order_id": name, "symbol": name, "strategy_id": "bollinger"}
    about |= {"side": "BUY", "qty": "10", "created_at": AT, "is_backfill": False}
    return {**empty, **about, "simulated": True, "exit_reason": "", **changes}


def book(**tables: Any) -> dict[str, Any]:
    names = ("trades", "executions", "lots", "denials", "lapsed")
    return {name: tables.get(name, []) for name in names}


def execution(at: str, kind: str = "STK", **changes: Any) -> dict[str, Any]:
    return {"at": at, "superseded_by": None, "contract": {"sec_type": kind}, **changes}


def close(at: str, pnl: str) -> dict[str, str]:
    return {"at": at, "pnl_usd": pnl, "fee_usd": "1", "qty": "10"}


def lot(*closes: dict[str, str], opened_at: str = BEFORE, **changes: Any) -> dict[str, Any]:
    about = {"sec_type": "STK", "opened_at": opened_at, "qty": "40", "fee_usd": "2"}
    about |= {"trade_id": "A"}
    return {**about, "closes": list(closes), **changes}


def test_day_counts_its_own_fills_results_and_slippage() -> None:
    told = trading(
        DAY,
        book(
            trades=[
                trade("AAPL", entered_at=AT, slippage_bps="4", outcome="fill"),
                trade("MSFT", entered_at=AT, slippage_bps="-2", exited_at=AT, pnl_usd="18"),
                trade("OLD", created_at=BEFORE, entered_at=BEFORE, slippage_bps="90"),
                trade("BACK", is_backfill=True),
            ],
            executions=[
                execution(AT),
                execution(AT, superseded_by="x.02"),
                execution(BEFORE),
            ],
            lots=[
                lot(close(AT, "18"), close(BEFORE, "100")),
                lot(close(AT, "-5.5"), opened_at=AT),
            ],
        ),
        None,
    )
    facts = dict(told["facts"])
    assert told["title"] == "1 fill, +12.50 USD realised"
    assert facts["Fees of it"] == "$3.00"  # 1 and a quarter of 2, twice
    assert facts["Open fees"] == "$1.50, paid on the day for what stays open"
    assert facts["Slippage, median"] == "+1.0 bps"
    assert [row["symbol"] for row in told["rows"]] == ["AAPL", "MSFT"]


def test_lapsed_entries_and_denials_are_counted_by_reason() -> None:
    lapsed = [
        {"intent_id": name, "at": at, "reason": reason}
        for name, at, reason in (
            ("AAPL", AT, "kill switch"),
            ("AAPL-stop", AT, "kill switch"),
            ("MSFT", AT, "session LOST"),
            ("OLD", BEFORE, "kill switch"),
        )
    ]
    denials = [{"at": AT, "reason": "confidence"}] * 2 + [{"at": BEFORE, "reason": "size"}]
    trades = [trade("AAPL"), trade("MSFT"), trade("OLD", created_at=BEFORE)]
    facts = dict(trading(DAY, book(trades=trades, lapsed=lapsed, denials=denials), None)["facts"])
    assert facts["Lapsed, never sent"] == "2: kill switch 1, session LOST 1"
    assert facts["Denied"] == "2: confidence 2"


def test_account_before_and_after_is_what_the_executor_said() -> None:
    account = {
        "account": "PER",
        "mode": "paper",
        "simulated": True,
        "pnl": {
            "unrealised_change_usd": "-7.5",
            "day_start_equity_usd": "100000",
            "equity_usd": "99992.5",
        },
        "reconciliation": {"differences": [{"symbol": "AAPL"}]},
    }
    facts = dict(trading(DAY, book(), account)["facts"])
    assert facts["Account"] == "...PER, paper, simulated"
    assert (facts["Account before"], facts["Account after"]) == ("$100,000.00", "$99,992.50")
    assert facts["Book against broker"] == "1 difference"


@pytest.mark.parametrize(
    ("kind", "told", "rows"), [("FUT", "0 fills, 0.00", []), ("STK", "1 fill, +18.00", ["A"])]
)
def test_day_of_a_future_ends_at_1700_in_chicago(kind: str, told: str, rows: list[str]) -> None:
    """18:30 in New York: the shares' Monday, the futures' Tuesday."""
    evening = "2026-01-05T23:30:00+00:00"
    kept = book(
        lots=[lot(close(evening, "18"), sec_type=kind)],
        executions=[execution(evening, kind)],
        trades=[trade("A", created_at=BEFORE, exited_at=evening)],
    )
    page = trading(DAY, kept, None)
    assert page["title"] == f"{told} USD realised"
    assert [row["symbol"] for row in page["rows"]] == rows


def test_no_book_is_said() -> None:
    assert "bft ledger export" in trading(DAY, None, None)["absent"]
