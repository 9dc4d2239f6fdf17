"""One simulated night for the tests of what people see."""

import pytest
from market import ASOF, Market, build_market

from bft.reports.night import Night, open_night


@pytest.fixture(scope="session")
def market() -> Market:
    return build_market(sessions_back=280, forecast_days=45)


@pytest.fixture(scope="session")
def night(market: Market) -> Night:
    return open_night(market.tables(), asof=ASOF)
