"""Prometheus metrics of one executor, in a registry of their own; label sets are closed.

Source: executor specification, section 1.4.
"""

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bft.domain.broker import SessionState
from bft.domain.orders import Decision, OrderRequest, Verdict

PREFIX = "bft_executor_"
GATE_RULE = 16
_FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_BPS = (-50.0, -10.0, -5.0, -1.0, 0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


class Metrics:
    """Every metric by its name."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._orders()
        self._gauges()
        self._times()

    def _orders(self) -> None:
        at = self.registry
        self.orders_ok = Counter(
            "trading_orders_ok", "orders accepted", ("symbol", "side"), registry=at
        )
        self.orders_blocked = Counter(
            "trading_orders_blocked", "orders denied", ("symbol", "side", "reason"), registry=at
        )
        self.halts = Counter("trading_halts", "halts set", ("reason",), registry=at)
        self.model_blocks = Counter(
            "trading_model_blocks",
            "orders the model gate denied",
            ("model_version", "reason"),
            registry=at,
        )
        self.broker_errors = Counter(
            f"{PREFIX}broker_errors", "codes heard", ("code",), registry=at
        )
        self.reconnects = Counter(
            f"{PREFIX}reconnects", "sessions begun after the first", registry=at
        )
        self.alerts = Counter(f"{PREFIX}alerts", "alerts raised", ("name",), registry=at)

    def _gauges(self) -> None:
        at = self.registry
        self.uptime = Gauge("trading_process_uptime_seconds", "since the start", registry=at)
        self.version = Gauge(
            "trading_process_version_info", "1", ("version", "environment"), registry=at
        )
        self.session_state = Gauge(f"{PREFIX}session_state", "1: now", ("state",), registry=at)
        names = {
            "ready": "1: ready",
            "may_open": "1: entries may leave",
            "kill_latched": "1: kill switch latched",
            "unknown_orders": "orders nobody knows about",
            "open_orders": "orders that are not over",
            "positions": "positions held",
            "protection_gap_qty": "units without a live stop",
            "position_mismatch_qty": "units by which book and broker differ",
            "clock_skew_seconds": "broker's clock minus ours",
            "equity_usd": "equity of the account",
            "day_pnl_usd": "realised net and unrealised of the day",
            "drawdown_frac": "below the peak of 20 sessions",
        }
        self.values = {n: Gauge(PREFIX + n, text, registry=at) for n, text in names.items()}

    def _times(self) -> None:
        at = self.registry
        names = ("commit", "send", "ack", "reconcile", "monitor_loop")
        self.seconds = {
            n: Histogram(f"{PREFIX}{n}_seconds", "seconds it took", buckets=_FAST, registry=at)
            for n in names
        }
        self.api = Histogram(
            f"{PREFIX}api_seconds",
            "seconds to answer",
            ("route", "code"),
            buckets=_FAST,
            registry=at,
        )
        self.slippage = Histogram(
            f"{PREFIX}slippage_bps",
            "entry against mid, + is worse",
            buckets=_BPS,
            registry=at,
        )

    def session(self, state: SessionState) -> None:
        """Mark the session's state."""
        for other in SessionState:
            self.session_state.labels(other.value).set(float(other is state))

    def text(self) -> bytes:
        """The Prometheus exposition."""
        return generate_latest(self.registry)


def model_labels(order: OrderRequest, decision: Decision, sets: Collection[str]) -> tuple[str, str]:
    """Version and reason of an order that the model gate (rule 16) denied.

    A version is a forecast set of the night's; an order that names another is `other`, one that
    names none is `none`. The reason is what rule 16 found.
    """
    named = order.model_version or order.set_digest
    version = "none" if named is None else named if named in sets else "other"
    gate = next(result for result in decision.rules if result.number == GATE_RULE)
    if gate.verdict is Verdict.MISSING:
        return version, "score_missing" if "score" in gate.note else "age_missing"
    return version, "too_old" if "too old" in gate.note else "score_low"


def label(symbol: str, known: Collection[str]) -> str:
    """A symbol as a label: outside the profile it is `other`."""
    return symbol if symbol in known else "other"
