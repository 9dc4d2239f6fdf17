"""Bars, options, fundamentals, macro and news to gold rows."""
