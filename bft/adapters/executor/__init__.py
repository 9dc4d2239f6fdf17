"""Ways to reach an executor."""
