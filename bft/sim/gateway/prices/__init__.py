"""Where simulated prices come from."""
