"""Interactive Brokers, through a running IB Gateway or TWS."""

from bft.adapters.broker.ib.broker import Ib
from bft.adapters.broker.ib.settings import IbSettings, login_of, restart_of

__all__ = ["Ib", "IbSettings", "login_of", "restart_of"]
