"""A rendered workflow to a graph: lint it, run it here."""
