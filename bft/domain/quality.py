"""What is said of symbols that the quality gate holds back, in every report alike."""

from collections.abc import Mapping

NAMED_SYMBOLS = 3
"""Symbols that a head names with their reasons."""


def held_words(reasons: Mapping[str, str]) -> str:
    """`1 symbol quarantined: SC (10 of the last 60 sessions missing)`; empty without any."""
    if not reasons:
        return ""
    named = [f"{symbol} ({why})" for symbol, why in sorted(reasons.items())[:NAMED_SYMBOLS]]
    more = [f"{len(reasons) - NAMED_SYMBOLS} more"] if len(reasons) > NAMED_SYMBOLS else []
    count = f"{len(reasons)} symbol{'' if len(reasons) == 1 else 's'}"
    return f"{count} quarantined: {', '.join(named + more)}"


SKIPPED = {
    "empty": "the source answered, but had nothing; usual for news of funds",
    "missing": "the source does not know the symbol",
    "stale_day": "the answer was whole, but ended before this day",
    "sample_data": "the answer was a sample or another symbol's, and was not taken",
    "bad_form": "the answer was not in its documented form",
    "bad_close": "rows without a usable close",
    "bad_volume": "rows without a usable volume",
    "bad_symbol": "rows whose symbol is none",
    "no_date": "rows without a date",
    "conflicting_rows": "rows of one day that differ",
    "repaired_ohlc": "an odd open, high or low, mended",
    "replaced_bars": "bars of this night's earlier pull that have other prices now",
    "bad_report": "reports dated before their quarter ended, long after it, or not at all",
    "macro_row": "macro figures of an unknown series, or without a day or a value",
    "no_bars": "no price row of the symbol",
    "before_1962": "days before 1962",
    "no_session": "days on which the exchange was closed",
    "after_asof": "days after this one, kept out",
    "merged_duplicate": "the same row twice, taken once",
    "sorted_rows": "rows out of order, put in order",
    "refused_revision": "new values for old days, not believed",
    "not_in_universe": "symbols outside the universe",
}
"""What a reason for which the pull left something out means; others are told by name alone."""


def skipped_words(reason: str) -> str:
    """A reason's meaning in words; empty where its name says all."""
    return SKIPPED.get(reason, "")
