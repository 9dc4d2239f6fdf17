"""Sentences from a fixed pattern: they only state the numbers they are given."""

from collections.abc import Mapping

PATTERNS = (
    "{symbol} closed at {close}, {day_change} on the day, with {volume} shares traded.",
    "The close is {from_sma_50} from its 50-day average "
    "and {from_sma_200} from its 200-day average.",
    "It stands {from_52_week_high} from its 52-week high "
    "and {from_52_week_low} from its 52-week low.",
    "RSI 14 reads {rsi_14}, ADX 14 {adx_14}; the flags sum to {flag_delta}.",
    "The price is {pe_ratio} times trailing earnings.",
    "Trailing earnings are {trailing_earnings}, so there is no P/E ratio.",
    "Expected return: 3-day forecast {forecast_3_day}, 10-day forecast {forecast_10_day}, "
    "30-day forecast {forecast_30_day}.",
)


class Template:
    """The Summarizer without a language model."""

    name = "template"
    fallbacks = 0

    def summarize(self, symbol: str, facts: Mapping[str, object]) -> list[str]:
        """Each pattern whose every fact is known, filled in."""
        known = {"symbol": symbol, **facts}
        return [text.format_map(known) for text in PATTERNS if _complete(text, known)]


def _complete(pattern: str, known: Mapping[str, object]) -> bool:
    return all(part.split("}")[0] in known for part in pattern.split("{")[1:])
