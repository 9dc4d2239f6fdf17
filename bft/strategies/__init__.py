"""One file per strategy: (gold rows, forecasts) to signals; ranking."""
