"""Objects and tables under a root: a folder here, a bucket there."""
