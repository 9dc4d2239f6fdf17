"""REALTIME_BULK_QUOTES and GLOBAL_QUOTE: the running session, or the last one after hours."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from bft.domain import sessions
from bft.sim.market.call import Answer, Call, as_csv, as_json, table
from bft.sim.market.draws import key, normal, uniform

BULK_LIMIT = 100
AFTER_HOURS = timedelta(hours=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A security's session so far, USD as traded."""

    day: date
    at: datetime
    open: float
    high: float
    low: float
    last: float
    volume: float
    previous: float

    @property
    def change(self) -> float:
        """Against the previous close, which the vendor does not adjust."""
        return self.last - self.previous


def quote_of(call: Call, place: int) -> Quote:
    """Quote of a listed security: its running bar so far, or its last whole bar."""
    moment, bars, one = call.moment, call.world.bars, call.listing(place)
    row, share = call.end(place) - 1, 1.0
    running = moment.running
    if running and (one.end_row is None or row + 1 < one.end_row):
        row += 1
        opened, closes = sessions.open_at(running), sessions.close_at(running)
        share = (moment.at - opened) / (closes - opened)
    name, seed, minute = key(one.symbol), call.world.plan.seed, int(moment.at.timestamp() // 60)
    opening, high, low, close = (
        float(part[row, place]) for part in (bars.open, bars.high, bars.low, bars.close)
    )
    bend = 0.25 * normal(seed, "quote", name, minute).item() * (share * (1 - share)) ** 0.5
    last = min(max(opening + (close - opening) * share + bend * (high - low), low), high)
    top, bottom, day = max(opening, last), min(opening, last), call.world.days[row]
    age = timedelta(seconds=int(15 * uniform(seed, "quote/age", name, minute).item()))
    return Quote(
        day=day,
        at=max(min(moment.at, sessions.close_at(day) + AFTER_HOURS) - age, sessions.open_at(day)),
        open=opening,
        high=round(top + share * (high - top), 4),
        low=round(bottom - share * (bottom - low), 4),
        last=round(last, 4),
        volume=float(round(bars.volume[row, place] * share)),
        previous=float(bars.close[max(row - 1, one.first_row), place]),
    )


def bulk(call: Call) -> Answer:
    """REALTIME_BULK_QUOTES for up to 100 symbols; unknown ones are left out."""
    asked = call.symbol.split(",")[:BULK_LIMIT]
    message = "success"
    if call.strikes("sample_data"):
        message = "This is sample data; subscribe to a premium plan for realtime quotes."
        asked = [one.symbol for one in call.world.stocks if one.symbol not in asked][: len(asked)]
    found = [(symbol, place) for symbol in asked if (place := call.find(symbol)) is not None]
    rows = [_bulk_row(symbol, quote_of(call, place)) for symbol, place in found]
    return table(call, {"endpoint": "Realtime Bulk Quotes", "message": message}, rows)


def single(call: Call) -> Answer:
    """GLOBAL_QUOTE."""
    place = call.find()
    if place is None:
        return as_json({"Global Quote": {}})
    quote = quote_of(call, place)
    values = {
        "symbol": call.symbol,
        "open": f"{quote.open:.4f}",
        "high": f"{quote.high:.4f}",
        "low": f"{quote.low:.4f}",
        "price": f"{quote.last:.4f}",
        "volume": f"{quote.volume:.0f}",
        "latest trading day": str(quote.day),
        "previous close": f"{quote.previous:.4f}",
        "change": f"{quote.change:.4f}",
        "change percent": f"{100 * quote.change / quote.previous:.4f}%",
    }
    if call.wants_csv:
        header = [_CSV_NAMES.get(name, name) for name in values]
        return as_csv(header, [list(values.values())])
    numbered = {f"{n:02}. {name}": text for n, (name, text) in enumerate(values.items(), 1)}
    return as_json({"Global Quote": numbered})


_CSV_NAMES = {
    "latest trading day": "latestDay",
    "previous close": "previousClose",
    "change percent": "changePercent",
}


def _bulk_row(symbol: str, quote: Quote) -> dict[str, str]:
    late = quote.at > sessions.close_at(quote.day)
    return {
        "symbol": symbol,
        "timestamp": f"{quote.at.astimezone(sessions.NEW_YORK):%Y-%m-%d %H:%M:%S}.000",
        "open": f"{quote.open:.4f}",
        "high": f"{quote.high:.4f}",
        "low": f"{quote.low:.4f}",
        "close": f"{quote.last:.4f}",
        "volume": f"{quote.volume:.0f}",
        "previous_close": f"{quote.previous:.4f}",
        "change": f"{quote.change:.4f}",
        "change_percent": f"{100 * quote.change / quote.previous:.4f}",
        "extended_hours_quote": f"{quote.last:.4f}" if late else "",
        "extended_hours_change": "0.0000" if late else "",
        "extended_hours_change_percent": "0.0000" if late else "",
    }
