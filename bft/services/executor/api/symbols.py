"""Forms in which a symbol may be written, and what each trades.

Source: executor specification, sections 1.2 and 15; OCC option symbology; CME month codes.
"""

import re
from contextlib import suppress
from datetime import datetime

from bft.domain.symbols import symbol_of
from bft.domain.trading import Instrument
from bft.services.executor.api.problems import shape

OPTION = re.compile(r"([A-Z][A-Z0-9]{0,5}) *(\d{6})([CP])(\d{8})")
FUTURE = re.compile(r"(NQ|MNQ|ES|MES)[FGHJKMNQUVXZ]\d")
_RIGHTS = {"C": Instrument.CALL, "P": Instrument.PUT}


def parse_symbol(text: str, instrument: Instrument | None) -> tuple[str, Instrument]:
    """Symbol as bft stores it, and its instrument (from the form where none is named).

    Raises:
        ValueError: no form of a symbol, or one of another instrument.
    """
    word = text.strip().upper()
    option = OPTION.fullmatch(word)
    if option is not None:
        return _option(option, instrument)
    if instrument is not None and instrument.is_option:
        raise ValueError(f"a {instrument} needs an OCC symbol such as AAPL260116C00150000")
    if instrument in {None, Instrument.FUTURE} and FUTURE.fullmatch(word):
        return word, Instrument.FUTURE
    if instrument is Instrument.FUTURE:
        raise ValueError("a future is written as NQZ5: root, month code, last digit of the year")
    found = symbol_of(re.sub(r"[. ]", "-", word))
    if found is None:
        raise ValueError("no symbol; write AAPL, BRK-B, AAPL260116C00150000 or NQZ5")
    return found, Instrument.STOCK


def _option(form: re.Match[str], instrument: Instrument | None) -> tuple[str, Instrument]:
    kind = _RIGHTS[form[3]]
    if instrument not in {None, kind}:
        raise ValueError(f"the symbol is a {kind}, the instrument says {instrument}")
    with suppress(ValueError):
        datetime.strptime(form[2], "%y%m%d")  # noqa: DTZ007  a date
        if int(form[4]):
            return "".join(form.groups()), kind
    raise ValueError("an OCC symbol with a real expiry and a strike above 0")


def symbol_named(text: str) -> str:
    """A symbol in its stored form.

    Raises:
        Problem: 422.
    """
    try:
        return parse_symbol(text, None)[0]
    except ValueError as error:
        raise shape(f"{text!r}: {error}") from error
