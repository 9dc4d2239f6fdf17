"""Gold to labelled windows (N, T, F); purged walk-forward splits."""
