"""What became of signals, and which are posted again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from bft.domain.errors import DataError, UnavailableError
from bft.ports import Reply
from bft.steps.execute_rows import Row
from bft.steps.execute_send import BATCH_ROWS, cancel, counts, send, totals


@dataclass
class Scripted:
    """An ExecutorApi that answers each symbol from its list of words, the last one for ever."""

    words: dict[str, list[dict[str, Any]]]
    url: str = "http://executor"
    posted: list[list[str]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        wait_s: float = 30.0,
    ) -> Reply:
        if method == "DELETE":
            self.deleted.append(path)
            return Reply(status=409 if "late" in path else 202, body={"message": "over"})
        symbols = [signal["symbol"] for signal in (body or {})["signals"]]
        self.posted.append(symbols)
        return Reply(status=200, body={"rows": [self._next(symbol) for symbol in symbols]})

    def _next(self, symbol: str) -> dict[str, Any]:
        words = self.words[symbol]
        return words.pop(0) if len(words) > 1 else words[0]


def row(symbol: str, kind: str = "entry", **body: Any) -> Row:
    return Row(body={"symbol": symbol, "side": "BUY", "kind": kind, **body})


SENT = {"state": "ACKED", "outcome": "accepted", "id": "i"}
CLOCK = {"error": "clock", "outcome": "clock", "rule": 10, "message": "no sample"}
CAP = {"error": "max_position", "outcome": "max_position", "rule": 26, "message": "too much"}


def test_only_transient_denials_are_posted_again() -> None:
    api = Scripted({"AAPL": [CLOCK, CLOCK, SENT], "MSFT": [CAP], "NVDA": [SENT]})
    done = send(api, [row("AAPL"), row("MSFT"), row("NVDA")], wait_s=5, again_s=0.001)
    assert api.posted == [["AAPL", "MSFT", "NVDA"], ["AAPL"], ["AAPL"]]
    told = counts(done)
    assert (told["sent"], told["denied"], told["transient_denied"]) == (2, {"max_position": 1}, 0)


def test_what_is_still_denied_when_the_wait_is_over_is_counted() -> None:
    api = Scripted({"AAPL": [CLOCK]})
    done = send(api, [row("AAPL")], wait_s=0)
    assert len(api.posted) == 1
    assert counts(done)["transient_denied"] == 1


def test_what_a_person_must_end_is_left_to_a_later_call() -> None:
    halted = {"error": "halted", "outcome": "halted", "rule": 4, "message": "halt h: lunch"}
    api = Scripted({"AAPL": [halted, SENT]})
    done = send(api, [row("AAPL")], wait_s=5, again_s=0.001)
    assert len(api.posted) == 1
    assert counts(done)["transient_denied"] == 1


@pytest.mark.parametrize(
    ("told", "word"),
    [
        (SENT, "sent"),
        ({"state": "UNKNOWN", "outcome": "unknown"}, "unknown"),
        ({"state": "FILLED", "outcome": "replayed"}, "replayed"),
        ({"state": "LAPSED", "outcome": "not_armed", "error": "not_armed"}, "lapsed"),
        ({"state": "NOTHING_HELD", "outcome": "accepted"}, "nothing_held"),
        (CAP, "max_position"),
    ],
)
def test_every_answer_has_one_word(told: dict[str, Any], word: str) -> None:
    (outcome,) = send(Scripted({"AAPL": [told]}), [row("AAPL")], wait_s=0)
    assert outcome.word == word
    assert outcome.transient is False


def test_many_rows_go_in_bodies_the_api_takes() -> None:
    count = BATCH_ROWS + 1
    api = Scripted({f"S{n}": [SENT] for n in range(count)})
    done = send(api, [row(f"S{n}") for n in range(count)], wait_s=0)
    assert [len(batch) for batch in api.posted] == [BATCH_ROWS, 1]
    assert [outcome.row.body["symbol"] for outcome in done] == [f"S{n}" for n in range(count)]
    big = Scripted({"AAPL": [SENT]})
    send(big, [row("AAPL", reason="x" * 100_000)] * 3, wait_s=0)
    assert [len(batch) for batch in big.posted] == [1, 1, 1]


@pytest.mark.parametrize(("status", "fault"), [(422, DataError), (503, UnavailableError)])
def test_refused_batch_ends_the_verb(status: int, fault: type[Exception]) -> None:
    class Refusing(Scripted):
        def ask(self, method: str, path: str, **_: Any) -> Reply:  # type: ignore[override]
            return Reply(status=status, body={"message": "signals.0.symbol: malformed"})

    with pytest.raises(fault, match="malformed"):
        send(Refusing({}), [row("AAPL")], wait_s=0)


def test_dropped_entries_are_cancelled_once_and_counted() -> None:
    api = Scripted({})
    rows = [row("AAPL", signal_id=name) for name in ("a", "b", "late")]
    found = cancel(api, rows, {"a": "1", "late": "late"})
    assert api.deleted == ["/v1/orders/1", "/v1/orders/late"]
    assert dict(found) == {"dropped": 1, "drop_not_pending": 1, "drop_too_late": 1}


def test_terminal_is_told_of_every_row_also_of_those_that_were_not_sent() -> None:
    """Five rows of a night: one denied by a halt is shown, four had a position already."""
    told = counts([]) | {"denied": {"halted": 1}, "replayed": 2}
    assert totals(told, {"held_or_pending": 4, "drop_too_late": 0}) == (
        "0 sent, 2 replayed, 1 denied (halted 1), 4 skipped (held_or_pending 4)"
    )
