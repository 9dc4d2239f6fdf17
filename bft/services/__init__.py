"""Long-running processes: `python -m bft.services.NAME`."""
