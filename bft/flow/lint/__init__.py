"""The workflow linter: what Argo, or a night at five in the morning, would otherwise find."""

from bft.flow.lint.check import RULES, Finding, lint

__all__ = ["RULES", "Finding", "lint"]
