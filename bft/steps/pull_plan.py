"""Which calls a night needs, from what is stored (data specification, 1.1 and 1.4)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from bft.domain import sessions
from bft.domain.delivery import Want
from bft.domain.market import MACRO_SERIES

ROTATION = 20  # every symbol is asked for its whole history once in so many sessions
OLD_SESSIONS = 90  # beyond, the newest 100 rows may leave a gap
BEFORE_REPORT, AFTER_REPORT = 1, 5  # sessions around an expected report
STATEMENT_EVERY, STATEMENT_SESSIONS = 5, 60
NEWS_DAYS = 30  # the first news of a symbol
VERY_STALE = 3  # sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Symbols in rank order, and what is stored of them before this night.

    `stocks` and `watched` are among `symbols`, `ended` ones trade no more. `newest_bar` and
    `newest_news` are by symbol; `expected`: days of the coming and last reports; `reported`: newest
    reported quarter and its day; `statements`: (symbol, quarter) held; `chains`: symbols whose
    chain of asof is held. `unreached`: a compact answer begins after asof.
    """

    asof: date
    symbols: Sequence[str]
    stocks: Sequence[str]
    watched: Sequence[str]
    topics: Collection[str]
    ended: Collection[str] = frozenset()
    full: bool = False
    unreached: bool = False
    newest_bar: Mapping[str, date] = field(default_factory=dict)
    newest_news: Mapping[str, datetime] = field(default_factory=dict)
    failed: Collection[str] = frozenset()
    earnings: Collection[str] = frozenset()
    expected: Mapping[str, Sequence[date]] = field(default_factory=dict)
    reported: Mapping[str, tuple[date, date]] = field(default_factory=dict)
    statements: Collection[tuple[str, date]] = frozenset()
    chains: Collection[str] = frozenset()

    @property
    def turn(self) -> frozenset[str]:
        """Symbols whose turn it is in the rotation."""
        mine = sessions.number(self.asof) % ROTATION
        return frozenset(self.symbols[mine::ROTATION])


def list_wants(topics: Collection[str], *, asof: date, delisted: bool) -> list[Want]:
    """Market-wide lists; delisted ones on Mondays, or when asked for."""
    states = ["active", "delisted"] if delisted or asof.weekday() == 0 else ["active"]
    wants = [Want(topic="listings", name=s) for s in states] if "listings" in topics else []
    calendar = [Want(topic="earnings_calendar")] if "earnings_calendar" in topics else []
    return [*wants, *calendar]


def bar_wants(plan: Plan) -> list[Want]:
    """Daily bars of every symbol: whole where little is stored, or in its turn."""
    if "bars" not in plan.topics:
        return []
    turn, oldest = plan.turn, sessions.shift(plan.asof, -OLD_SESSIONS)
    return [
        Want(
            topic="bars",
            name=symbol,
            full=plan.full
            or plan.unreached
            or symbol in turn
            or symbol in plan.failed
            or plan.newest_bar.get(symbol, date.min) < oldest,
        )
        for symbol in plan.symbols
    ]


def second_wants(plan: Plan, *, acted: Collection[str], split: Collection[str]) -> list[Want]:
    """What the bars give cause for: whole histories after a new action, splits to check."""
    full = [Want(topic="bars", name=s, full=True) for s in plan.symbols if s in acted]
    asked = set(split) | plan.turn
    splits = [Want(topic="splits", name=s) for s in plan.symbols if s in asked]
    return [
        *(full if "bars" in plan.topics else []),
        *(splits if "splits" in plan.topics else []),
    ]


def fact_wants(plan: Plan) -> list[Want]:
    """Everything else, in table order; of ended symbols only what they once reported."""
    alive = [s for s in plan.symbols if s not in plan.ended]
    chains = [s for s in alive if s not in plan.chains]
    snapshots = [s for s in plan.stocks if s in set(alive)]
    watched = [s for s in plan.watched if s in set(alive)]
    by_topic = {
        "fundamentals": [Want(topic="fundamentals", name=s) for s in snapshots],
        "earnings": [Want(topic="earnings", name=s) for s in plan.stocks if _reports(plan, s)],
        "statements": [Want(topic="statements", name=s) for s in plan.stocks if _states(plan, s)],
        "options": [Want(topic="options", name=s) for s in chains],
        "news": [Want(topic="news", name=s, since=_since(plan, s)) for s in watched],
        "macro": [Want(topic="macro", name=series) for series in MACRO_SERIES],
    }
    return [want for topic, wants in by_topic.items() if topic in plan.topics for want in wants]


def _reports(plan: Plan, symbol: str) -> bool:
    """The first time, in its turn, or around an expected report."""
    if symbol not in plan.earnings or symbol in plan.turn:
        return True
    now = sessions.number(plan.asof)
    ages = [now - _number(day) for day in plan.expected.get(symbol, ())]
    return any(-BEFORE_REPORT <= age <= AFTER_REPORT for age in ages)


def _states(plan: Plan, symbol: str) -> bool:
    """The first time, or every fifth session after a report until that quarter is held."""
    if not any(name == symbol for name, _ in plan.statements):
        return True
    if symbol not in plan.reported:
        return False
    quarter, day = plan.reported[symbol]
    age = sessions.number(plan.asof) - _number(day)
    due = 0 < age <= STATEMENT_SESSIONS and age % STATEMENT_EVERY == 0
    return due and (symbol, quarter) not in plan.statements


def _since(plan: Plan, symbol: str) -> datetime:
    first = sessions.evening(plan.asof) - timedelta(days=NEWS_DAYS)
    return plan.newest_news.get(symbol, first)


def _number(day: date) -> int:
    return sessions.number(sessions.on_or_after(day))
