"""Company facts: EARNINGS, EARNINGS_CALENDAR, BALANCE_SHEET, OVERVIEW, LISTING_STATUS."""

from datetime import date, timedelta

import numpy as np

from bft.sim.market.call import Answer, Call, as_csv, as_json, invalid
from bft.sim.market.draws import key, uniform
from bft.sim.market.reports import Reports
from bft.sim.market.series import bars_of
from bft.sim.market.universe import Listing

CALENDAR_DAYS = {"3month": 91, "6month": 183, "12month": 365}
RATINGS = ("StrongBuy", "Buy", "Hold", "Sell", "StrongSell")


def earnings(call: Call) -> Answer:
    """EARNINGS, newest first; figures on the share basis of the moment, as vendors restate them."""
    found = _stock(call)
    if found is None:
        return as_json({})
    place, said = found
    shares = _basis(call, place)
    done = int((said.released_at <= call.moment.local).sum())
    today = call.moment.today
    ended = int((said.quarter_ends < today).sum())
    quarters = [_expected(said, n, shares) for n in reversed(range(done, max(done, ended)))]
    quarters += [_reported(said, n, shares) for n in reversed(range(done))]
    years = [
        {
            "fiscalDateEnding": str(said.quarter_ends[n]),
            "reportedEPS": f"{said.reported[n - 3 : n + 1].sum() / shares:.4f}",
        }
        for n in reversed(range(3, done))
        if said.quarter_ends[n].astype("datetime64[M]").astype(int) % 12 in {11, 0}
    ]
    return as_json({"symbol": call.symbol, "annualEarnings": years, "quarterlyEarnings": quarters})


def calendar(call: Call) -> Answer:
    """EARNINGS_CALENDAR: reports expected within the horizon, as CSV."""
    header = "symbol,name,reportDate,fiscalDateEnding,estimate,currency".split(",")
    horizon = CALENDAR_DAYS.get(call.params.get("horizon", "3month"))
    if horizon is None:
        return invalid(call)
    rows = [
        line
        for place, one in enumerate(call.world.stocks)
        if max(call.row, one.first_row) < call.end(place)
        and call.symbol in {"", one.symbol_at(call.row)}
        for line in _upcoming(call, place, call.moment.today + horizon)
    ]
    return as_csv(header, sorted(rows))


def balance_sheet(call: Call) -> Answer:
    """BALANCE_SHEET, newest first; a quarter appears up to 15 days after its report."""
    found = _stock(call)
    if found is None:
        return as_json({})
    place, said = found
    filed = (said.statement_on <= call.moment.today) & (said.released_at <= call.moment.local)
    count = _shares_outstanding(call, place)
    rows = [_statement(said, n, count, _basis(call, place)) for n in np.flatnonzero(filed)[::-1]]
    return as_json({"symbol": call.symbol, "annualReports": rows[3::4], "quarterlyReports": rows})


def overview(call: Call) -> Answer:
    """OVERVIEW of the moment; funds, unknown and delisted symbols have none."""
    found = _stock(call)
    if found is None or call.end(found[0]) <= call.row:
        return as_json({})
    place, said = found
    one, basis, name = call.listing(place), _basis(call, place), key(call.listing(place).symbol)
    year = bars_of(call, place, last=252)
    price = float(year.prices[3, -1])
    done = int((said.released_at <= call.moment.local).sum())
    eps = float(said.reported[max(0, done - 4) : done].sum()) / basis
    book = float(said.equity_per_share[done - 1]) / basis
    paid = float((year.dividend * call.world.bars.shares[year.rows, place]).sum()) / basis
    shares = _shares_outstanding(call, place)
    level = year.prices * (call.world.bars.shares[year.rows, place] / basis)
    ahead = eps * (1 + 0.2 * uniform(call.world.plan.seed, "overview/ahead", name, done).item())
    facts = {
        "Symbol": call.symbol,
        "AssetType": "Common Stock",
        **_about(one),
        "LatestQuarter": str(said.quarter_ends[done - 1]),
        "MarketCapitalization": f"{shares * price:.0f}",
        "PERatio": f"{price / eps:.2f}" if eps > 0 else "None",
        "BookValue": f"{book:.2f}",
        "DividendPerShare": f"{paid:.4f}" if paid else "None",
        "DividendYield": f"{paid / price:.4f}" if paid else "None",
        "EPS": f"{eps:.4f}",
        "DilutedEPSTTM": f"{eps:.4f}",
        "AnalystTargetPrice": f"{1.1 * price:.2f}",
        **_ratings(call, name, done),
        "TrailingPE": f"{price / eps:.2f}" if eps > 0 else "-",
        "ForwardPE": f"{price / ahead:.2f}" if eps > 0 else "-",
        "PriceToBookRatio": f"{price / book:.3f}",
        "Beta": f"{call.world.traits.beta[place]:.3f}",
        "52WeekHigh": f"{level[1].max():.4f}",
        "52WeekLow": f"{level[2].min():.4f}",
        "50DayMovingAverage": f"{level[3, -50:].mean():.4f}",
        "200DayMovingAverage": f"{level[3, -200:].mean():.4f}",
        "SharesOutstanding": f"{shares:.0f}",
    }
    return as_json(facts)


