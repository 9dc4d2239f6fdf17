"""NEWS_SENTIMENT: 0-5 articles per stock and day, some late, some twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any

import numpy as np

from bft.domain import sessions
from bft.sim.market.call import Answer, Call, as_json
from bft.sim.market.draws import key, normal, uniform
from bft.sim.market.world import World

MOST_PER_DAY, MOST_PER_ANSWER, USUAL = 5, 1000, 50
LATE_FRAC, TWICE_FRAC, PEER_FRAC = 0.05, 0.05, 0.3
MOVE_CORRELATION = 0.1
_BOUNDS = ((-0.35, "Bearish"), (-0.15, "Somewhat-Bearish"), (0.15, "Neutral"),
           (0.35, "Somewhat-Bullish"), (2.0, "Bullish"))  # fmt: skip
_DEFINITION = (
    "x <= -0.35: Bearish; -0.35 < x <= -0.15: Somewhat-Bearish; -0.15 < x < 0.15: Neutral; "
    "0.15 <= x < 0.35: Somewhat_Bullish; x >= 0.35: Bullish"
)
_VERBS = ("reports on", "comments on", "looks again at", "is asked about", "speaks of")
_TOPICS = ("Earnings", "Technology", "Financial Markets", "Manufacturing", "Economy - Macro")
_SOURCES = ("Sim Wire", "Paper Ledger", "Daily Model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """An article as sent; `arrives_at` is when the vendor has it."""

    published_at: datetime
    arrives_at: datetime
    topic: str
    entry: dict[str, Any]


def news(call: Call) -> Answer:
    """NEWS_SENTIMENT of one ticker or of articles that name all of several."""
    tickers = call.symbol.split(",")
    places = [call.find(ticker) for ticker in tickers]
    try:
        first, last = (_time(call.params.get(side)) for side in ("time_from", "time_to"))
        limit = max(1, min(int(call.params.get("limit", USUAL)), MOST_PER_ANSWER))
    except ValueError:
        return _refused()
    if None in places:
        return _refused()
    place = call.find(tickers[0])
    earliest = call.params.get("sort", "LATEST").upper() == "EARLIEST"
    found = (
        article
        for article in _feed(call, place or 0, first, last, earliest=earliest)
        if _names_all(article, tickers) and _topic(article, call.params.get("topics"))
    )
    entries = [article.entry for article in islice(found, limit)]
    return as_json(
        {
            "items": str(len(entries)),
            "sentiment_score_definition": _DEFINITION,
            "relevance_score_definition": "0 < x <= 1, with a higher score indicating higher "
            "relevance.",
            "feed": entries,
        }
    )


def articles(world: World, place: int, day: date) -> list[Article]:
    """What is published of a security on a calendar day, in order; a repeat counts as one more."""
    one, seed, number = world.listings[place], world.plan.seed, day.toordinal()
    name = int(world.names[place])
    if one.is_etf:
        return []
    count = int(6 * uniform(seed, "news/count", name, number).item() ** 2.2)
    which = np.arange(count)

    def chance(stream: str) -> list[float]:
        drawn: list[float] = uniform(seed, f"news/{stream}", name, number, which).tolist()
        return drawn

    tone = 0.25 * _tone(world, place, day, normal(seed, "news/tone", name, number, which))
    moments = np.sort(uniform(seed, "news/at", name, number, which))
    made = []
    draws = (chance("late"), chance("twice"), chance("peer"), chance("relevance"))
    for n, (late, twice, peer, relevance) in enumerate(zip(*draws, strict=True)):
        # 10:00 to 21:59 UTC: before the evening of the same New York day
        minutes = 600 + int(720 * moments[n])
        at = datetime.combine(day, time(minutes // 60, minutes % 60), UTC)
        other = _peer(world, place, peer) if peer < PEER_FRAC else None
        entry = _entry(world, place, at, (n, relevance, float(tone[n])), other)
        wait = timedelta(days=1 + int(3 * late / LATE_FRAC) if late < LATE_FRAC else 0)
        article = Article(
            published_at=at,
            arrives_at=at + wait,
            topic=entry["topics"][0]["topic"],
            entry=entry,
        )
        made += [article] * (2 if twice < TWICE_FRAC else 1)
    return made


def _feed(
    call: Call, place: int, first: datetime | None, last: datetime | None, *, earliest: bool
) -> Iterator[Article]:
    now = call.moment.at
    world, one = call.world, call.listing(place)
    begin = datetime.combine(world.days[one.first_row], time(), UTC)
    begin, end = max(first or begin, begin), min(last or now, now)
    days = range((end.date() - begin.date()).days + 1)
    for n in days if earliest else reversed(days):
        found = articles(world, place, begin.date() + timedelta(days=n))
        for article in found if earliest else reversed(found):
            if begin <= article.published_at <= end and article.arrives_at <= now:
                yield article


def _tone(world: World, place: int, day: date, noise: Any) -> Any:
    """Sentiment before scaling, correlated with the same day's move."""
    row = world.row(day)
    if not sessions.is_session(day) or row < 1:
        return noise
    level = world.returns.level[:, place]
    move = (level[row] / level[row - 1] - 1) / float(world.traits.sd[place] * 1.2)
    return MOVE_CORRELATION * move + (1 - MOVE_CORRELATION**2) ** 0.5 * noise


