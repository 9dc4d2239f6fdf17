"""Market data vendors and files."""
