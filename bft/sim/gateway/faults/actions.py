"""Words about the gateway as a whole: session, state and data."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bft.domain.errors import UsageError
from bft.sim.gateway.faults import combos, corporate

if TYPE_CHECKING:
    from bft.sim.gateway.gateway import GatewaySim

Params = Mapping[str, Any]
_FOREIGN_CLIENT = 77
_TEXTS = {
    1100: "Connectivity between IB and Trader Workstation has been lost.",
    1101: "Connectivity between IB and Trader Workstation has been restored - data lost.",
    1102: "Connectivity between IB and Trader Workstation has been restored - data maintained.",
    2103: "Market data farm connection is broken:simulated",
    2104: "Market data farm connection is OK:simulated",
    2105: "HMDS data farm connection is broken:simulated",
    2106: "HMDS data farm connection is OK:simulated",
    2110: "Connectivity between Trader Workstation and server is broken.",
    2157: "Sec-def data farm connection is broken:simulated",
    2158: "Sec-def data farm connection is OK:simulated",
}


class Actions:
    """Carries words out."""

    def __init__(self, gateway: "GatewaySim") -> None:
        self.gateway = gateway
        self._words: dict[str, Callable[[Params], None]] = {
            "code": self._code,
            "nightly_reset": self._nightly_reset,
            "restart": self._restart,
            "id_rollback": self._id_rollback,
            "vanish": self._vanish,
            "clock_skew": self._clock_skew,
            "accounts": self._accounts,
            "positions_empty": self._positions_empty,
            "manual_order": lambda p: self._enter(p, client=0),
            "manual_close": lambda p: self._closed(p),
            "foreign_client": lambda p: self._enter(p, client=p.get("client", _FOREIGN_CLIENT)),
            "correction": lambda p: corporate.correct(gateway, Decimal(str(p["price"]))),
            "split": lambda p: corporate.split(gateway, p["symbol"], Decimal(str(p["ratio"]))),
            "rename": lambda p: corporate.rename(gateway, p["symbol"], p["to"]),
            "assign": lambda p: corporate.assign(gateway, p["symbol"]),
            "dead_line": lambda p: gateway.board.data.kill_lines(p.get("symbol", "")),
            "expire": lambda p: corporate.expire(gateway, p["symbol"]),
        }

    def do(self, word: str, params: Params) -> None:
        """Carry a word out now.

        Raises:
            UsageError: its symbol is unknown or not held.
        """
        action = self._words.get(word)
        if action is not None:
            action(params)
        else:
            self.gateway.data_faults.begin(word, params.get("symbol", ""), params.get("s", 60))

    def _code(self, params: Params) -> None:
        code = int(params["code"])
        board = self.gateway.board
        text = str(params.get("text", _TEXTS.get(code, "simulated")))
        if code == 1101:
            board.lose_data()
        board.say_all(code, text)

    def _nightly_reset(self, params: Params) -> None:
        ending = str(params.get("ending", "close"))
        if ending not in {"close", "1101", "1102"}:
            raise UsageError(f"nightly_reset: ending {ending!r}: one of close, 1101, 1102")
        self.gateway.rounds.reset(params.get("s", 60), ending)

    def _restart(self, params: Params) -> None:
        """Close every socket and take none for a while."""
        board = self.gateway.board
        board.down = True
        board.abort_all()

        def up() -> None:
            board.down = False

        self.gateway.agenda.after(params.get("s", 5), up)

    def _id_rollback(self, params: Params) -> None:
        self.gateway.board.rollback = int(params["n"])

    def _vanish(self, params: Params) -> None:
        """Orders younger than a second are gone, without a word."""
        now, young_s = self.gateway.now(), params.get("s", 1)
        books = self.gateway.exchange.books
        for order in books.live():
            if (now - order.created_at).total_seconds() <= young_s:
                books.erase(order)
        self.gateway.settle()

    def _clock_skew(self, params: Params) -> None:
        self.gateway.board.skew_s = params["s"]

    def _accounts(self, params: Params) -> None:
        board = self.gateway.board
        board.account_names = [str(name) for name in params["list"]]
        for name in board.account_names:
            self.gateway.exchange.books.open_account(name, self.gateway.config.cash_usd)
        board.tell_accounts()

    def _positions_empty(self, params: Params) -> None:
        board = self.gateway.board
        board.positions_hidden = True

        def show() -> None:
            board.positions_hidden = False

        self.gateway.agenda.after(params.get("s", 10), show)

    def _enter(self, params: Params, *, client: int) -> None:
        if "legs" in params:
            combos.enter(self.gateway, params)
            return
        order = {**params, "client": client}
        if client:
            order["order_id"] = self.gateway.next_id(client)
        self.gateway.place_manual(**order)

    def _closed(self, params: Params) -> None:
        self.gateway.close_position(params["symbol"])
