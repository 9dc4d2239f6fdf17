"""One exit engine, used by backtest and executor alike."""
