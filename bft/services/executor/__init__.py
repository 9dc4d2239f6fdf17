"""The executor: signals to bracket orders, exactly once, inside limits, with exits always there."""
