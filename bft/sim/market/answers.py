"""API function -> who answers it; and the answers that faults spoil."""

from dataclasses import replace

from bft.sim.market import facts, indicators, macro, news, options, quotes, series
from bft.sim.market.call import Answer, Call, Function, as_json, invalid
from bft.sim.market.universe import Listing

FUNCTIONS: dict[str, Function] = {
    "TIME_SERIES_DAILY_ADJUSTED": series.daily,
    "SPLITS": series.splits,
    "OVERVIEW": facts.overview,
    "EARNINGS": facts.earnings,
    "EARNINGS_CALENDAR": facts.calendar,
    "BALANCE_SHEET": facts.balance_sheet,
    "LISTING_STATUS": facts.listing_status,
    "HISTORICAL_OPTIONS": options.historical,
    "REALTIME_OPTIONS": options.realtime,
    "REALTIME_BULK_QUOTES": quotes.bulk,
    "GLOBAL_QUOTE": quotes.single,
    "NEWS_SENTIMENT": news.news,
    "TREASURY_YIELD": macro.treasury_yield,
    **{name: macro.answer(one) for name, one in macro.SERIES.items()},
    **dict.fromkeys(indicators.INDICATORS, indicators.indicator),
}
ALWAYS_CSV = frozenset({"EARNINGS_CALENDAR", "LISTING_STATUS"})


def answer(call: Call) -> Answer:
    """Answer one question, with the faults that sit in the answer."""
    function = FUNCTIONS.get(call.function)
    if function is None:
        return as_json({"Error Message": f"This API function ({call.function}) does not exist."})
    if call.row < 0 or call.strikes("missing_symbol"):
        return invalid(call)
    if call.strikes("empty_body"):
        is_csv = call.wants_csv or call.function in ALWAYS_CSV
        return Answer("", is_csv=True) if is_csv else as_json({})
    if call.symbol and call.function != "REALTIME_BULK_QUOTES" and call.strikes("sample_data"):
        name = "tickers" if "tickers" in call.params else "symbol"
        return function(replace(call, params={**call.params, name: _sample(call).symbol}))
    return function(call)


def _sample(call: Call) -> Listing:
    """A stock that was not asked for and is always listed."""
    steady = (
        one
        for one in call.world.stocks
        if not (one.first_row or one.end_row or one.old_symbol) and one.symbol != call.symbol
    )
    return next(steady)
