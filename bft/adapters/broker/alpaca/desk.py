"""What Alpaca has said so far: orders, executions, positions, account; changes become reports."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bft.adapters.broker.alpaca.client import Client, Refused
from bft.adapters.broker.alpaca.names import parsed
from bft.adapters.broker.alpaca.orders import Ident, Told, contract_of, idents, submitted_at, told
from bft.domain.broker import (
    AccountReport,
    AccountValues,
    BrokerOrder,
    BrokerPosition,
    ErrorKind,
    ErrorReport,
    ExecutionReport,
    FeeReport,
    OrderReport,
    PositionReport,
    Report,
)
from bft.domain.errors import DataError
from bft.domain.orders import Contract, Execution, Side

KEPT = timedelta(days=7)  # how far back orders and executions are asked for
PAGE, FILL_PAGE = 500, 100
STEP = timedelta(milliseconds=1)  # `after` leaves its own instant out
CANCELLED = 202  # as the gateway says it
_BAD = (KeyError, TypeError, ValueError, ArithmeticError)


class Desk:
    """Reads the account; `report` hears of every change against what was read before."""

    def __init__(self, client: Client, account: str, client_id: int) -> None:
        self._client, self.account, self.client_id = client, account, client_id
        self.epoch = 0
        self.by_uid: dict[str, Told] = {}
        self._idents: dict[str, Ident] = {}
        self.executions: dict[str, Execution] = {}
        self.positions: dict[int, BrokerPosition] = {}
        self.values: AccountValues | None = None
        self.contracts: dict[str, Contract] = {}
        self._last_fill = ""
        self._skipped: set[str] = set()

    # orders ------------------------------------------------------------------------------

    def current(self, order_id: int) -> Told | None:
        """The order of that id as it stands, not those it has replaced."""
        mine = [t for t in self.by_uid.values() if t.order.order_id == order_id and not t.replaced]
        return mine[-1] if mine else None

    def take(self, raw: Mapping[str, Any]) -> list[Report]:
        """Note an order, and the legs nested in it; what changed.

        Raises:
            DataError: one of ours is unusable. Those of others are told once and skipped.
        """
        try:
            self._identify(raw)
            found = [self._told(one) for one in (raw, *(raw.get("legs") or ()))]
        except _BAD as error:
            if not self._foreign(raw):
                raise DataError(f"alpaca order {raw.get('id')} is unusable: {error!r}") from error
            return self._skip(f"order {raw.get('id')}", error)
        return [report for one in found for report in self._noted(one)]

    def _foreign(self, raw: Mapping[str, Any]) -> bool:
        """Whether neither its name nor what it replaces says that an order is ours."""
        known = (self._idents.get(str(raw.get(key))) for key in ("id", "replaces"))
        named = parsed(str(raw.get("client_order_id"))) is not None
        return not named and not any(ident and ident.order_id for ident in known)

    def _skip(self, what: str, error: Exception) -> list[Report]:
        """Tell once of something foreign that cannot be read: it must not blind us to our own."""
        if what in self._skipped:
            return []
        self._skipped.add(what)
        text = f"alpaca {what} is not ours and unusable ({error!r}): skipped"
        return [ErrorReport(kind=ErrorKind.MESSAGE, code=0, text=text, epoch=self.epoch)]

    def _identify(self, raw: Mapping[str, Any]) -> None:
        """Learn who an order is: known already, the successor of a known one, or named."""
        uid, old = str(raw["id"]), self._idents.get(str(raw.get("replaces")))
        found = idents(raw)
        if old is not None:
            found[uid] = replace(old, name=found[uid].name or old.name)
        for number, ident in found.items():
            known = self._idents.get(number)
            if known is None or not known.order_id:
                self._idents[number] = ident

    def _told(self, raw: Mapping[str, Any]) -> Told:
        if str(raw["id"]) not in self._idents:
            self._identify({**raw, "legs": None})
        ident = self._idents[str(raw["id"])]
        parent = self.by_uid.get(ident.parent_uid)
        waits = bool(ident.parent_uid) and (parent is None or parent.order.status != "Filled")
        one = told(raw, ident, self.account, waits=waits)
        client_id = self.client_id if ident.order_id else 0
        return replace(one, order=replace(one.order, client_id=client_id))

    def _noted(self, one: Told) -> list[Report]:
        before = self.by_uid.get(one.uid)
        self.by_uid[one.uid] = one
        if one.replaced or (before and before.order == one.order):
            return []
        reports: list[Report] = [OrderReport(order=one.order, epoch=self.epoch)]
        if one.order.status == "Cancelled":
            reports.append(self.error(one.order, ErrorKind.CANCELLED, CANCELLED, "Order Canceled"))
        return reports

    def error(self, order: BrokerOrder, kind: ErrorKind, code: int, text: str) -> ErrorReport:
        """A code about one order."""
        return ErrorReport(
            kind=kind,
            code=code,
            text=text,
            epoch=self.epoch,
            order_id=order.order_id or None,
            order_ref=order.order_ref,
        )

    async def open_orders(self) -> list[Report]:
        """Look at all open orders, first at each that is open no longer."""
        raws = await self._pages(status="open", nested="false")
        reports = await self._families(raws)
        seen = {str(raw["id"]) for raw in raws}
        for gone in [t.uid for t in self.by_uid.values() if t.live and t.uid not in seen]:
            reports += self.take(await self._client.get(f"/v2/orders/{gone}"))
        return [*reports, *(report for raw in raws for report in self.take(raw))]

    async def _families(self, raws: Sequence[Mapping[str, Any]]) -> list[Report]:
        """Learn whose the legs are that nobody has told of yet: only their order names them."""
        orphans = [
            at
            for raw in raws
            if (at := _sent_at(raw)) is not None
            and str(raw["id"]) not in self._idents
            and raw.get("order_class") not in {None, "", "simple"}
            and str(raw.get("replaces")) not in self._idents
        ]
        return await self.all_orders(min(orphans) - STEP) if orphans else []

    async def all_orders(self, since: datetime) -> list[Report]:
        """Look at all orders since an instant, with what belongs to what."""
        raws = await self._pages(status="all", nested="true", after=since.isoformat())
        return [report for raw in raws for report in self.take(raw)]

    async def _pages(self, **query: str) -> list[Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        while True:
            raws = await self._client.get("/v2/orders", limit=str(PAGE), direction="asc", **query)
            known = len(found)
            found |= {str(raw["id"]): raw for raw in raws}
            if len(raws) < PAGE or len(found) == known:
                return list(found.values())
            dated = [at for at in map(_sent_at, raws) if at is not None]
            if not dated:
                raise DataError(f"alpaca: {len(raws)} orders, none of which says when it was sent")
            query["after"] = (dated[-1] - STEP).isoformat()

    # executions --------------------------------------------------------------------------

    async def fills(self, since: datetime) -> list[Report]:
        """Look at fills that were not seen yet, oldest first."""
        reports: list[Report] = []
        while True:
            page = {"page_token": self._last_fill} if self._last_fill else {}
            raws = await self._client.get(
                "/v2/account/activities/FILL",
                direction="asc",
                page_size=str(FILL_PAGE),
                after=since.isoformat(),
                **page,
            )
            for raw in raws:
                reports += await self._fill(raw)
                self._last_fill = str(raw["id"])
            if len(raws) < FILL_PAGE:
                return reports

    async def _fill(self, raw: Mapping[str, Any]) -> list[Report]:
        uid, exec_id = str(raw["order_id"]), f"{raw['id']}.01"
        reports: list[Report] = []
        if exec_id in self.executions:
            return reports
        if uid not in self.by_uid:
            reports += self.take(await self._client.get(f"/v2/orders/{uid}"))
        if uid not in self.by_uid:  # told of above; the position says what it moved
            return reports
        order = self.by_uid[uid].order
        try:
            made = _execution(exec_id, raw, order)
        except _BAD as error:
            if not order.order_id:
                return [*reports, *self._skip(f"fill {raw['id']}", error)]
            raise DataError(f"alpaca fill {raw['id']} is unusable: {error}") from error
        self.executions[exec_id] = made
        fee = made.fee_usd or Decimal(0)
        reports.append(ExecutionReport(execution=made, epoch=self.epoch))
        return [*reports, FeeReport(exec_id=exec_id, fee_usd=fee, epoch=self.epoch)]

    # account -----------------------------------------------------------------------------

    async def holdings(self) -> list[Report]:
        """Look at positions; one that is gone is told as 0."""
        found = {}
        for raw in await self._client.get("/v2/positions"):
            held = self._position(raw)
            found[held.contract.con_id] = held
        gone = {n: replace(p, qty=Decimal(0)) for n, p in self.positions.items() if n not in found}
        changed = [p for n, p in {**found, **gone}.items() if self.positions.get(n) != p]
        self.positions = found
        return [PositionReport(position=p, epoch=self.epoch) for p in changed]

    def _position(self, raw: Mapping[str, Any]) -> BrokerPosition:
        try:
            return BrokerPosition(
                account=self.account,
                contract=contract_of(raw),
                qty=Decimal(str(raw["qty"])),
                average_cost_usd=Decimal(str(raw["avg_entry_price"])),
            )
        except _BAD as error:
            raise DataError(f"alpaca position {raw.get('symbol')}: {error}") from error

    async def money(self, at: datetime) -> list[Report]:
        """Look at the account's figures."""
        raw = await self._client.get("/v2/account")
        try:
            self.values = AccountValues(
                account=str(raw["account_number"]),
                at=at,
                equity_usd=Decimal(str(raw["equity"])),
                equity_at=at,
                cash_usd=Decimal(str(raw["cash"])),
                available_usd=Decimal(str(raw["non_marginable_buying_power"])),
                account_type="PAPER",
            )
        except _BAD as error:
            raise DataError(f"alpaca account is unusable: {error}") from error
        return [AccountReport(values=self.values, epoch=self.epoch)]

    # contracts ---------------------------------------------------------------------------

    async def contract(self, wanted: Contract) -> Contract:
        """The tradable asset of that symbol."""
        if wanted.sec_type != "STK":
            raise DataError(f"{wanted.symbol}: alpaca trades stocks here, not {wanted.sec_type}")
        if wanted.symbol not in self.contracts:
            symbol = wanted.symbol.replace("-", ".")
            try:
                raw = await self._client.get(f"/v2/assets/{symbol}")
            except Refused as error:
                raise DataError(
                    f"alpaca knows no asset {wanted.symbol}: {error.message}"
                ) from error
            if not raw.get("tradable"):
                raise DataError(f"alpaca does not trade {wanted.symbol} now")
            self.contracts[wanted.symbol] = contract_of({**raw, "asset_id": raw["id"]})
        return self.contracts[wanted.symbol]


def _sent_at(raw: Mapping[str, Any]) -> datetime | None:
    try:
        return submitted_at(raw)
    except _BAD:
        return None


def _execution(exec_id: str, raw: Mapping[str, Any], order: BrokerOrder) -> Execution:
    """A fill; Alpaca takes no commission, its regulatory fees are booked at the day's end."""
    return Execution(
        exec_id=exec_id,
        account=order.account,
        contract=order.contract,
        side=Side(str(raw["side"]).upper().removesuffix("_SHORT")),
        qty=int(Decimal(str(raw["qty"]))),
        price_usd=Decimal(str(raw["price"])),
        at=datetime.fromisoformat(str(raw["transaction_time"])),
        order_ref=order.order_ref,
        perm_id=order.perm_id,
        order_id=order.order_id or None,
        client_id=order.client_id or None,
        fee_usd=Decimal(0),
    )