def _peer(world: World, place: int, chance: float) -> str | None:
    same = [
        one.symbol
        for n, one in enumerate(world.stocks)
        if one.sector == world.listings[place].sector
        and n != place
        and not (one.first_row or one.end_row or one.old_symbol)
    ]
    return same[int(chance / PEER_FRAC * len(same))] if same else None


def _entry(
    world: World, place: int, at: datetime, drawn: tuple[int, float, float], peer: str | None
) -> dict[str, Any]:
    n, relevance, tone = drawn
    one = world.listings[place]
    symbol = one.symbol_at(world.row(at.date()))
    source, topic = _SOURCES[n % 3], _TOPICS[(n + at.day) % len(_TOPICS)]
    domain = f"{source.lower().replace(' ', '-')}.example"
    title = f"{one.name} {_VERBS[(n + at.day) % len(_VERBS)]} {topic.lower()} ({at:%d %B}, {n + 1})"
    named = [(symbol, 0.3 + 0.7 * relevance, tone)]
    named += [(peer, 0.05 + 0.15 * relevance, tone / 2)] if peer else []
    return {
        "title": title,
        "url": f"https://{domain}/{symbol.lower()}/{at:%Y%m%d}-{key(title) % 10**8:08}",
        "time_published": f"{at:%Y%m%dT%H%M%S}",
        "authors": [],
        "summary": f"{title}. A simulated article.",
        "banner_image": None,
        "source": source,
        "category_within_source": "n/a",
        "source_domain": domain,
        "topics": [{"topic": topic, "relevance_score": "0.5"}],
        "overall_sentiment_score": round(tone, 6),
        "overall_sentiment_label": _label(tone),
        "ticker_sentiment": [
            {
                "ticker": ticker,
                "relevance_score": f"{weight:.6f}",
                "ticker_sentiment_score": f"{score:.6f}",
                "ticker_sentiment_label": _label(score),
            }
            for ticker, weight, score in named
        ],
    }


def _label(tone: float) -> str:
    return next(word for bound, word in _BOUNDS if tone < bound)


def _names_all(article: Article, tickers: list[str]) -> bool:
    return set(tickers) <= {one["ticker"] for one in article.entry["ticker_sentiment"]}


def _topic(article: Article, wanted: str | None) -> bool:
    words = {word.strip().lower() for word in (wanted or "").split(",") if word.strip()}
    return not words or article.topic.lower().replace(" ", "_") in words


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    form = "%Y%m%dT%H%M" if len(text) == 13 else "%Y%m%dT%H%M%S"
    return datetime.strptime(text, form).replace(tzinfo=UTC)


def _refused() -> Answer:
    docs = "https://www.alphavantage.co/documentation#newsapi"
    text = f"Invalid inputs. Please refer to the API documentation {docs} and try again."
    return as_json({"Information": text})
