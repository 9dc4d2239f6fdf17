"""Who writes sentences about numbers."""
