"""Where training runs: inline, process pool, Ray."""
