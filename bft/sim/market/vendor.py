"""The vendor as a value: a plan, the moment it is, its faults; questions in, replies out."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

import numpy as np

from bft.domain import sessions
from bft.domain.errors import DataError
from bft.sim.market import notices
from bft.sim.market.answers import answer
from bft.sim.market.call import Answer, Call
from bft.sim.market.faults import Faults
from bft.sim.market.moment import Moment, moment_of
from bft.sim.market.world import Plan, World

HORIZONS_DAYS = (3, 10, 30)
CSV, HTML, JSON = "text/csv", "text/html", "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer; `pace` says how its body is sent: at once, slow or never."""

    body: str
    kind: str = JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pace: str = "at once"


class Vendor:
    """Answers for one plan. Counts attempts, so that a retried call draws its fault anew."""

    def __init__(
        self, plan: Plan, now: Callable[[], Moment], faults: Faults, *, calls_per_minute: int = 0
    ) -> None:
        self.plan, self.now, self.faults = plan, now, faults
        self.attempts: Counter[tuple[object, ...]] = Counter()
        self.answered = 0
        self._bucket = _Bucket(calls_per_minute)
        self._world = lru_cache(maxsize=1)(self._make)
        self.world()

    def world(self) -> World:
        """The world; it reaches past the next new year, so it is seldom made anew."""
        return self._world(self.now().at.year + 1)

    def _make(self, year: int) -> World:
        return World(self.plan, sessions.on_or_before(date(year, 12, 31)))

    def query(self, params: Mapping[str, str], asof: str | None) -> Reply:
        """Answer `/query`; `asof` is the header X-Bft-Asof."""
        self.answered += 1
        try:
            call = Call(self.world(), self._moment(asof), self.faults, params)
        except DataError as error:
            return Reply(json.dumps({"Error Message": str(error)}), status=400)
        key = params.get("apikey", "")
        if key == "demo":
            return Reply(notices.DEMO)
        if not self._bucket.take():
            return Reply(notices.minute_limit(key, 0))
        day = call.moment.day
        attempt = self._attempt(day, params)
        fault = self.faults.call(call.function, call.symbol, day, attempt)
        return _plain(answer(call)) if fault is None else _spoilt(call, fault, key, attempt)

    def truth(self, text: str) -> Reply:
        """Planted signal of a closed session by symbol, for `/sim/truth?date=`."""
        try:
            day = date.fromisoformat(text)
        except ValueError:
            return Reply(
                json.dumps({"error": f"date={text!r}: a date such as 2025-01-06"}), status=400
            )
        world = self.world()
        row = world.row(day)
        if not sessions.is_session(day) or day > self.now().day or row < 0:
            return Reply(json.dumps({"error": f"{day} is no closed session here"}), status=404)
        values = world.truth(row)
        said = {
            world.stocks[n].symbol_at(row): round(float(values[n]), 9)
            for n in np.flatnonzero(np.isfinite(values))
        }
        return Reply(json.dumps({"date": text, "simulated": True, "truth": said}))

    def ceiling(self) -> Reply:
        """RankIC of the planted signal up to today, for `/sim/ceiling`."""
        world, day = self.world(), self.now().day
        found = {h: world.ceiling(h, rows=world.row(day) + 1) for h in HORIZONS_DAYS}
        names = ("rank_ic", "standard_error", "days")
        about = {
            "simulated": True,
            "through": str(day),
            "stocks": self.plan.stocks,
            "kappa_fast": self.plan.kappa_fast,
            "kappa_slow": self.plan.kappa_slow,
            "horizons": {str(h): dict(zip(names, v, strict=True)) for h, v in found.items()},
        }
        return Reply(json.dumps(about))

    def _attempt(self, day: date, params: Mapping[str, str]) -> int:
        if not self.faults.all:
            return 0
        asked = (day, *sorted((k, v) for k, v in params.items() if k != "apikey"))
        self.attempts[asked] += 1
        return self.attempts[asked] - 1

    def _moment(self, asof: str | None) -> Moment:
        now = self.now()
        return now if asof is None else Moment(min(moment_of(asof).at, now.at))


class _Bucket:
    """Calls of the last minute against a limit; 0 is none."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute, self.tokens, self.at = per_minute, float(per_minute), time.monotonic()

    def take(self) -> bool:
        at = time.monotonic()
        refill = (at - self.at) * self.per_minute / 60
        self.tokens, self.at = min(self.tokens + refill, self.per_minute), at
        enough = self.per_minute == 0 or self.tokens >= 1
        self.tokens -= int(enough)
        return enough


def _plain(made: Answer) -> Reply:
    return Reply(made.body, CSV if made.is_csv else JSON)


def _spoilt(call: Call, kind: str, key: str, attempt: int) -> Reply:
    """What a call fault makes of the answer."""
    if kind in {"slow_body", "half_json", "hang"}:
        made = _plain(answer(call))
        half = made.body[: len(made.body) // 2]
        return Reply(half if kind == "half_json" else made.body, made.kind, pace=kind)
    spoilt = {
        "minute_limit": Reply(notices.minute_limit(key, attempt)),
        "day_limit": Reply(notices.day_limit(key)),
        "premium": Reply(notices.PREMIUM),
        "http_500": Reply(notices.PAGE, HTML, 500),
        "http_429": Reply(notices.PAGE, HTML, 429, {"Retry-After": "1"}),
        "html": Reply(notices.PAGE, HTML),
    }
    return spoilt[kind]
