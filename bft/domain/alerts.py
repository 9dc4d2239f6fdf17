"""Names of the executor's alerts, and where it says what to do about each.

Source: executor specification, section 14; docs/adr/0054 says what differs.
"""

from datetime import timedelta

PAGES = frozenset(
    "ExecutorDown BrokerDown ApprovalNeeded UnknownOrder Overfill ProtectionMissing ExitStuck "
    "ExitFault IdRollback PositionMismatch StateRestored DayLossHalt DrawdownHalt KillLatched "
    "LiveLockBroken WrongAccount StateNotWritable LeaseLost JournalBroken".split()
)
WARNINGS = frozenset(
    "LoginTomorrow ClockSkew QuoteStale MonitorSlow DayLossNear ForeignOrder NoSignals RejectRate "
    "BrokerErrors PacingErrors AuthFailures OverrideLooser".split()
)

RETOLD = frozenset(
    "AuthFailures BrokerErrors PacingErrors RejectRate QuoteStale MonitorSlow ClockSkew "
    "NoSignals ExitFault".split()
)
"""Told again every 300 s while they last: without a new one for `OVER_AFTER` they are over."""
OVER_AFTER = timedelta(minutes=15)
FLATTENS = (
    "all positions are being closed, and what anybody buys on this account, until it is cleared"
)
"""What a kill switch that flattens does, wherever it is told. Source: section 9."""


def runbook(name: str) -> str | None:
    """Path of an alert's runbook in the repository; None for names that are no alert."""
    return f"docs/runbooks/{name}.md" if name in PAGES | WARNINGS else None
