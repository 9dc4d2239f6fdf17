"""Who is connected, which desk answers what, and who is told of which event."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from bft.sim.gateway.account_desk import AccountDesk
from bft.sim.gateway.data_desk import DataDesk
from bft.sim.gateway.exchange.orders import (
    MANUAL,
    STOPS,
    Charged,
    Event,
    Executed,
    Execution,
    Moved,
    Opened,
    Said,
    Terms,
)
from bft.sim.gateway.faults import transport
from bft.sim.gateway.faults.script import Rule
from bft.sim.gateway.faults.transport import Incoming
from bft.sim.gateway.history_desk import HistoryDesk
from bft.sim.gateway.orders_desk import OrdersDesk
from bft.sim.gateway.reference_desk import ReferenceDesk
from bft.sim.gateway.session import NOTHING, About, Session
from bft.sim.gateway.wire import order_fields
from bft.sim.gateway.wire.frames import frame
from bft.sim.gateway.wire.names import (
    ANSWERS,
    REQ_ID_PLACES,
    REQUESTS,
    UNSERVED,
    UNSERVED_REQ_ID,
)
from bft.sim.gateway.wire.reader import FieldError

if TYPE_CHECKING:
    from bft.sim.gateway.gateway import GatewaySim

IN_USE = "Unable to connect as the client id is already in use. Retry with a unique client id."
RESTORED = {
    1101: "Connectivity between IB and Trader Workstation has been restored - data lost.",
    1102: "Connectivity between IB and Trader Workstation has been restored - data maintained.",
}


class Switchboard:
    """Owns the sessions (see `session.Owner`)."""

    def __init__(self, gateway: "GatewaySim") -> None:
        self.gateway = gateway
        self.messages_per_s = gateway.config.messages_per_s
        self.clients: dict[int, Session] = {}
        self.account_names = list(gateway.config.accounts)
        self.silent = self.down = self.positions_hidden = False
        self.rollback, self.skew_s = 0, 0.0
        self.orders = OrdersDesk(gateway)
        self.accounts = AccountDesk(gateway)
        self.reference = ReferenceDesk(gateway)
        self.data = DataDesk(gateway)
        self.history = HistoryDesk(gateway)
        self.desks = (self.orders, self.accounts, self.reference, self.data, self.history)
        self.handlers = {n: h for desk in self.desks for n, h in desk.handlers.items()}

    def now(self) -> datetime:
        """Aware UTC instant."""
        return self.gateway.now()

    # sessions ----------------------------------------------------------------------------

    def begin(self, session: Session, client_id: int) -> None:
        """Let a client in, unless its id is connected already or a fault is in the way."""
        faults = self.gateway.faults
        rules = faults.on_message("startApi", client_id, NOTHING)
        rules += faults.on_event("connect", client_id, NOTHING)
        struck = Incoming(session, rules)
        if not struck.times:
            return
        if struck.pause_s:
            session.loop.call_later(struck.pause_s, lambda: self._let_in(session, client_id))
            return
        in_use = any(rule.do == "client_id_in_use" for rule in rules)
        self._let_in(session, client_id, in_use=in_use)

    def _let_in(self, session: Session, client_id: int, *, in_use: bool = False) -> None:
        if session.transport is None:
            return
        if in_use or client_id in self.clients:
            session.error(-1, 326, IN_USE)
            session.close()
            return
        session.client_id = client_id
        self.clients[client_id] = session
        session.send((15, 1, ",".join(self.account_names) + ","))
        session.send((9, 1, self.gateway.next_id(client_id)))
        farms = {2104: "Market data farm", 2106: "HMDS data farm", 2158: "Sec-def data farm"}
        for code, text in farms.items():
            session.error(-1, code, f"{text} connection is OK:simulated")

    def handle(self, session: Session, fields: list[str]) -> None:
        """Answer a request, or say why not; faults first."""
        if self.silent:
            return
        number = _number_at(fields, 0)
        faults = self.gateway.faults
        if faults.idle:
            self.answer(session, number, fields)
            return
        topic = topic_of(number, fields)
        rules = faults.on_message(REQUESTS.get(number, ""), session.client_id, topic)
        self.gateway.order_faults.register((session.client_id or 0, _request_id(fields)), rules)
        struck = Incoming(session, rules)
        if struck.pause_s:
            session.pause(struck.pause_s)
            session.loop.call_later(struck.pause_s, lambda: self._struck(session, struck, fields))
        else:
            self._struck(session, struck, fields)

    def _struck(self, session: Session, struck: Incoming, fields: list[str]) -> None:
        number = int(fields[0])
        if struck.error is not None:
            session.error(_request_id(fields), *struck.error)
            return
        session.deaf = session.deaf or struck.mute
        for _ in range(struck.times):
            self.answer(session, number, fields[: len(fields) // 2] if struck.cut else fields)
        if struck.mute:
            session.abort()
        elif struck.close_after:
            session.close()

    def answer(self, session: Session, number: int, fields: list[str]) -> None:
        """Answer a request as it stands."""
        handler = self.handlers.get(number)
        if handler is None:
            self._unserved(session, number, fields)
            return
        try:
            handler(session, fields)
        except FieldError as error:
            session.error(-1, 320, f"Error reading request:-'{number}' : {error}")

    def gone(self, session: Session) -> None:
        """A socket closed."""
        if session.client_id is not None and self.clients.get(session.client_id) is session:
            del self.clients[session.client_id]
            for desk in self.desks:
                desk.forget(session)

    def deliver(self, session: Session, values: Sequence[object], about: About) -> None:
        """Write a message, unless the gateway is silent; faults first."""
        if self.silent:
            return
        faults = self.gateway.faults
        if faults.idle:
            session.outbox.send(frame(values))
            return
        name = ANSWERS[int(str(values[0]))]
        transport.outgoing(session, faults.on_message(name, session.client_id, about), values)

    def close_all(self) -> None:
        """Close every socket."""
        for session in list(self.clients.values()):
            session.close()

    def abort_all(self) -> None:
        """Cut every socket."""
        for session in list(self.clients.values()):
            session.abort()

    def strike_all(self, rule: Rule) -> None:
        """Do to every socket (or the one of the rule's client) what a rule says."""
        for client_id, session in list(self.clients.items()):
            if rule.client in {None, client_id}:
                transport.strike(session, rule)

    def strike_event(self, event: str, terms: Terms) -> None:
        """Tell the script of an acknowledgement or a fill."""
        session = self.clients.get(terms.client_id)
        for rule in self.gateway.faults.on_event(event, terms.client_id, about(terms)):
            if session is not None:
                transport.strike(session, rule)

    def tell_accounts(self) -> None:
        """Tell every client the list of accounts."""
        for session in list(self.clients.values()):
            self.reference.managed_accounts(session, [])

    def lose_data(self) -> None:
        """Forget every data subscription."""
        for session in self.clients.values():
            self.data.forget(session)
            self.history.forget(session)

    def say_all(self, code: int, text: str) -> None:
        """Tell every client a code."""
        for session in list(self.clients.values()):
            session.error(-1, code, text)

    def restore(self, code: int) -> None:
        """Say 1101 or 1102; on 1101 every data subscription is gone."""
        if code == 1101:
            self.lose_data()
        self.say_all(code, RESTORED[code])

    def _unserved(self, session: Session, number: int, fields: list[str]) -> None:
        if number not in UNSERVED:
            session.error(-1, 320, f"Error reading request: unknown message id {number}")
            return
        req_id = _number_at(fields, UNSERVED_REQ_ID.get(number))
        session.error(req_id, 321, f"Error validating request: message {number} is not simulated")

    # events ------------------------------------------------------------------------------

    def route(self, event: Event) -> None:
        """Tell an event to those it concerns."""
        if isinstance(event, Moved):
            self.accounts.moved(event.account, event.contract)
        elif isinstance(event, Said):
            session = self.clients.get(event.key[0])
            if session is not None:
                session.error(event.key[1], event.code, event.text)
        elif isinstance(event, Executed):
            self._tell_fill(event.execution, order_fields.exec_details(event.execution, req_id=-1))
        elif isinstance(event, Charged):
            self._tell_fill(event.execution, order_fields.commission(event.execution))
        else:
            order, is_open = event.order, isinstance(event, Opened)
            if not order.filled and self.gateway.order_faults.is_silent(order):
                return
            values = order_fields.open_order(order) if is_open else order_fields.order_status(order)
            self._tell(order.terms.client_id, values, about(order.terms))

    def _tell_fill(self, made: Execution, values: Sequence[object]) -> None:
        self._tell(made.client_id, values, About(made.contract.symbol, made.leg))

    def _tell(self, client_id: int, values: Sequence[object], topic: About) -> None:
        """Tell the owner and the master; of manual orders, client 0 once it follows them."""
        told = [self.clients.get(client_id)]
        if client_id == MANUAL and told[0] not in self.orders.bound:
            told = []
        if self.gateway.config.master_client is not None:
            told.append(self.clients.get(self.gateway.config.master_client))
        for session in dict.fromkeys(told):
            if session is not None:
                session.send(values, topic)


def topic_of(number: int, fields: list[str]) -> About:
    """What a request is about, as far as a script asks: symbol and leg."""
    place = _SYMBOL_PLACES.get(number, 0)
    symbol = fields[place] if place and len(fields) > place else ""
    leg = ""
    if number == _PLACE_ORDER and len(fields) > _PARENT_PLACE:
        is_child = fields[_PARENT_PLACE] not in {"", "0"}
        is_stop = fields[_TYPE_PLACE] in STOPS
        leg = ("stop" if is_stop else "target") if is_child else "entry"
    return About(symbol, leg)


_PLACE_ORDER, _TYPE_PLACE, _PARENT_PLACE = 3, 18, 28  # ib-wire, section 4
_SYMBOL_PLACES = {1: 4, 3: 3, 9: 4, 10: 4, 20: 3, 50: 4, 87: 3}


def _request_id(fields: list[str]) -> int:
    """Order id of an order message, request id of another; -1 where there is none."""
    return _number_at(fields, REQ_ID_PLACES.get(_number_at(fields, 0)))


def _number_at(fields: list[str], place: int | None) -> int:
    word = fields[place] if place is not None and place < len(fields) else ""
    return int(word) if word.isdigit() else -1


def about(terms: Terms) -> About:
    """What an order's messages are about."""
    return About(terms.contract.symbol, terms.leg)
