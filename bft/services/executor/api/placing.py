"""From an accepted body to its one effect: an order, an exit, or a row of the trade log.

Source: executor specification, sections 1.2, 1.3 and 4.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bft.domain.encoding import decode
from bft.domain.errors import RefusedError, UnavailableError
from bft.domain.orders import (
    Decision,
    Intent,
    IntentState,
    Leg,
    OrderRequest,
    OrderType,
    Reason,
    Side,
)
from bft.domain.trading import SignalKind
from bft.ledger import entries
from bft.ledger.records import Trade
from bft.ledger.state import KEPT
from bft.risk.gates import other_money
from bft.services.executor.api.denying import denial
from bft.services.executor.api.idempotency import Answer, Asking, hash_of, key_of
from bft.services.executor.api.metrics import label, model_labels
from bft.services.executor.api.order_body import OrderBody
from bft.services.executor.api.problems import Problem
from bft.services.executor.api.service import Service
from bft.services.executor.api.translate import Received, order_of
from bft.services.executor.api.views import backfill_view, order_view
from bft.services.executor.closing import Closed
from bft.services.executor.contracts import name_of
from bft.services.executor.facts import Asked
from bft.services.executor.opening import KeyClaim, Opened

AHEAD, BACKFILL = timedelta(seconds=5), timedelta(hours=1)
NOTHING_HELD = "NOTHING_HELD"
TAKEN = "TAKEN"  # exits of older versions bear another word, whatever they closed
EXIT = "exit:"  # what the key of an exit protects: its signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sends a body, and how; `mode` is the header X-BFT-Mode, `written_at` as in `Received`."""

    subject: str
    roles: tuple[str, ...]
    user_agent: str
    request_id: str
    mode: str | None = None
    written_at: datetime | None = None


