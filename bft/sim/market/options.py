"""HISTORICAL_OPTIONS and REALTIME_OPTIONS."""

from datetime import date

import numpy as np

from bft.domain import sessions
from bft.sim.market.call import Answer, Call, as_json, invalid, table
from bft.sim.market.chains import Chain, chain
from bft.sim.market.draws import uniform
from bft.sim.market.quotes import quote_of

_FIELDS = (
    "contractID symbol expiration strike type last mark bid bid_size ask ask_size volume "
    "open_interest date implied_volatility delta gamma theta vega rho"
).split()
_GREEKS = ("implied_volatility", "delta", "gamma", "theta", "vega", "rho")
_DECIMALS = dict.fromkeys(_GREEKS, 5) | dict.fromkeys(("last", "mark", "bid", "ask"), 2)


def historical(call: Call) -> Answer:
    """HISTORICAL_OPTIONS of a closed session, the newest by default."""
    place, text = call.find(), call.params.get("date", str(call.moment.day))
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return invalid(call)
    if place is None:
        return invalid(call)
    late = int(call.strikes("stale_day") or call.strikes("wrong_chain_date"))
    row = call.world.row(day) - late
    known = sessions.is_session(day) and day <= call.moment.day
    if not known or not call.listing(place).first_row <= row < call.end(place):
        return as_json({"endpoint": "Historical Options", "message": "No data", "data": []})
    rows = _rows(call, place, row, float(call.world.bars.close[row, place]))
    return table(call, {"endpoint": "Historical Options", "message": "success"}, rows)


def realtime(call: Call) -> Answer:
    """REALTIME_OPTIONS at the quote of the moment; greeks when asked for."""
    place = call.find()
    if place is None or call.end(place) <= call.row:
        return invalid(call)
    quote = quote_of(call, place)
    rows = _rows(call, place, call.world.row(quote.day), quote.last)
    if call.params.get("require_greeks", "false").lower() != "true":
        rows = [{k: v for k, v in row.items() if k not in _GREEKS} for row in rows]
    wanted = call.params.get("contract")
    rows = [row for row in rows if wanted in {None, row["contractID"]}]
    return table(call, {"endpoint": "Realtime Options", "message": "success"}, rows)


def _rows(call: Call, place: int, row: int, price: float) -> list[dict[str, str]]:
    """Contracts as the vendor writes them, in shuffled order."""
    world, made = call.world, chain(call.world, place, row, price)
    count = np.arange(len(made.strike))
    name = int(world.names[place])
    order = np.argsort(uniform(world.plan.seed, "chain/order", name, row, count), kind="stable")
    columns = _columns(made, call.symbol, str(world.days[row]))
    sent = ([column[n] for n in order] for column in columns)
    return [dict(zip(_FIELDS, cells, strict=True)) for cells in zip(*sent, strict=True)]


def _columns(made: Chain, symbol: str, day: str) -> list[list[str]]:
    dates = [str(made.expiration[n]) for n in made.expiry]
    kinds = ["call" if yes else "put" for yes in made.is_call]
    ids = [
        f"{symbol}{end[2:4]}{end[5:7]}{end[8:]}{kind[0].upper()}{1000 * strike:08.0f}"
        for end, kind, strike in zip(dates, kinds, made.strike.tolist(), strict=True)
    ]
    texts = {
        "contractID": ids,
        "symbol": [symbol] * len(ids),
        "expiration": dates,
        "strike": [f"{strike:.2f}" for strike in made.strike.tolist()],
        "type": kinds,
        "date": [day] * len(ids),
    }
    for name, values in made.values.items():
        digits = _DECIMALS.get(name, 0)
        texts[name] = [f"{value:.{digits}f}" for value in values.tolist()]
    return [texts[name] for name in _FIELDS]
