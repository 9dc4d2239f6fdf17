"""What the gateway's codes mean, as data.

Source: executor specification, section 7.1, table of codes.
"""

from bft.domain.broker import ErrorKind

LOST_CODES = frozenset({1100, 2110})
DATA_LOST, DATA_KEPT = 1101, 1102  # connectivity is back, without or with the subscriptions
CLIENT_ID_IN_USE = 326
AMEND_LATER = 2102  # the order is being worked on just now

_CODES: dict[ErrorKind, str] = {
    ErrorKind.REFUSED: (
        "106 107 110 111 113 116 132 133 200 201 203 383 387 388 434 435 436 10006 10052"
    ),
    ErrorKind.CANCELLED: "202",
    ErrorKind.DUPLICATE_ID: "103",
    ErrorKind.UNCHANGED: "104 105 134 135 136 161 329 2102 10147 10148",
    ErrorKind.MESSAGE: "399 10349",
    ErrorKind.HELD: "404 109 165 321 492",
    ErrorKind.PACING: "100 101 162 322 366 420",
    ErrorKind.CONNECTION: "326 502 504 507 1300",
    ErrorKind.CONNECTIVITY: "1100 1101 1102 2103 2105 2110 2157",
    ErrorKind.FARM_OK: "2104 2106 2107 2108 2158",
    ErrorKind.DATA: "354 10089 10090 10167 10168 10197 309 310 317",
}
_KINDS = {int(code): kind for kind, codes in _CODES.items() for code in codes.split()}
_MESSAGES = range(2100, 2200)  # warnings, where the table says nothing else
LISTED = tuple(sorted(_KINDS))

MARKET_DATA = "market data"  # the family of farms that quotes come from
_FARMS = dict.fromkeys((2103, 2104, 2108), MARKET_DATA)
_FARMS |= {2105: "history", 2106: "history", 2107: "history"}
_FARMS |= {2157: "definitions", 2158: "definitions"}


def kind_of(code: int) -> ErrorKind:
    """What a code means; MESSAGE for other warnings, UNLISTED for all else."""
    if code in _KINDS:
        return _KINDS[code]
    return ErrorKind.MESSAGE if code in _MESSAGES else ErrorKind.UNLISTED


def farm_of(code: int, text: str) -> str | None:
    """The farm a code speaks of, such as `market data usfarm`; None for other codes."""
    family = _FARMS.get(code)
    return f"{family} {text.rpartition(':')[2].strip()}" if family else None
