"""placeOrder (3), walked field by field (ib-wire, section 4)."""

from dataclasses import dataclass
from decimal import Decimal

from bft.sim.gateway.catalogue import Wanted
from bft.sim.gateway.wire.reader import FieldError, Reader

_HEAD = (
    "secIdType secId action totalQuantity orderType lmtPrice auxPrice tif ocaGroup account "
    "openClose origin orderRef transmit parentId blockOrder sweepToFill displaySize triggerMethod "
    "outsideRth hidden"
).split()
_MIDDLE = (
    "_ discretionaryAmt goodAfterTime goodTillDate faGroup faMethod faPercentage modelCode "
    "shortSaleSlot designatedLocation exemptCode ocaType rule80A settlingFirm allOrNone minQty "
    "percentOffset eTradeOnly firmQuoteOnly nbboPriceCap auctionStrategy startingPrice "
    "stockRefPrice delta stockRangeLower stockRangeUpper overridePct volatility volatilityType "
    "deltaNeutralOrderType deltaNeutralAuxPrice"
).split()
_AFTER_DELTA = (
    "continuousUpdate referencePriceType trailStopPrice trailingPercent scaleInitLevelSize "
    "scaleSubsLevelSize scalePriceIncrement"
).split()
_SCALE = "scaleTable activeStartTime activeStopTime hedgeType".split()
_CLEARING = "optOutSmartRouting clearingAccount clearingIntent notHeld deltaNeutral".split()
_WHAT_IF = "algoId whatIf orderMiscOptions solicited randomizeSize randomizePrice".split()
_TAIL = (
    "adjustedOrderType triggerPrice lmtPriceOffset adjustedStopPrice adjustedStopLimitPrice "
    "adjustedTrailingAmount adjustableTrailingUnit extOperator softDollarName softDollarValue "
    "cashQty mifid2DecisionMaker mifid2DecisionAlgo mifid2ExecutionTrader mifid2ExecutionAlgo "
    "dontUseAutoPriceForHedge isOmsContainer discretionaryUpToLimitPrice usePriceMgmtAlgo duration "
    "postToAts autoCancelParent advancedErrorOverride manualOrderTime"
).split()
_CONDITION_FIELDS = {1: 6, 3: 3, 4: 3, 5: 4, 6: 5, 7: 5}  # by type, the type itself left out
_SIMULATED_DELTA = frozenset(["", "None"])  # the client echoes what an openOrder taught it


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A placeOrder: its fields by name, and what in it is not simulated."""

    order_id: int
    wanted: Wanted
    fields: dict[str, str]
    refused: str = ""

    def decimal(self, name: str) -> Decimal | None:
        """Field as a Decimal; None where unset.

        Raises:
            FieldError: no number.
        """
        return Reader([self.fields[name]], skip=0).decimal()

    def number(self, name: str) -> int:
        """Field as an int.

        Raises:
            FieldError: no whole number.
        """
        return Reader([self.fields[name]], skip=0).number()

    def flag(self, name: str) -> bool:
        """Field as a bool."""
        return Reader([self.fields[name]], skip=0).flag()


def order_id_of(fields: list[str]) -> int:
    """Order id of a message that may be malformed further on."""
    return int(fields[1]) if len(fields) > 1 and fields[1].lstrip("-").isdigit() else -1


def read(fields: list[str]) -> Placed:
    """Walk a whole message, optional parts included.

    Raises:
        FieldError: fields are missing, of another type, or left over.
    """
    reader = Reader(fields, skip=1)
    order_id, wanted = reader.number(), reader.wanted()
    found: dict[str, str] = {}
    refused: list[str] = []
    _take(reader, found, _HEAD)
    if wanted.sec_type == "BAG":
        refused.append("BAG")
        _bag(reader)
    _take(reader, found, _MIDDLE)
    if found["deltaNeutralOrderType"]:
        reader.skip(8)
    _take(reader, found, _AFTER_DELTA)
    _scale_and_hedge(reader, found, refused)
    _take(reader, found, _CLEARING)
    if found["deltaNeutral"] not in {"", "0", "False"}:
        reader.skip(3)
        refused.append("delta neutral")
    _algo(reader, refused)
    _take(reader, found, _WHAT_IF)
    _pegged_and_conditions(reader, found, refused)
    _take(reader, found, _TAIL)
    if wanted.exchange == "IBKRATS":
        reader.skip(1)
    reader.skip(reader.left if found["orderType"].startswith("PEG") else 0)
    if reader.left:
        raise FieldError(f"{reader.left} fields too many")
    if found["deltaNeutralOrderType"] not in _SIMULATED_DELTA:
        refused.append("delta neutral")
    return Placed(order_id=order_id, wanted=wanted, fields=found, refused=", ".join(refused))


def _take(reader: Reader, found: dict[str, str], names: list[str]) -> None:
    found.update(zip(names, reader.texts(len(names)), strict=True))


def _bag(reader: Reader) -> None:
    reader.skip(8 * reader.number())
    reader.skip(reader.number())
    reader.skip(2 * reader.number())


def _scale_and_hedge(reader: Reader, found: dict[str, str], refused: list[str]) -> None:
    increment = Reader([found["scalePriceIncrement"]], skip=0).decimal()
    if increment:
        reader.skip(7)
        refused.append("scale order")
    _take(reader, found, _SCALE)
    if found["hedgeType"]:
        reader.skip(1)
        refused.append("hedge order")


def _algo(reader: Reader, refused: list[str]) -> None:
    if reader.text():
        reader.skip(2 * reader.number())
        refused.append("algo")


def _pegged_and_conditions(reader: Reader, found: dict[str, str], refused: list[str]) -> None:
    if found["orderType"].startswith("PEG"):
        refused.append(found["orderType"])
    if found["orderType"] in {"PEG BENCH", "PEGBENCH"}:
        reader.skip(5)
    conditions = reader.number()
    for _ in range(conditions):
        reader.skip(_CONDITION_FIELDS.get(reader.number(), 0))
    if conditions:
        reader.skip(2)
        refused.append("conditions")
