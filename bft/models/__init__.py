"""The nine stockformers; the only importer of torch."""