def listing_status(call: Call) -> Answer:
    """LISTING_STATUS, state active or delisted, as CSV; a renamed symbol is delisted."""
    header = "symbol,name,exchange,assetType,ipoDate,delistingDate,status".split(",")
    state = call.params.get("state", "active").lower()
    if state not in {"active", "delisted"}:
        return invalid(call)
    rows = [
        row
        for one in call.world.listings
        if one.listed(call.row)
        for row in _status(call, one)
        if row[-1].lower() == state
    ]
    return as_csv(header, sorted(rows))


def _stock(call: Call) -> tuple[int, Reports] | None:
    place = call.find()
    if place is None or call.listing(place).is_etf:
        return None
    return place, call.world.reports[place]


def _basis(call: Call, place: int) -> float:
    return float(call.world.bars.shares[max(call.row, 0), place])


def _shares_outstanding(call: Call, place: int) -> float:
    name = key(call.listing(place).symbol)
    millions = 50 * 40 ** uniform(call.world.plan.seed, "overview/shares", name).item()
    return round(float(millions), 1) * 1e6 * _basis(call, place)


def _upcoming(call: Call, place: int, until: np.datetime64) -> list[list[str]]:
    said, one, shares = call.world.reports[place], call.listing(place), _basis(call, place)
    wanted = (said.released_at > call.moment.local) & (said.expected_on <= until)
    return [
        [
            one.symbol_at(call.row),
            one.name,
            str(said.expected_on[n]),
            str(said.quarter_ends[n]),
            f"{said.estimate[n] / shares:.4f}",
            "USD",
        ]
        for n in np.flatnonzero(wanted)
    ]


def _reported(said: Reports, n: int, shares: float) -> dict[str, str]:
    reported, estimate = said.reported[n] / shares, said.estimate[n] / shares
    return {
        "fiscalDateEnding": str(said.quarter_ends[n]),
        "reportedDate": str(said.reported_on[n]),
        "reportedEPS": f"{reported:.4f}",
        "estimatedEPS": f"{estimate:.4f}",
        "surprise": f"{reported - estimate:.4f}",
        "surprisePercentage": f"{said.surprise_pct[n]:.4f}",
        "reportTime": "pre-market" if said.pre_market[n] else "post-market",
    }


def _expected(said: Reports, n: int, shares: float) -> dict[str, str]:
    return {
        "fiscalDateEnding": str(said.quarter_ends[n]),
        "reportedDate": str(said.expected_on[n]),
        "reportedEPS": "None",
        "estimatedEPS": f"{said.estimate[n] / shares:.4f}",
        "surprise": "0",
        "surprisePercentage": "None",
        "reportTime": "pre-market" if said.pre_market[n] else "post-market",
    }


def _statement(said: Reports, n: int, shares: float, basis: float) -> dict[str, str]:
    equity = said.equity_per_share[n] / basis * shares
    return {
        "fiscalDateEnding": str(said.quarter_ends[n]),
        "reportedCurrency": "USD",
        "totalAssets": f"{2.4 * equity:.0f}",
        "totalLiabilities": f"{1.4 * equity:.0f}",
        "goodwill": "None",
        "totalShareholderEquity": f"{equity:.0f}",
        "commonStockSharesOutstanding": f"{shares:.0f}",
    }


def _about(one: Listing) -> dict[str, str]:
    return {
        "Name": one.name,
        "Description": f"{one.name} exists in a simulation only.",
        "Exchange": one.exchange,
        "Currency": "USD",
        "Country": "USA",
        "Sector": one.sector or "",
        "Industry": one.industry or "",
    }


def _ratings(call: Call, name: int, quarter: int) -> dict[str, str]:
    share = uniform(call.world.plan.seed, "overview/rating", name, quarter, np.arange(5))
    return {
        f"AnalystRating{word}": f"{12 * part:.0f}" if part > 0.05 else "-"
        for word, part in zip(RATINGS, share.tolist(), strict=True)
    }


def _status(call: Call, one: Listing) -> list[list[str]]:
    days, kind = call.world.days, "ETF" if one.is_etf else "Stock"
    gone = one.end_row is not None and one.end_row <= call.row
    ipo = days[one.first_row] if one.first_row else _ipo(one, days[0])

    def line(symbol: str, end: str, state: str) -> list[str]:
        return [symbol, one.name, one.exchange, kind, str(ipo), end, state]

    if gone:
        return [line(one.symbol, str(days[one.end_row or 0]), "Delisted")]
    rows = [line(one.symbol_at(call.row), "null", "Active")]
    if one.old_symbol and call.row >= one.renamed_row:
        rows.append(line(one.old_symbol, str(days[one.renamed_row]), "Delisted"))
    return rows


def _ipo(one: Listing, start: date) -> date:
    years = 1 + 29 * uniform(0, "ipo", key(one.symbol)).item()
    return start - timedelta(days=int(365 * years))
