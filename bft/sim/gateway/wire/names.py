"""Message numbers and names; fault scripts use the names."""

REQUESTS = {
    1: "reqMktData",
    2: "cancelMktData",
    3: "placeOrder",
    4: "cancelOrder",
    5: "reqOpenOrders",
    6: "reqAccountUpdates",
    7: "reqExecutions",
    8: "reqIds",
    9: "reqContractDetails",
    10: "reqMktDepth",
    11: "cancelMktDepth",
    15: "reqAutoOpenOrders",
    16: "reqAllOpenOrders",
    17: "reqManagedAccts",
    20: "reqHistoricalData",
    25: "cancelHistoricalData",
    49: "reqCurrentTime",
    50: "reqRealTimeBars",
    51: "cancelRealTimeBars",
    58: "reqGlobalCancel",
    59: "reqMarketDataType",
    61: "reqPositions",
    62: "reqAccountSummary",
    63: "cancelAccountSummary",
    64: "cancelPositions",
    71: "startApi",
    76: "reqAccountUpdatesMulti",
    77: "cancelAccountUpdatesMulti",
    78: "reqSecDefOptParams",
    81: "reqMatchingSymbols",
    87: "reqHeadTimeStamp",
    90: "cancelHeadTimeStamp",
    91: "reqMarketRule",
    92: "reqPnL",
    93: "cancelPnL",
    94: "reqPnLSingle",
    95: "cancelPnLSingle",
    99: "reqCompletedOrders",
}
"""Requests that are served."""
REQ_ID_PLACES = {
    **dict.fromkeys((3, 20, 78, 81, 87, 90, 92, 93, 94, 95), 1),
    **dict.fromkeys((1, 2, 4, 7, 9, 10, 11, 25, 50, 51, 62, 63, 76, 77), 2),
}
"""Where the order or request id stands in them (ib-wire, section 3); absent: they have none."""

_UNSERVED = "12-14 18 19 21-24 52-57 65-70 72-75 79 80 82-86 88 89 96-98 100-104"
"""Known ids that are answered with 321 (ib-wire, section 3)."""


def _ids(ranges: str) -> frozenset[int]:
    pairs = [part.partition("-") for part in ranges.split()]
    return frozenset(n for a, _, b in pairs for n in range(int(a), int(b or a) + 1))


UNSERVED = _ids(_UNSERVED)
UNSERVED_REQ_ID = {
    **dict.fromkeys((22, 79, 83, 84, 86, 88, 89, 96, 97, 98, 100, 101, 102, 103, 104), 1),
    **dict.fromkeys((21, 23, 52, 53, 54, 55, 56, 57, 67, 68, 69, 70, 74, 75), 2),
}
"""Where the request id stands in them; absent: they have none."""

ANSWERS = {
    1: "tickPrice",
    2: "tickSize",
    3: "orderStatus",
    4: "error",
    5: "openOrder",
    6: "accountValue",
    7: "portfolioValue",
    8: "accountUpdateTime",
    9: "nextValidId",
    10: "contractDetails",
    11: "execDetails",
    12: "marketDepth",
    13: "marketDepthL2",
    15: "managedAccounts",
    17: "historicalData",
    21: "tickOptionComputation",
    45: "tickGeneric",
    46: "tickString",
    49: "currentTime",
    50: "realtimeBar",
    52: "contractDetailsEnd",
    53: "openOrderEnd",
    54: "accountDownloadEnd",
    55: "execDetailsEnd",
    57: "tickSnapshotEnd",
    58: "marketDataType",
    59: "commissionReport",
    61: "position",
    62: "positionEnd",
    63: "accountSummary",
    64: "accountSummaryEnd",
    73: "accountUpdateMulti",
    74: "accountUpdateMultiEnd",
    75: "securityDefinitionOptionParameter",
    76: "securityDefinitionOptionParameterEnd",
    79: "symbolSamples",
    81: "tickReqParams",
    88: "headTimestamp",
    90: "historicalDataUpdate",
    93: "marketRule",
    94: "pnl",
    95: "pnlSingle",
    101: "completedOrder",
    102: "completedOrdersEnd",
}
