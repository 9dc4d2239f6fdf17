"""Requests about orders and executions."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bft.domain import sessions
from bft.domain.orders import Side
from bft.sim.gateway.exchange import accounts, intake
from bft.sim.gateway.exchange.orders import MANUAL, Execution, Order, Status, Terms
from bft.sim.gateway.session import About, Session
from bft.sim.gateway.wire import order_fields, place_order
from bft.sim.gateway.wire.order_fields import WhatIf
from bft.sim.gateway.wire.place_order import Placed
from bft.sim.gateway.wire.reader import FieldError, Reader

if TYPE_CHECKING:
    from bft.sim.gateway.gateway import GatewaySim


class OrdersDesk:
    """Places, cancels and lists."""

    def __init__(self, gateway: "GatewaySim") -> None:
        self.gateway = gateway
        self.bound: set[Session] = set()
        self.handlers = {
            3: self.place,
            4: self.cancel,
            5: self.own_open_orders,
            7: self.executions,
            8: self.next_id,
            15: self.auto_bind,
            16: self.all_open_orders,
            58: self.cancel_all,
            99: self.completed_orders,
        }

    def forget(self, session: Session) -> None:
        """A client is gone, and with it the legs it never transmitted."""
        self.bound.discard(session)
        if session.client_id is not None:
            self.gateway.exchange.forget_pending(session.client_id)

    def place(self, session: Session, fields: list[str]) -> None:
        """placeOrder: a new order, a change, or a trial."""
        order_id = place_order.order_id_of(fields)
        try:
            placed = place_order.read(fields)
            terms = self._terms(session, placed)
        except FieldError as error:
            session.error(order_id, 321, f"Error validating request:-'bl' : {error}")
            return
        if placed.refused:
            session.error(order_id, 321, f"Error validating request: {placed.refused} unsupported")
        elif terms is None:
            session.error(order_id, 200, "No security definition has been found for the request")
        elif terms.what_if:
            self._try(session, terms)
        else:
            self.gateway.place(terms)

    def _terms(self, session: Session, placed: Placed) -> Terms | None:
        found = self.gateway.market.find(placed.wanted, self.gateway.now())
        side = placed.fields["action"]
        if side not in {Side.BUY, Side.SELL}:
            raise FieldError(f"action {side!r}: BUY or SELL")
        if len(found) != 1:
            return None
        fields = placed.fields
        return Terms(
            client_id=session.client_id or 0,
            order_id=placed.order_id,
            contract=found[0],
            account=self._account(fields["account"]),
            side=Side(side),
            qty=placed.decimal("totalQuantity") or Decimal(0),
            kind=fields["orderType"],
            limit=_given(placed.decimal("lmtPrice"), fields["orderType"], "LMT"),
            aux=placed.decimal("auxPrice") or None,
            tif=fields["tif"] or "DAY",
            oca_group=fields["ocaGroup"],
            oca_type=placed.number("ocaType"),
            order_ref=fields["orderRef"],
            transmit=placed.flag("transmit"),
            parent_id=placed.number("parentId"),
            trigger_method=placed.number("triggerMethod"),
            trail_stop=placed.decimal("trailStopPrice"),
            trail_percent=placed.decimal("trailingPercent"),
            what_if=placed.flag("whatIf"),
            echo={name: value for name, value in fields.items() if name in _ECHOED and value},
        )

    def _account(self, asked: str) -> str:
        names = self.gateway.account_names
        return names[0] if not asked and len(names) == 1 else asked

    def _try(self, session: Session, terms: Terms) -> None:
        """What-if: one openOrder with margins, and nothing else."""
        gateway = self.gateway
        gateway.refresh(terms.contract)
        books = gateway.exchange.books
        refusal = intake.check_form(books, terms)
        if refusal:
            session.error(terms.order_id, refusal.code, refusal.text)
            return
        price = intake.price_of(books, terms)
        equity = books.equity(terms.account)
        cost = accounts.fee(terms.contract, terms.qty, price)
        before = (
            books.margin(terms.account, initial=True),
            books.margin(terms.account, initial=False),
            equity,
        )
        added = [
            accounts.margin(terms.contract, terms.qty, price, initial=initial)
            for initial in (True, False)
        ]
        initial = intake.initial_after(books, terms, terms.qty)
        after = (initial, max(before[1] + added[1] * (initial > before[0]), Decimal(0)), equity)
        trial = Order(
            terms=terms,
            perm_id=0,
            status=Status.PRESUBMITTED,
            created_at=gateway.now(),
            expires_at=None,
        )
        tried = WhatIf(before=before, after=(*after[:2], equity - cost), commission=cost)
        session.send(order_fields.open_order(trial, tried), _about(terms))

    def cancel(self, session: Session, fields: list[str]) -> None:
        """Cancel one order."""
        order_id = Reader(fields, skip=2).number()
        self.gateway.cancel((session.client_id or 0, order_id))

    def cancel_all(self, _session: Session, _fields: list[str]) -> None:
        """Global cancel."""
        self.gateway.cancel_all()

    def own_open_orders(self, session: Session, _fields: list[str]) -> None:
        """Open orders of this client (client 0: manual ones as well)."""
        mine = session.client_id
        self._list(session, [o for o in self._live() if o.terms.client_id == mine])

    def all_open_orders(self, session: Session, _fields: list[str]) -> None:
        """Open orders of every client and of the gateway's window."""
        self._list(session, self._live())

    def _live(self) -> list[Order]:
        return list(self.gateway.exchange.books.live())

    def _list(self, session: Session, orders: Sequence[Order]) -> None:
        for order in orders:
            session.send(order_fields.open_order(order), _about(order.terms))
            session.send(order_fields.order_status(order), _about(order.terms))
        session.send((53, 1))

    def auto_bind(self, session: Session, fields: list[str]) -> None:
        """Client 0 follows manual orders from now on."""
        if session.client_id != MANUAL:
            session.error(-1, 321, "Error validating request: only client 0 may bind orders")
            return
        if Reader(fields, skip=2).flag():
            self.bound.add(session)
        else:
            self.bound.discard(session)

    def completed_orders(self, session: Session, _fields: list[str]) -> None:
        """Orders that ended since the nightly reset."""
        for order in self.gateway.exchange.books.completed.values():
            session.send(order_fields.completed_order(order), _about(order.terms))
        session.send((102,))

    def executions(self, session: Session, fields: list[str]) -> None:
        """Executions since the nightly reset that pass the filter, each with its commission."""
        reader = Reader(fields, skip=2)
        req_id, client_id, account, since = reader.number(), reader.number(), *reader.texts(2)
        symbol, sec_type, exchange, side = reader.texts(4)
        start = read_instant(since) if since else None
        for made in self.gateway.exchange.books.executions.values():
            words = (
                (account, (made.account,)),
                (symbol, (made.contract.symbol,)),
                (sec_type, (made.contract.sec_type,)),
                (exchange, (made.contract.exchange,)),
                (side, _words_of(made)),
            )
            fits = all(not asked or asked in has for asked, has in words)
            late = start is None or made.at >= start
            if fits and late and client_id in {0, made.client_id}:
                about = About(made.contract.symbol, made.leg)
                session.send(order_fields.exec_details(made, req_id=req_id), about)
                session.send(order_fields.commission(made), about)
        session.send((55, 1, req_id))

    def next_id(self, session: Session, _fields: list[str]) -> None:
        """Tell the next order id."""
        session.send((9, 1, self.gateway.next_id(session.client_id or 0)))


