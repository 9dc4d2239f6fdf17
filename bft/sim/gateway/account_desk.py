"""Requests about accounts: values, portfolio, summary, positions, profit and loss."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from bft.domain import sessions
from bft.sim.gateway import summary
from bft.sim.gateway.agenda import Planned
from bft.sim.gateway.exchange import accounts
from bft.sim.gateway.exchange.accounts import Position
from bft.sim.gateway.exchange.contracts import ZERO, Contract
from bft.sim.gateway.session import About, Session
from bft.sim.gateway.wire.contract_fields import c11
from bft.sim.gateway.wire.frames import UNSET
from bft.sim.gateway.wire.reader import Reader

if TYPE_CHECKING:
    from bft.sim.gateway.gateway import GatewaySim

UPDATES_EVERY_S, SUMMARY_EVERY_S, PNL_EVERY_S = 3.0, 180.0, 1.0
Key = tuple[Session, int]


class AccountDesk:
    """Answers, then keeps subscribers up to date at the broker's pace."""

    def __init__(self, gateway: "GatewaySim") -> None:
        self.gateway = gateway
        self.updates: dict[Session, str] = {}
        self.positions: set[Session] = set()
        self.summaries: dict[Key, list[str]] = {}
        self.pnl: dict[Key, tuple[str, int | None]] = {}
        self._planned: dict[str, Planned] = {}
        self.handlers = {
            6: self.account_updates,
            61: self.req_positions,
            62: self.account_summary,
            63: lambda session, fields: self._drop(self.summaries, session, fields),
            64: lambda session, _: self.positions.discard(session),
            76: self.updates_multi,
            77: lambda _session, _fields: None,
            92: self.req_pnl,
            93: lambda session, fields: self._drop(self.pnl, session, fields, skip=1),
            94: self.req_pnl_single,
            95: lambda session, fields: self._drop(self.pnl, session, fields, skip=1),
        }

    def forget(self, session: Session) -> None:
        """A client is gone."""
        self.updates.pop(session, None)
        self.positions.discard(session)
        for kept in (self.summaries, self.pnl):
            for key in [key for key in kept if key[0] is session]:
                del kept[key]

    @property
    def wants_marks(self) -> bool:
        """Whether anyone follows values that move with prices."""
        return bool(self.updates or self.summaries or self.pnl)

    # requests ----------------------------------------------------------------------------

    def account_updates(self, session: Session, fields: list[str]) -> None:
        """Values, portfolio, time and end; then changes."""
        reader = Reader(fields, skip=2)
        subscribe, account = reader.flag(), reader.text()
        if not subscribe:
            self.updates.pop(session, None)
            return
        account = account or self.gateway.account_names[0]
        if account not in self.gateway.exchange.books.accounts:
            session.error(-1, 321, f"Error validating request: Invalid account code {account!r}")
            return
        self.updates[session] = account
        self._send_updates(session, account)
        session.send((54, 1, account))

    def updates_multi(self, session: Session, fields: list[str]) -> None:
        """The same values, for one request."""
        reader = Reader(fields, skip=2)
        req_id, account, model = reader.number(), reader.text(), reader.text()
        account = account or self.gateway.account_names[0]
        if account in self.gateway.exchange.books.accounts:
            for tag, value, currency in summary.rows(self.gateway.exchange.books, account):
                session.send((73, 1, req_id, account, model, tag, value, currency))
            session.send((74, 1, req_id))
        else:
            session.error(req_id, 321, f"Error validating request: Invalid account {account!r}")

    def account_summary(self, session: Session, fields: list[str]) -> None:
        """The tags asked for, of all accounts; then every three minutes."""
        reader = Reader(fields, skip=2)
        req_id, _group, tags = reader.number(), reader.text(), reader.text()
        self.summaries[session, req_id] = [tag.split(":")[0] for tag in tags.split(",")]
        self._send_summary((session, req_id))
        self._plan("summary", SUMMARY_EVERY_S, self._all_summaries)

    def req_positions(self, session: Session, _fields: list[str]) -> None:
        """Positions of all accounts; then each change."""
        self.positions.add(session)
        for held in self._held():
            self._send_position(session, held)
        session.send((62, 1))

    def req_pnl(self, session: Session, fields: list[str]) -> None:
        """Profit and loss of an account."""
        reader = Reader(fields, skip=1)
        req_id, account = reader.number(), reader.text()
        self._follow_pnl(session, req_id, account, None)

    def req_pnl_single(self, session: Session, fields: list[str]) -> None:
        """Profit and loss of one position."""
        reader = Reader(fields, skip=1)
        req_id, account, _model, con_id = (reader.number(), *reader.texts(2), reader.number())
        self._follow_pnl(session, req_id, account, con_id)

    def _follow_pnl(self, session: Session, req_id: int, account: str, con_id: int | None) -> None:
        if account not in self.gateway.exchange.books.accounts:
            session.error(req_id, 321, f"Error validating request: Invalid account {account!r}")
            return
        self.pnl[session, req_id] = account, con_id
        self._send_pnl((session, req_id))

    # changes -----------------------------------------------------------------------------

    def moved(self, account: str, contract: Contract) -> None:
        """A position changed: tell positions now, the rest at its pace."""
        held = self.gateway.exchange.books.position(account, contract)
        for session in sorted(self.positions, key=_number):
            self._send_position(session, held)
        self.marked()

    def marked(self) -> None:
        """Prices moved, or cash."""
        if self.updates:
            self._plan("updates", UPDATES_EVERY_S, self._all_updates)
        if self.pnl:
            self._plan("pnl", PNL_EVERY_S, self._all_pnl)

    def _plan(self, what: str, seconds: float, action: Callable[[], None]) -> None:
        if what not in self._planned:

            def run() -> None:
                del self._planned[what]
                action()

            self._planned[what] = self.gateway.agenda.after(seconds, run)

    def _all_updates(self) -> None:
        for session, account in self.updates.items():
            self._send_updates(session, account)

    def _all_summaries(self) -> None:
        for key in self.summaries:
            self._send_summary(key)
        if self.summaries:
            self._plan("summary", SUMMARY_EVERY_S, self._all_summaries)

    def _all_pnl(self) -> None:
        for key in self.pnl:
            self._send_pnl(key)

    # messages ----------------------------------------------------------------------------

    def _send_updates(self, session: Session, account: str) -> None:
        books = self.gateway.exchange.books
        for tag, value, currency in summary.rows(books, account):
            session.send((6, 2, tag, value, currency, account))
        for held in books.positions.values():
            if held.account == account and (held.qty or held.realised):
                self._send_portfolio(session, held)
        clock = self.gateway.now().astimezone(sessions.NEW_YORK)
        session.send((8, 1, f"{clock:%H:%M}"))

    def _send_portfolio(self, session: Session, held: Position) -> None:
        mark = self.gateway.exchange.books.mark(held)
        money = (accounts.value(held, mark), held.cost, accounts.unrealised(held, mark))
        fields = c11(held.contract, primary=True)
        numbers = (held.qty, mark, *money, held.realised)
        shown = [_places(number) for number in numbers]
        session.send((7, 8, *fields, *shown, held.account), About(held.contract.symbol))

    def _send_position(self, session: Session, held: Position) -> None:
        about = About(held.contract.symbol)
        session.send(
            (61, 3, held.account, *c11(held.contract), held.qty, _places(held.cost)), about
        )

    def _send_summary(self, key: Key) -> None:
        session, req_id = key
        tags, books = self.summaries[key], self.gateway.exchange.books
        for account in self.gateway.account_names:
            found = [row for row in summary.rows(books, account) if row[0] in tags]
            found += summary.ledger(books, account) if "$LEDGER" in tags else []
            for tag, value, currency in found:
                session.send((63, 1, req_id, account, tag, value, currency))
        session.send((64, 1, req_id))

    def _send_pnl(self, key: Key) -> None:
        session, req_id = key
        account, con_id = self.pnl[key]
        books = self.gateway.exchange.books
        if con_id is None:
            realised = books.accounts[account].realised.quantize(accounts.CENT)
            daily, unrealised = summary.daily(books, account), summary.unrealised(books, account)
            session.send((94, req_id, daily, unrealised, realised))
            return
        held = books.positions.get((account, con_id))
        if held is None:
            session.send((95, req_id, 0, UNSET, UNSET, UNSET, UNSET))
            return
        mark = books.mark(held)
        profit = accounts.unrealised(held, mark)
        figures = (profit + held.realised, profit, held.realised, accounts.value(held, mark))
        session.send((95, req_id, held.qty, *(_places(one) for one in figures)))

    def _held(self) -> Iterator[Position]:
        if not self.gateway.board.positions_hidden:
            for account in self.gateway.account_names:
                yield from self.gateway.exchange.books.held(account)

    def _drop(
        self,
        kept: "dict[Key, list[str]] | dict[Key, tuple[str, int | None]]",
        session: Session,
        fields: list[str],
        *,
        skip: int = 2,
    ) -> None:
        kept.pop((session, Reader(fields, skip=skip).number()), None)


def _places(number: Decimal) -> Decimal:
    """At most six decimals."""
    return number.quantize(Decimal("0.000001")) if number else ZERO


def _number(session: Session) -> int:
    return session.client_id or 0
