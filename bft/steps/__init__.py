"""One module per verb: read, call a pure package, write."""
