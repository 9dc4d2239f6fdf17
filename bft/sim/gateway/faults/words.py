"""The words of a fault script, with their parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

Types = tuple[type, ...]
_TYPES: dict[str, Types] = {"number": (int, float), "text": (str,), "list": (list,)}


class Kind(StrEnum):
    """What a word works on."""

    MESSAGE = "message"  # one message on its way, in or out
    ORDER = "order"  # an order that arrives
    ACTION = "action"  # the gateway as a whole
    HARNESS = "harness"  # the process under test; a test harness carries it out


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Parameters by name; `msg` is the message it is about unless `when` names one."""

    kind: Kind
    params: Mapping[str, Types]
    required: frozenset[str]
    msg: str


_ORDER = "symbol!:text side!:text qty!:number kind:text limit:number aux:number tif:text ref:text"
# word, what it works on, @ its message, parameters (! is required)
_TABLE = f"""
drop message
delay message ms:number
duplicate message n:number
reorder message window:number
corrupt message how:text
slow_bytes message ms:number
half_open message s:number
disconnect message
disconnect_before_ack message @placeOrder
disconnect_after_ack message @placeOrder
auth_hang message @startApi s:number
client_id_in_use message @startApi
pacing message @reqHistoricalData code:number
no_end message msg!:text
silent_accept order @placeOrder
reject order @placeOrder code:number text:text
warn order @placeOrder code!:number text:text
partial_fill order @placeOrder fractions!:list
overfill order @placeOrder qty!:number
fill_then_cancel order @placeOrder fraction:number
child_reject order @placeOrder leg!:text code:number
two_perm_ids order @placeOrder
cancel_race order @cancelOrder
code action code!:number text:text
nightly_reset action s:number ending:text
restart action s:number
id_rollback action n!:number
vanish action s:number
clock_skew action s!:number
accounts action list!:list
positions_empty action s:number
manual_order action {_ORDER} account:text legs:list
manual_close action symbol!:text
foreign_client action {_ORDER} account:text client:number
correction action price!:number
split action symbol!:text ratio!:number
rename action symbol!:text to!:text
assign action symbol!:text
expire action symbol!:text
dead_line action symbol:text
stale action symbol:text s:number
frozen action symbol:text s:number
zero action symbol:text s:number
crossed action symbol:text s:number
delayed action symbol:text s:number
halted action symbol:text s:number
disk_full harness
read_only harness
kill_process harness point:text
"""


def _typed(parts: list[str]) -> dict[str, Types]:
    pairs = (part.split(":") for part in parts)
    return {name.rstrip("!"): _TYPES[kind] for name, kind in pairs}


def _word(line: str) -> tuple[str, Word]:
    name, kind, *rest = line.split()
    params = [part for part in rest if ":" in part]
    return name, Word(
        kind=Kind(kind),
        params=_typed(params),
        required=frozenset(p.partition("!")[0] for p in params if "!" in p),
        msg=next((part[1:] for part in rest if part.startswith("@")), ""),
    )


WORDS: dict[str, Word] = dict(_word(line) for line in _TABLE.strip().splitlines())
WHEN = _typed(
    "msg:text nth:number symbol:text leg:text client:number at:text after_s:number on:text "
    "p:number times:number".split()
)
EVENTS = ("connect", "ack", "fill")
