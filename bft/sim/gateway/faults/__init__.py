"""Faults on purpose: a script of what goes wrong when (executor specification, section 11)."""
