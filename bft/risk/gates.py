"""Rules 1 to 6: may this server open anything now, and this subject this order.

Source: executor specification, section 4.
"""

from bft.domain.broker import SessionState
from bft.risk.case import Case
from bft.risk.context import Halt, ModeFacts
from bft.risk.finding import PASSED, Finding, blocked, judged, missing
from bft.risk.numbers import seconds

TRADER = "trader"
LIVE, PAPER = "live", "paper"
MONITOR_AGE_S = 10.0


def kill(case: Case) -> Finding:
    """1: the kill switch is latched."""
    latched = case.context.fences.kill_latched
    if latched is None:
        return missing("kill switch")
    return judged(not latched, latched, None, "kill switch latched")


def mode(case: Case) -> Finding:
    """2: live lock or mode does not hold; `paper` contradicts; a paper_only set in live."""
    facts, order = case.context.mode, case.order
    if facts.mode is None or facts.problem is None:
        return missing("trading mode" if facts.mode is None else "live lock")
    problem = facts.problem or _peer_problem(case, facts)
    if not problem and facts.requested_mode not in {None, facts.mode}:
        problem = f"request says mode {facts.requested_mode}"
    problem = problem or other_money(order.paper, facts.mode)
    if problem:
        return blocked(problem, facts.mode)
    if facts.connected_account is None and case.context.session.state is SessionState.ARMED:
        return missing("connected account")
    return _model_set(case, facts)


def other_money(paper: bool | None, mode: str) -> str:  # noqa: FBT001  the body's own word
    """Why an order whose `paper` says so is not for a server of this mode; "": it is, or is mute.

    Exits are asked by it, too: they skip the rules.
    """
    if paper is None or paper == (mode == PAPER):
        return ""
    wanted = PAPER if paper else LIVE
    return f"an order for {wanted} on a {mode} server; send it to a {wanted} server"


def armed(case: Case) -> Finding:
    """3: not ARMED, restart window, not reconciled, lease lost, monitor silent, not writable."""
    session = case.context.session
    needed = (
        ("session state", session.state, session.state is SessionState.ARMED),
        ("restart window", session.restart_window, session.restart_window is False),
        ("reconciliation", session.reconciled, session.reconciled is True),
        ("lease", session.lease_held, session.lease_held is True),
        ("state store", session.writable, session.writable is True),
    )
    for name, value, holds in needed:
        if not holds:
            return missing(name) if value is None else blocked(f"{name}: {value}", value)
    age_s = seconds(session.monitor_age_s)
    if age_s is None:
        return missing("monitor heartbeat", MONITOR_AGE_S)
    return judged(age_s <= MONITOR_AGE_S, age_s, MONITOR_AGE_S, "monitor silent")


def halted(case: Case) -> Finding:
    """4: a halt on account, profile, strategy or symbol; an UNKNOWN order on the symbol."""
    fences = case.context.fences
    if fences.halts is None or fences.unknown_symbols is None:
        return missing("halts" if fences.halts is None else "unknown orders")
    names = {case.order.symbol, case.context.symbol.underlying}
    for halt in fences.halts:
        if _applies(halt, case, names):
            return blocked(f"{halt.scope} {halt.key}: {halt.reason}", halt.scope)
    unknown = sorted(names.intersection(fences.unknown_symbols))
    return blocked("UNKNOWN order on the symbol", unknown[0]) if unknown else PASSED


def subject(case: Case) -> Finding:
    """5: the subject lacks role trader."""
    roles = case.context.fences.roles
    if roles is None:
        return missing("subject")
    return judged(TRADER in roles, ",".join(roles), TRADER, "role trader is needed")


def duplicate(case: Case) -> Finding:
    """6: an entry intent of this signal exists, or a twin without a key within 10 s."""
    fences = case.context.fences
    if fences.entry_exists is None or fences.twin_exists is None:
        return missing("earlier entries")
    if fences.entry_exists:
        return blocked("this signal has an entry already", case.order.signal_id)
    return judged(not fences.twin_exists, fences.twin_exists, None, "equal order within 10 s")


def _peer_problem(case: Case, facts: ModeFacts) -> str:
    simulated = "SIMULATED" in (facts.account_type or "").upper()
    if facts.mode not in case.profile.modes:
        return f"profile {case.profile.name} is not for mode {facts.mode}"
    if facts.connected_account not in {None, facts.account}:
        return "connected account is not the configured one"
    if facts.mode == LIVE and (simulated or facts.broker == PAPER):
        return "mode live on a simulated peer"
    if case.profile.simulated_only and not simulated and facts.broker != PAPER:
        return f"profile {case.profile.name} is for simulated peers only"
    return ""


def _model_set(case: Case, facts: ModeFacts) -> Finding:
    if facts.mode != LIVE or (case.order.set_digest is None and not facts.set_paper_only):
        return PASSED
    if facts.set_paper_only is None:
        return missing("paper_only of the model set")
    return judged(not facts.set_paper_only, facts.mode, None, "model set is paper_only")


def _applies(halt: Halt, case: Case, names: set[str]) -> bool:
    if halt.scope == "account":
        return True
    if halt.scope == "profile":
        return case.profile.shares(halt.key)
    if halt.scope == "strategy":
        return halt.key == case.order.strategy_id
    return halt.scope != "symbol" or halt.key in names
