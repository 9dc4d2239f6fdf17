"""A small HTTP vendor for tests: sane answers by default, scripted ones first."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from bft.domain import sessions

Script = list[tuple[int, dict[str, str], str]]


def said(body: Any, status: int = 200, **headers: str) -> tuple[int, dict[str, str], str]:
    """One scripted answer; JSON unless it is text."""
    text = body if isinstance(body, str) else json.dumps(body)
    return status, {k.replace("_", "-"): v for k, v in headers.items()}, text


@dataclass
class Vendor:
    """Answers as of `asof`; `scripts` are used up first, by function or function and symbol.

    Each takes `delay_s`, of the symbol `prompt` none.
    """

    asof: date
    stocks: tuple[str, ...] = ("AAA", "BBB")
    funds: tuple[str, ...] = ("SPY",)
    simulated: bool = False
    scripts: dict[str, Script] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    delay_s: float = 0.0
    prompt: str = ""
    url: str = ""

    def calls(self, function: str) -> list[dict[str, str]]:
        return [query for query in self.asked if query["function"] == function]

    def answer(self, query: dict[str, str]) -> tuple[int, dict[str, str], str]:
        function, symbol = query["function"], query.get("symbol") or query.get("tickers", "")
        for key in (f"{function} {symbol}", function):
            if self.scripts.get(key):
                return self.scripts[key].pop(0)
        made = getattr(self, function.lower(), self.macro)
        return said(made(query))

    def price(self, symbol: str, day: date) -> float:
        return 50.0 + 10 * (sum(map(ord, symbol)) % 5) + sessions.number(day) % 7

    def bar(self, symbol: str, day: date) -> dict[str, str]:
        close = self.price(symbol, day)
        return {
            "1. open": f"{close - 0.5:.4f}",
            "2. high": f"{close + 1:.4f}",
            "3. low": f"{close - 1:.4f}",
            "4. close": f"{close:.4f}",
            "5. adjusted close": f"{close:.4f}",
            "6. volume": "1000",
            "7. dividend amount": "0.0000",
            "8. split coefficient": "1.0",
        }

    def bars(self, symbol: str, size: str) -> dict[str, Any]:
        count = 130 if size == "full" else 100
        first = sessions.shift(self.asof, 1 - count)
        days = reversed(sessions.sessions(first, self.asof))
        return {
            "Meta Data": {"2. Symbol": symbol},
            "Time Series (Daily)": {str(day): self.bar(symbol, day) for day in days},
        }

    def time_series_daily_adjusted(self, query: dict[str, str]) -> Any:
        return self.bars(query["symbol"], query["outputsize"])

    def overview(self, query: dict[str, str]) -> Any:
        texts = {"Symbol": query["symbol"], "AssetType": "Common Stock", "Name": "Name"}
        labels = {"Exchange": "NYSE", "Country": "USA", "Sector": "FINANCE", "Industry": "BANKS"}
        numbers = {"MarketCapitalization": "1000", "BookValue": "12.5", "DividendYield": "None"}
        return {**texts, **labels, **numbers, "EPS": "-", "Beta": "1.1", "ForwardPE": "15%"}

    def earnings(self, query: dict[str, str]) -> Any:
        rows = [
            {
                "fiscalDateEnding": "2025-09-30",
                "reportedDate": "2025-11-03",
                "reportedEPS": "1.5",
                "estimatedEPS": "1.4",
                "surprise": "0.1",
                "surprisePercentage": "7.14",
                "reportTime": "pre-market",
            },
            {
                "fiscalDateEnding": "2025-12-31",
                "reportedDate": "2026-02-02",
                "reportedEPS": "None",
                "estimatedEPS": "1.6",
                "surprise": "None",
                "surprisePercentage": "None",
                "reportTime": "post-market",
            },
        ]
        return {"symbol": query["symbol"], "quarterlyEarnings": rows}

    def balance_sheet(self, query: dict[str, str]) -> Any:
        row = {
            "fiscalDateEnding": "2025-09-30",
            "totalShareholderEquity": "500",
            "commonStockSharesOutstanding": "40",
        }
        return {"symbol": query["symbol"], "quarterlyReports": [row]}

    def splits(self, query: dict[str, str]) -> Any:
        return {"symbol": query["symbol"], "data": []}

    def historical_options(self, query: dict[str, str]) -> Any:
        symbol, day = query["symbol"], date.fromisoformat(query["date"])
        rows = [
            {
                "contractID": f"{symbol}{expiration:%y%m%d}{letter}{strike * 1000:08d}",
                "symbol": symbol,
                "expiration": str(expiration),
                "strike": f"{strike}.00",
                "type": kind,
                "last": "1.00",
                "mark": "1.05",
                "bid": "1.00",
                "bid_size": "3",
                "ask": "1.10",
                "ask_size": "4",
                "volume": "10" if kind == "call" else "5",
                "open_interest": "7",
                "date": str(day),
                "implied_volatility": "0.2",
                "delta": "0.5",
                "gamma": "0.1",
                "theta": "-0.1",
                "vega": "0.1",
                "rho": "0.1",
            }
            for expiration in (day + timedelta(days=9), day + timedelta(days=2))
            for strike in range(40, 120)
            for kind, letter in (("put", "P"), ("call", "C"))
        ]
        return {"endpoint": "Historical Options", "message": "success", "data": rows}

    def news_sentiment(self, query: dict[str, str]) -> Any:
        mine = {
            "ticker": query["tickers"],
            "relevance_score": "0.9",
            "ticker_sentiment_score": "0.25",
        }
        other = {"ticker": "ZZZ", "relevance_score": "0.1", "ticker_sentiment_score": "-0.5"}
        item = {
            "title": "News",
            "url": "https://news.example/1",
            "time_published": f"{self.asof:%Y%m%d}T140000",
            "source": "Paper",
            "summary": "Words",
            "ticker_sentiment": [other, mine],
        }
        return {"items": "1", "feed": [item]}

    def earnings_calendar(self, _query: dict[str, str]) -> str:
        head = "symbol,name,reportDate,fiscalDateEnding,estimate,currency\r\n"
        return (
            head
            + "AAA,Alpha,2026-02-02,2025-12-31,1.6,USD\r\nQQ.WS,Odd,2026-02-02,2025-12-31,,USD\r\n"
        )

    def listing_status(self, query: dict[str, str]) -> str:
        head = "symbol,name,exchange,assetType,ipoDate,delistingDate,status\r\n"
        if query["state"] == "delisted":
            return head + "OLD,Old Co,NYSE,Stock,2000-01-03,2025-06-30,Delisted\r\n"
        stocks = [f"{s},{s} Inc,NYSE,Stock,2000-01-03,null,Active\r\n" for s in self.stocks]
        return (
            head
            + "".join(stocks)
            + "".join(f"{s},{s},ARCA,ETF,2000-01-03,null,Active\r\n" for s in self.funds)
        )

    def macro(self, _query: dict[str, str]) -> Any:
        rows = [{"date": "2025-12-01", "value": "4.1"}, {"date": "2025-11-01", "value": "."}]
        return {"name": "Macro", "data": rows}


@contextmanager
def serving(vendor: Vendor) -> Iterator[Vendor]:
    """The vendor on a loopback port of the system's choice."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if urlsplit(self.path).path == "/healthz":  # it tells nothing of itself
                self.send_error(404)
                return
            query = dict(parse_qsl(urlsplit(self.path).query))
            with lock:
                vendor.asked.append(query)
                vendor.headers.append(dict(self.headers))
                vendor.in_flight += 1
                vendor.most_in_flight = max(vendor.most_in_flight, vendor.in_flight)
                status, headers, text = vendor.answer(query)
            if vendor.delay_s and vendor.prompt != query.get("symbol"):
                threading.Event().wait(vendor.delay_s)
            body = text.encode()
            with lock:
                vendor.in_flight -= 1
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if vendor.simulated:
                self.send_header("X-Simulated", "bft")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        vendor.url = f"http://127.0.0.1:{server.server_port}/query"
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