_ECHOED = frozenset(
    "openClose origin outsideRth hidden discretionaryAmt goodAfterTime goodTillDate faGroup "
    "faMethod faPercentage modelCode rule80A percentOffset settlingFirm shortSaleSlot "
    "designatedLocation exemptCode auctionStrategy startingPrice stockRefPrice delta "
    "stockRangeLower stockRangeUpper displaySize blockOrder sweepToFill allOrNone minQty "
    "clearingAccount clearingIntent notHeld solicited cashQty".split()
)


def read_instant(text: str) -> datetime:
    """Instant of `YYYYMMDD HH:MM:SS[ Zone]` (New York by default) or `YYYYMMDD-HH:MM:SS` (UTC).

    Raises:
        FieldError: neither.
    """
    day, _, rest = text.replace("  ", " ").partition(" ")
    zone: ZoneInfo | None = sessions.NEW_YORK
    try:
        if not rest:
            return datetime.strptime(day, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
        clock, _, name = rest.partition(" ")
        zone = ZoneInfo(name) if name else zone
        return datetime.strptime(f"{day} {clock}", "%Y%m%d %H:%M:%S").replace(tzinfo=zone)
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise FieldError(f"time {text!r}: give YYYYMMDD HH:MM:SS Zone ({error})") from error


def _words_of(made: Execution) -> tuple[str, ...]:
    return ("BUY", "BOT") if made.side is Side.BUY else ("SELL", "SLD")


def _given(price: Decimal | None, kind: str, part: str) -> Decimal | None:
    return price if part in kind else None


def _about(terms: Terms) -> About:
    return About(terms.contract.symbol, terms.leg)
