"""A market data vendor, simulated: speaks the Alpha Vantage protocol, always the same answers."""
