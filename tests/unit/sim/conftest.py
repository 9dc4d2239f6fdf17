from datetime import date

import pytest
from sims import vendor

from bft.sim.market.vendor import Vendor


@pytest.fixture(scope="session")
def market() -> Vendor:
    """60 stocks from 2018-01-02 to the evening of 2022-12-30."""
    return vendor()


@pytest.fixture(scope="session")
def later() -> Vendor:
    """The same plan, asked a year and a half later."""
    return vendor(today=date(2024, 6, 28))
