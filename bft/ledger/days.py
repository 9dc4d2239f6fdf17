"""The ledger's days are the exchange's trading days."""

from bft.domain.trading_days import trading_day

__all__ = ["trading_day"]