class Placing:
    """Places orders and signals, each key once."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.by_client_id: dict[str, str] = {}
        self._looked = False
        self._exits: set[str] = set()

    async def place(
        self, body: OrderBody, sent: Any, caller: Caller, *, header: str | None
    ) -> Answer:
        """The answer to one order or signal; `sent` is the body as it came.

        Raises:
            Problem: the header's mode is another (403), the key conflicts or is running (409).
        """
        check_mode(self._service, caller.mode)
        key, given = key_of(header, body.signal_id, body.client_order_id)
        asking = Asking(key=key, subject=caller.subject, request_hash=hash_of(sent), given=given)

        async def act(claim: KeyClaim | None) -> Answer:
            done = await self._act(body, caller, asking, claim)
            return replace(done, body={**done.body, "request_id": caller.request_id})

        made = await self._service.keys.answer(asking, act, self.recall)
        return replace(made, headers={**made.headers, "Idempotency-Key": key})

    async def client_entry(self, name: str) -> Intent | None:
        """The entry that a client's own id stands for; older ids are looked up once."""
        if not self._looked:
            self._looked = True
            since = self._service.now - KEPT
            entries_of = {
                i.signal_id: i.intent_id
                for i in self._service.desk.state.intents.values()
                if i.leg is Leg.ENTRY
            }
            for row in await self._service.rows("signals", since=since):
                known = row["body"].get("client_order_id")
                if known and row["signal_id"] in entries_of:
                    self.by_client_id.setdefault(known, entries_of[row["signal_id"]])
        return self._service.desk.state.intents.get(self.by_client_id.get(name, ""))

    async def recall(self, intent_id: str) -> Answer:
        """The answer that an entry gives: after a crash there is no other."""
        if intent_id.startswith(EXIT):
            return await self._recall_exit(intent_id.removeprefix(EXIT))
        intent = self._service.desk.state.intents.get(intent_id)
        if intent is None:
            rows = await self._service.rows("intents", where={"intent_id": intent_id})
            if not rows:
                return await self._recall_trade(intent_id)
            intent = decode(Intent, rows[0])
        return self._of_intent(intent)

    async def _recall_exit(self, signal_id: str) -> Answer:
        """An exit that a dead process began: its parts are stored, and go on by themselves."""
        rows = await self._service.rows("signals", where={"signal_id": signal_id})
        if not rows:
            raise Problem(503, Reason.OTHER, f"exit {signal_id} of this key is not in the book")
        body = rows[0]["body"]
        return self._closing(body["symbol"], body["side"], signal_id, None)

    async def _recall_trade(self, trade_id: str) -> Answer:
        rows = await self._service.rows("trades", where={"id": trade_id})
        if not rows:
            raise Problem(503, Reason.OTHER, f"order {trade_id} of this key is not in the book")
        return Answer(status=201, body=backfill_view(decode(Trade, rows[0])))

    async def _act(
        self, body: OrderBody, caller: Caller, asking: Asking, claim: KeyClaim | None
    ) -> Answer:
        now = self._service.now
        entered = body.entered_at
        if entered is not None and entered > now + AHEAD:
            text = f"entered_at {entered.isoformat()} lies ahead of {now.isoformat()}"
            raise Problem(400, Reason.VALIDATION, text)
        received = Received(
            now=now,
            key=asking.key,
            user_agent=caller.user_agent,
            held=self._held,
            written_at=caller.written_at,
        )
        order = order_of(body, received)
        late = entered is not None and now - entered > BACKFILL
        backfill = late or body.features.get("is_backfill") is True
        problem = other_money(order.paper, self._service.desk.route.mode)
        if problem and (backfill or order.kind is SignalKind.EXIT):  # else rule 2 says so
            raise Problem(403, Reason.MODE, problem)
        if backfill:
            return await self._backfill(order, body, claim)
        if order.kind is SignalKind.EXIT:
            if body.names_decision():
                await self._first_exit(order.signal_id)
            return await self._exit(order, caller, asking, claim)
        return await self._open(order, caller, asking, claim)

    # opening

    async def _open(
        self, order: OrderRequest, caller: Caller, asking: Asking, claim: KeyClaim | None
    ) -> Answer:
        executor = self._service.executor
        twin = not asking.given and executor.facts.twin(caller.subject, asking.request_hash)
        asked = Asked(subject=caller.subject, roles=caller.roles, mode=caller.mode, twin=twin)
        try:
            opened = await executor.opening.submit(order, asked, claim=claim)
        except RefusedError as error:
            raise Problem(503, Reason.NOT_ARMED, str(error)) from error
        made = self._opened(order, opened)
        self._count(order, opened.decision)
        return made

    def _opened(self, order: OrderRequest, opened: Opened) -> Answer:
        if opened.intent_id is None:
            return denial(opened)
        intent = self._service.desk.state.intents[opened.intent_id]
        if order.client_order_id:
            self.by_client_id[order.client_order_id] = intent.intent_id
        made = self._of_intent(intent)
        body = {**made.body, "decision": opened.decision_id}
        return Answer(status=made.status, body=body)

    def _of_intent(self, intent: Intent) -> Answer:
        desk = self._service.desk
        body = order_view(desk, intent)
        if intent.state is IntentState.LAPSED:
            text = "committed, but a fence closed before it was sent; it will never be sent"
            told = {"error": Reason.NOT_ARMED.value, "message": text, "rule": None}
            return Answer(status=503, body={**body, **told, "details": None})
        return Answer(status=202 if intent.state is IntentState.UNKNOWN else 201, body=body)

    def _count(self, order: OrderRequest, decision: Decision) -> None:
        desk, metrics = self._service.desk, self._service.metrics
        symbol = label(order.symbol, desk.reference.universe)
        if decision.allowed:
            metrics.orders_ok.labels(symbol, order.side.value).inc()
            return
        reason = (decision.reason or Reason.OTHER).value
        metrics.orders_blocked.labels(symbol, order.side.value, reason).inc()
        if decision.reason is Reason.MODEL_GATE:
            sets = {row.set_digest for row in desk.reference.forecasts.values()}
            metrics.model_blocks.labels(*model_labels(order, decision, sets)).inc()

    def _held(self, symbol: str, strategy: str) -> int:
        """Units that an order of the other side would close."""
        positions = self._service.desk.state.positions.values()
        del strategy
        return sum(int(held.qty) for held in positions if name_of(held.contract) == symbol)

    # exits

    async def _first_exit(self, signal_id: str) -> None:
        """Let one exit per signal pass, under whatever key; one that closed nothing is none.

        Raises:
            Problem: 409, it was taken before.
        """
        known = signal_id in self._exits
        self._exits.add(signal_id)
        if not known:
            with suppress(UnavailableError):  # a book that cannot be read keeps nobody from leaving
                where = {"signal_id": signal_id, "kind": SignalKind.EXIT.value}
                rows = await self._service.rows("signals", where=where)
                known = any(map(self._was_taken, rows))
        if known:
            text = f"an exit of signal {signal_id} was taken before; another has an id of its own"
            raise Problem(409, Reason.DUPLICATE, text)

    def _was_taken(self, row: Mapping[str, Any]) -> bool:
        """Whether a stored exit had something leave.

        Versions before `TAKEN` noted every exit by its signal's name: there a closing order since
        is the proof.
        """
        if row["hash"] != row["signal_id"]:
            return bool(row["hash"] == TAKEN)
        since = datetime.fromisoformat(row["at"])
        return any(
            intent.leg is Leg.EXIT
            and name_of(intent.contract) == row["symbol"]
            and intent.created_at is not None
            and intent.created_at >= since
            for intent in self._service.desk.state.intents.values()
        )

    async def _exit(
        self, order: OrderRequest, caller: Caller, asking: Asking, claim: KeyClaim | None
    ) -> Answer:
        """Have positions leave, or the part that is asked for."""
        desk = self._service.desk
        twin = not asking.given and self._service.executor.facts.twin(
            caller.subject, asking.request_hash
        )
        if twin:
            raise Problem(409, Reason.DUPLICATE, "an equal body within 10 s; send a key to repeat")
        closed = list[Closed]()
        try:
            if not order.is_signal:
                self._check_price(order)
            with desk.together():  # the key is taken by the effect, and by nothing less
                closed = self._service.executor.closing.on_signal(order)
                done = TAKEN if closed else NOTHING_HELD
                told = [_told(each) for each in closed]
                made = [entries.signal(desk.now, request=order, request_hash=done, closing=told)]
                made += [claim_entry(claim, desk.now, EXIT + order.signal_id)] if claim else []
                desk.note(*made)
        finally:
            if not closed:  # what did nothing stands in nobody's way
                self._exits.discard(order.signal_id)
                self._service.executor.facts.forget_twin(caller.subject, asking.request_hash)
        await self._service.stored()
        return self._closing(order.symbol, order.side.value, order.signal_id, told)

    def _closing(
        self, symbol: str, side: str, signal_id: str, told: list[dict[str, Any]] | None
    ) -> Answer:
        """What an exit is told; None: what left was told to a caller before."""
        desk, held = self._service.desk, told is None or bool(told)
        return Answer(
            status=202,
            body={
                "id": None,
                "status": "SUBMITTED" if held else "CANCELLED",
                "state": "CLOSING" if held else NOTHING_HELD,
                "symbol": symbol,
                "side": side,
                "signal_id": signal_id,
                "closing": told or [],
                "mode": desk.route.mode,
                "simulated": desk.broker.simulated,
                "is_backfill": False,
                "decision": None,
            },
        )

    def _check_price(self, order: OrderRequest) -> None:
        """Closing orders go to the market: a price that the market is worse than is a promise."""
        if order.order_type is OrderType.MARKET:
            return
        desk, limit = self._service.desk, order.limit_price_usd
        held = desk.state.positions.values()
        quote = next(
            (desk.quote(p.contract) for p in held if name_of(p.contract) == order.symbol), None
        )
        touch = (
            None if quote is None else quote.bid_usd if order.side is Side.SELL else quote.ask_usd
        )
        met = limit and touch and order.side.sign * (limit - touch) >= 0
        if order.order_type is not OrderType.LIMIT or not met:
            text = f"{order.order_type} at {limit}: bft closes at the market, now {touch}; "
            text += "leave the price out, or let the position's stop and target do it"
            raise Problem(400, Reason.VALIDATION, text)

    # backfill

    async def _backfill(
        self, order: OrderRequest, body: OrderBody, claim: KeyClaim | None
    ) -> Answer:
        """A trade of the past: a row of the trade log, no order, no position, no counter."""
        desk = self._service.desk
        if not desk.writer.writable:
            raise UnavailableError(f"{desk.writer.problem}; nothing was noted, send it again")
        price = order.limit_price_usd
        if price is not None and price <= 0:
            raise Problem(400, Reason.VALIDATION, f"price {price} is not above 0")
        entered = body.entered_at or desk.now
        trade = Trade(
            id=f"bf-{order.signal_id}",
            order_id="",
            symbol=order.symbol,
            side=order.side,
            qty=Decimal(order.qty),
            entry_price=price,
            stop_price=order.stop_price_usd,
            target_price=order.target_price_usd,
            created_at=desk.now,
            entered_at=entered,
            features=order.features,
            notes=order.notes,
            model_score=order.model_score,
            model_version=order.model_version,
            strategy_id=order.strategy_id,
            profile=desk.profile.name,
            mode=desk.route.mode,
            simulated=desk.broker.simulated,
            is_backfill=True,
            source=order.source,
            signal_id=order.signal_id,
            account=desk.account,
        )
        made = [entries.trade(desk.now, trade=trade)]
        made += [claim_entry(claim, desk.now, trade.id)] if claim else []
        durable = desk.note(*made)  # its key is taken: it is written once, whenever that can be
        await self._service.stored()
        if durable.done():
            durable.result()
        return Answer(status=201 if durable.done() else 202, body=backfill_view(trade))


def check_mode(service: Service, mode: str | None) -> None:
    """Refuse what was meant for the other kind of money.

    Raises:
        Problem: 403.
    """
    if mode is not None and mode.lower() != service.desk.route.mode:
        text = f"X-BFT-Mode says {mode[:16]}, this server is {service.desk.route.mode}"
        raise Problem(403, Reason.MODE, text)


def _told(closed: Closed) -> dict[str, Any]:
    return {
        "symbol": closed.symbol,
        "quantity": closed.qty,
        "entry": closed.entry,
        "what": closed.what,
    }


def claim_entry(claim: KeyClaim, now: Any, intent_id: str | None) -> Any:
    """The journal's word that a key was taken."""
    return entries.claim(
        now,
        key=claim.key,
        subject=claim.subject,
        request_hash=claim.request_hash,
        intent_id=intent_id,
    )
