"""Orders and markets as a person words them: in a script, or over the control port."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from bft.domain.errors import UsageError
from bft.domain.orders import Side
from bft.sim.gateway.exchange.contracts import Contract
from bft.sim.gateway.exchange.orders import MANUAL, Terms
from bft.sim.gateway.prices.control import Tick

ORDER_WORDS = frozenset("symbol side qty kind limit aux tif ref account client order_id".split())
_TICK_WORDS = frozenset("bid ask last bid_size ask_size last_size previous halted".split())


def terms_of(contract: Contract, account: str, words: Mapping[str, object]) -> Terms:
    """Terms of side, qty, and perhaps kind, limit, aux, tif, ref, account, client, order_id.

    Raises:
        UsageError: an unknown word, or a value of another type.
    """
    _refuse_unknown(words, ORDER_WORDS, "order")
    try:
        return Terms(
            client_id=int(str(words.get("client", MANUAL))),
            order_id=int(str(words.get("order_id", MANUAL))),
            contract=contract,
            account=str(words.get("account", account)),
            side=Side(str(words.get("side", ""))),
            qty=_number(words, "qty"),
            kind=str(words.get("kind", "MKT")),
            limit=_money(words, "limit"),
            aux=_money(words, "aux"),
            tif=str(words.get("tif", "DAY")),
            order_ref=str(words.get("ref", "")),
        )
    except (ValueError, InvalidOperation) as error:
        example = '{"symbol": "AAPL", "side": "BUY", "qty": 10, "kind": "LMT", "limit": 99.5}'
        raise UsageError(f"order {dict(words)}: {error}; for example {example}") from error


def tick_of(words: Mapping[str, object]) -> Tick:
    """A market of bid, ask, and perhaps last, sizes, previous close and halted.

    Raises:
        UsageError: an unknown word, bid or ask missing, or no number.
    """
    _refuse_unknown(words, _TICK_WORDS, "tick")
    if not {"bid", "ask"} <= set(words):
        raise UsageError(f"tick {dict(words)}: needs bid and ask")
    made = Tick(bid=_number(words, "bid"), ask=_number(words, "ask"))
    return Tick(
        bid=made.bid,
        ask=made.ask,
        last=_money(words, "last"),
        bid_size=_number(words, "bid_size", made.bid_size),
        ask_size=_number(words, "ask_size", made.ask_size),
        last_size=_number(words, "last_size", made.last_size),
        previous=_money(words, "previous"),
        halted=bool(words.get("halted", False)),
    )


def _refuse_unknown(words: Mapping[str, object], known: frozenset[str], what: str) -> None:
    unknown = sorted(set(words) - known)
    if unknown:
        raise UsageError(f"{what}: unknown {unknown[0]!r}; one of {', '.join(sorted(known))}")


def _money(words: Mapping[str, object], name: str) -> Decimal | None:
    return None if words.get(name) is None else _number(words, name)


def _number(words: Mapping[str, object], name: str, default: Decimal | None = None) -> Decimal:
    try:
        made = Decimal(str(words.get(name, default)))
    except InvalidOperation:
        raise UsageError(f"{name}: {words.get(name)!r} is no number") from None
    if not made.is_finite() or made < 0:
        raise UsageError(f"{name}: {words.get(name)!r} is no price or size, 0 or above")
    return made
