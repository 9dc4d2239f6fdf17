"""Fills to positions, cash and P&L; append-only, rebuilt by replay."""
