"""A desk that pulls from a vendor of the tests."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from fakes import FakePorts, FixedClock, arguments, make_ports, no_tick
from vendor import Vendor

from bft.adapters.sources.alphavantage import AlphaVantage
from bft.adapters.sources.av_client import Client, Timeouts
from bft.adapters.sources.av_client import Vendor as Address
from bft.adapters.sources.bucket import Bucket
from bft.ports import Summary
from bft.steps import pull

ASOF = date(2026, 1, 5)


NOW = datetime(2026, 1, 5, 23, 30, tzinfo=UTC)


BARS = "TIME_SERIES_DAILY_ADJUSTED"


INFO = "Information"


@dataclass
class Desk:
    """A root, a vendor, and a clock; waits are recorded, not slept."""

    root: Path
    vendor: Vendor
    sim: bool = False
    waits: list[float] = field(default_factory=list)
    allowed: int = 10**6
    timeouts: Timeouts = field(default_factory=Timeouts)

    def pull(self, *words: str, asof: date = ASOF, now: datetime = NOW, **given: Any) -> Summary:
        client = self.client(now)
        lists = () if self.sim or "--universe" in words else self._lists()
        values = {"fresh": False, "asof": asof, **given}
        args = arguments(pull.STEP, "--source", "v", *lists, *words, **values)
        try:
            return pull.STEP.run(self.ports(client, now), args, no_tick)
        finally:
            client.close()

    def client(self, now: datetime) -> Client:
        calls = iter(range(self.allowed))
        return Client(
            Address(url=self.vendor.url, key="s3cret-key", sim=self.sim),
            bucket=Bucket(0, sleep=self.waits.append),
            clock=FixedClock(now),
            charge=lambda _day: next(calls, None) is not None,
            timeouts=self.timeouts,
        )

    def ports(self, client: Client, now: datetime) -> FakePorts:
        source = AlphaVantage(
            client,
            store=make_ports(self.root).store,
            clock=FixedClock(now),
            sim=self.sim,
            address=self.vendor.url,
            in_flight=8,
        )
        return make_ports(self.root, clock=FixedClock(now), sources={"v": source})

    def _lists(self) -> tuple[str, ...]:
        path = self.root.parent / "mine.csv"
        funds = "".join(f"{s},true\n" for s in self.vendor.funds)
        path.write_text(
            "symbol,is etf\n" + "".join(f"{s},false\n" for s in self.vendor.stocks) + funds
        )
        return ("--universe", str(path))

    def table(self, name: str, asof: date = ASOF) -> pd.DataFrame:
        return make_ports(self.root).store.read(name, asof=asof).to_pandas()
