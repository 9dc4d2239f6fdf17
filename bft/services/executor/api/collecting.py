"""Figures that are read off the executor's state when metrics are asked for.

Source: executor specification, section 1.4.
"""

from bft.domain.alerts import PAGES, WARNINGS
from bft.domain.orders import Reason
from bft.services.executor.api.metrics import Metrics
from bft.services.executor.desk import Desk

_RULES = frozenset(reason.value for reason in Reason) | {
    "manual",
    "unknown_order",
    "position_mismatch",
    "state_restored",
}
_ALERTS = PAGES | WARNINGS
_CODES = frozenset(
    int(code)
    for code in (
        "100 101 103 104 105 106 107 109 110 111 113 116 132 133 134 135 136 161 162 165 200 201 "
        "202 203 309 310 317 321 322 326 329 354 366 383 387 388 399 404 420 434 435 436 492 502 "
        "504 507 1100 1101 1102 1300 2102 2103 2104 2105 2106 2107 2108 2109 2110 2137 2157 2158 "
        "163 10006 10052 10089 10090 10147 10148 10167 10168 10197 10349"
    ).split()
)
"""Codes of the executor specification, section 7.1; others count as `other`.

163 is the paper broker's, of an absurd price (decision record 0155).
"""


class Collector:
    """Counts what is new in the state since it was asked last; memory: ids of 30 days."""

    def __init__(self, desk: Desk, metrics: Metrics) -> None:
        self._desk, self._metrics = desk, metrics
        state = desk.state
        self._halts = set(state.halts)
        self._event = state.event_id
        self._acked = {i.intent_id for i in state.intents.values() if i.acked_at}
        self._filled = {t.id for t in state.trades.values() if t.slippage_bps is not None}
        self._epoch: int | None = None
        desk.took, desk.heard_code = self._took, self._heard
        desk.writer.took = lambda seconds: self._took("commit", seconds)

    def collect(self) -> None:
        """Bring counters and histograms up to now."""
        self._new_halts()
        self._new_alerts()
        self._new_acks()
        self._new_fills()
        epoch = self._desk.broker.epoch
        if self._epoch is not None and epoch > self._epoch:
            self._metrics.reconnects.inc(epoch - self._epoch)
        self._epoch = epoch or self._epoch

    def _took(self, what: str, seconds: float) -> None:
        self._metrics.seconds[what].observe(seconds)

    def _heard(self, code: int) -> None:
        label = str(code) if code in _CODES else "other"
        self._metrics.broker_errors.labels(label).inc()

    def _new_halts(self) -> None:
        for halt in self._desk.state.halts.values():
            if halt.halt_id not in self._halts:
                label = halt.rule if halt.rule in _RULES else "other"
                self._metrics.halts.labels(label).inc()
        self._halts = set(self._desk.state.halts)

    def _new_alerts(self) -> None:
        for event in self._desk.state.events:
            if event.event_id > self._event and event.name in _ALERTS:
                self._metrics.alerts.labels(event.name).inc()
        self._event = self._desk.state.event_id

    def _new_acks(self) -> None:
        known = set()
        for intent in self._desk.state.intents.values():
            if intent.acked_at is None:
                continue
            known.add(intent.intent_id)
            if intent.intent_id not in self._acked and intent.sent_at is not None:
                took = (intent.acked_at - intent.sent_at).total_seconds()
                self._metrics.seconds["ack"].observe(max(0.0, took))
        self._acked = known

    def _new_fills(self) -> None:
        known = set()
        for trade in self._desk.state.trades.values():
            if trade.slippage_bps is None:
                continue
            known.add(trade.id)
            if trade.id not in self._filled:
                self._metrics.slippage.observe(float(trade.slippage_bps))
        self._filled = known
