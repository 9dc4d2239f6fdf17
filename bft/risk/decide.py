"""All 32 rules, in order, every time: the order as it may be sent, or why not.

Source: executor specification, section 4.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context as Arithmetic
from decimal import localcontext

from bft.domain.orders import Decision, OrderRequest, Reason, RuleResult, Verdict
from bft.risk import counts, freshness, gates, market, money, validity
from bft.risk.case import Case, case_of
from bft.risk.context import Context
from bft.risk.finding import PASSED, Finding

ACCEPTED = 201
MARGIN_RULE = 32
_ARITHMETIC = Arithmetic(prec=28)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule with what its block answers. `transient`: the signal may be tried again.

    `latches`: a block sets a halt; a missing input does not, and is transient.
    """

    number: int
    reason: Reason
    code: int
    check: Callable[[Case], Finding]
    transient: bool = False
    latches: bool = False


def _rule(row: tuple[Reason, int, str, Callable[[Case], Finding]], number: int) -> Rule:
    reason, code, marks, check = row
    return Rule(
        number=number,
        reason=reason,
        code=code,
        check=check,
        transient="T" in marks,
        latches="L" in marks,
    )


_TABLE: tuple[tuple[Reason, int, str, Callable[[Case], Finding]], ...] = (
    (Reason.KILL, 423, "T", gates.kill),  # rules 1 and 4: ADR 0080
    (Reason.MODE, 403, "", gates.mode),
    (Reason.NOT_ARMED, 503, "T", gates.armed),
    (Reason.HALTED, 423, "T", gates.halted),
    (Reason.AUTH, 403, "", gates.subject),
    (Reason.DUPLICATE, 409, "", gates.duplicate),
    (Reason.SYMBOL, 400, "", validity.symbol),
    (Reason.VALIDATION, 400, "", validity.validation),
    (Reason.SESSION, 400, "T", freshness.session),
    (Reason.CLOCK, 503, "T", freshness.clock),
    (Reason.STALE_DATA, 400, "T", freshness.signal_age),
    (Reason.STALE_DATA, 400, "T", freshness.quote),
    (Reason.PRICE_COLLAR, 400, "T", market.price_collar),
    (Reason.LIQUIDITY, 400, "T", market.liquidity),
    (Reason.CONFIDENCE, 400, "", market.confidence),
    (Reason.MODEL_GATE, 409, "", market.model_gate),
    (Reason.TICKER_LIMIT, 400, "", counts.ticker_limit),
    (Reason.COOLDOWN, 400, "", counts.cooldown),
    (Reason.RATE, 429, "T", counts.rate),
    (Reason.DAILY_TRADES, 400, "", counts.daily_trades),
    (Reason.DAILY_LOSS, 423, "L", counts.daily_loss),
    (Reason.DRAWDOWN, 423, "L", counts.drawdown),
    (Reason.LOSS_STREAK, 423, "L", counts.loss_streak),
    (Reason.MAX_POSITIONS, 400, "", counts.max_positions),
    (Reason.SIZE, 400, "", money.sized),
    (Reason.MAX_POSITION, 400, "", money.max_position),
    (Reason.DAILY_VOLUME, 400, "", money.daily_volume),
    (Reason.EXPOSURE, 400, "", money.exposed),
    (Reason.OPEN_RISK, 400, "", money.open_risk),
    (Reason.CASH, 400, "", money.cash),
    (Reason.OPTIONS, 400, "", money.option_rules),
    (Reason.MARGIN, 400, "T", money.margin),
)
RULES = tuple(_rule(row, number) for number, row in enumerate(_TABLE, start=1))


def evaluate(order: OrderRequest, context: Context) -> Decision:
    """Hold an opening order against every rule; the first that does not pass decides.

    Pure: equal inputs give an equal Decision. Never raises for what order and context hold; an
    input that is None, NaN, infinite or absurd and needed is a missing one, and blocks.
    """
    with localcontext(_ARITHMETIC):
        case = case_of(order, context)
        results = tuple(_result(rule, case) for rule in RULES)
    return _decision(case, results)


def needs_what_if(decision: Decision) -> bool:
    """Whether only the broker's what-if margin is missing: ask with `qty`, then decide again."""
    last = decision.rules[MARGIN_RULE - 1]
    others = decision.rules[: MARGIN_RULE - 1]
    return last.verdict is Verdict.MISSING and all(r.verdict is Verdict.PASS for r in others)


def halts_to_set(decision: Decision) -> tuple[Reason, ...]:
    """Reasons of latching rules (21 to 23) that blocked, whichever rule came first."""
    return _halts(decision.rules)


def _halts(results: tuple[RuleResult, ...]) -> tuple[Reason, ...]:
    return tuple(
        r.reason for r in results if r.verdict is Verdict.BLOCK and RULES[r.number - 1].latches
    )


def _transient(rule: Rule, results: tuple[RuleResult, ...]) -> bool:
    missing = results[rule.number - 1].verdict is Verdict.MISSING
    return rule.transient or (rule.latches and missing)


def _result(rule: Rule, case: Case) -> RuleResult:
    finding = rule.check(case)
    return _SILENT[rule.number] if finding is PASSED else _told(rule, finding)


def _told(rule: Rule, finding: Finding) -> RuleResult:
    verdict, value, limit, note = finding
    return RuleResult(
        number=rule.number,
        rule=rule.check.__name__,
        verdict=verdict,
        reason=rule.reason,
        value=value,
        limit=limit,
        note=note,
    )


_SILENT = {rule.number: _told(rule, PASSED) for rule in RULES}


def _decision(case: Case, results: tuple[RuleResult, ...]) -> Decision:
    first = next((r for r in results if r.verdict is not Verdict.PASS), None)
    rule = None if first is None else RULES[first.number - 1]
    return Decision(
        allowed=rule is None,
        qty=case.qty or 0,
        qty_requested=case.order.qty,
        rules=results,
        reason=None if rule is None else rule.reason,
        http_code=ACCEPTED if rule is None else rule.code,
        transient=rule is not None and _transient(rule, results),
        latches=first is not None and bool(_halts(results)),
        detail="" if first is None else first.note,
        stop_price_usd=case.stop,
        limit_price_usd=case.limit,
        risk_usd=case.risk_usd if rule is None else None,
    )
