"""Replays days through strategies, risk, exits and fills."""
