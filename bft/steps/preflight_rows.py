"""What of a file's rows could not be stored, found out before a night begins."""

from datetime import date
from pathlib import Path

from bft.domain.delivery import Answer, Skips

ODD = {
    "bad_symbol": "whose symbol is none, left out",
    "no_date": "without a date, left out",
    "before_1962": "before 1962, left out",
    "no_session": "on no session, left out",
    "bad_close": "without a usable close, left out",
    "bad_volume": "without a usable volume, left out",
    "repaired_ohlc": "with an odd open, high or low, mended",
    "merged_duplicate": "repeated, merged",
    "sorted_rows": "out of order, sorted",
}
"""What becomes of odd rows of a file, in words, by the reason the pull counts them under."""


def odd(answer: Answer, source: str, asof: date) -> str:
    """In words: the rows that the pull would leave out, merge, sort or mend.

    Raises:
        DataError: they are too many, or two of one day differ.
    """
    from bft.features.intake import clean_bars  # pandas: late, for a first look is quick

    given, skips = Path(source.partition(":")[2]), Skips()
    path = given if given.name == answer.file else given / answer.file
    skips.take(answer.refused)
    rows = answer.tables["bars"].to_pandas(date_as_object=False)
    clean_bars(rows, asof=asof, bulk=True, skips=skips, file=str(path))
    first = {reason: skips.names[reason][0] for reason in ODD if reason in skips.counts}
    named = {why: name.removeprefix(f"{path.parent}/") for why, name in first.items()}
    return "; ".join(
        f"{skips.counts[why]:,} {ODD[why]} ({_which(why, skips.counts[why])}{name})"
        for why, name in named.items()
    )


def _which(why: str, count: int) -> str:
    """Which of several rows is shown: of unreadable keys the first, else the newest."""
    if count == 1:
        return ""
    return "first: " if why in {"bad_symbol", "no_date"} else "newest: "
