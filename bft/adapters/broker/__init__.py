"""Brokers: the paper account of this process, and clients of real ones."""
