"""Bodies of orders and signals, every name of a field included.

Source: executor specification, section 1.2; strategies specification, section 1 (signals).
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bft.domain.trading import ExitPolicy, Instrument, policy_of
from bft.services.executor.api import fields as f
from bft.services.executor.api.symbols import parse_symbol

ALIASES = {
    "side": ("action",),
    "quantity": ("qty", "shares"),
    "price": ("entry",),
    "stop_price": ("stop",),
    "target_price": ("target",),
    "stop_frac": ("stop_loss_pct",),
    "target_frac": ("take_profit_pct",),
    "trail_frac": ("trailing_stop_pct",),
    "activation_frac": ("trailing_activation_pct",),
    "strategy_id": ("strategy",),
}
"""Canonical field -> its other names."""
MOST_UNITS = 99_999_999
STRATEGY_TYPES = ("day_trade", "swing_trade", "close", "nightly")

SideWord = Annotated[Literal["BUY", "SELL"], BeforeValidator(f.upper)]
Units = Annotated[int, Field(ge=0, le=MOST_UNITS)]
Some = Annotated[int, Field(ge=1, le=MOST_UNITS)]


class OrderBody(BaseModel):
    """An order as a person or a program writes it; of a field's names one is enough."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        json_schema_extra={"anyOf": [{"required": ["side"]}, {"required": ["action"]}]},
    )

    symbol: Annotated[str, Field(min_length=1, max_length=32, examples=["AAPL"])]
    side: SideWord | None = None
    action: SideWord | None = None
    quantity: Units | None = Field(default=None, examples=[10])
    qty: Units | None = None
    shares: Units | None = None
    order_type: Annotated[
        Literal["MARKET", "LIMIT", "STOP", "STOP_LIMIT"] | None, BeforeValidator(f.upper)
    ] = None
    price: f.Price = None
    entry: f.Price = None
    trigger_price: f.Price = None
    stop_price: f.Price = None
    stop: f.Price = None
    target_price: f.Price = None
    target: f.Price = None
    stop_frac: f.Fraction = None
    stop_loss_pct: f.Percent = None
    target_frac: f.Fraction = None
    take_profit_pct: f.Percent = None
    trail_frac: f.Fraction = None
    trailing_stop_pct: f.Percent = None
    activation_frac: f.Fraction = None
    trailing_activation_pct: f.Percent = None
    time_in_force: Annotated[Literal["DAY", "GTC"] | None, BeforeValidator(f.upper)] = None
    entered_at: f.Instant = None
    expires_at: f.Instant = None
    paper: bool | None = None
    notes: Annotated[str, Field(max_length=2000)] | None = None
    client_order_id: f.Word | None = None
    signal_id: f.Word | None = None
    strategy_id: f.Word | None = None
    strategy: f.Word | None = None
    strategy_type: Annotated[
        Literal["day_trade", "swing_trade", "close", "nightly"] | None, BeforeValidator(f.lower)
    ] = None
    instrument: Annotated[
        Literal["STOCK", "CALL", "PUT", "FUTURE"] | None, BeforeValidator(f.upper)
    ] = None
    max_hold_days: Annotated[int, Field(ge=0, le=10_000)] | None = None
    confidence: f.Share = None
    model_score: f.Share = None
    model_version: f.Word | None = None
    source: Annotated[str, Field(pattern=r"^[a-z0-9_.-]{1,32}$")] | None = None
    features: f.Free = Field(default_factory=dict)
    metadata: f.Free = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_value_each(self) -> Self:
        for name, others in ALIASES.items():
            told = {n: getattr(self, n) for n in (name, *others) if getattr(self, n) is not None}
            if len(set(told.values())) > 1:
                pairs = ", ".join(f"{n} {value}" for n, value in told.items())
                raise ValueError(f"{pairs}: names of one field with different values")
        if self.value("side") is None:
            raise ValueError("side: BUY or SELL")
        self.traded()
        return self

    @model_validator(mode="after")
    def _no_guess(self) -> Self:
        told = self.features.get("is_backfill", False)
        if not isinstance(told, bool):
            raise ValueError(f"features.is_backfill {str(told)[:40]!r}: true or false")
        return self

    def names_decision(self) -> bool:
        """Whether the body says which decision it is: its id, or the bar of it."""
        return self.signal_id is not None

    def value(self, name: str) -> Any:
        """A field, under whichever of its names it was given."""
        names = (name, *ALIASES.get(name, ()))
        return next((got for n in names if (got := getattr(self, n)) is not None), None)

    def traded(self) -> tuple[str, Instrument]:
        """Symbol and instrument, each from the other where it says more.

        Raises:
            ValueError: no symbol, or not one of that instrument; says which was given.
        """
        instrument = Instrument(self.instrument) if self.instrument else None
        try:
            return parse_symbol(self.symbol, instrument)
        except ValueError as error:
            raise ValueError(f"symbol {self.symbol!r}: {error}") from error


class WholeOrderBody(OrderBody):
    """An order of a person: how many units is theirs to say."""

    quantity: Some | None = Field(default=None, examples=[10])
    qty: Some | None = None
    shares: Some | None = None

    @model_validator(mode="after")
    def _sized(self) -> Self:
        if not self.value("quantity"):
            raise ValueError("quantity: a whole number, 1 or more")
        return self


class SignalBody(OrderBody):
    """A signal: an order that risk may size, with what its strategy knew."""

    kind: Annotated[Literal["entry", "exit"] | None, BeforeValidator(f.lower)] = None
    direction: Annotated[Literal["long", "short"] | None, BeforeValidator(f.lower)] = None
    strategy_version: int | None = None
    params_digest: f.Word | None = None
    set_digest: f.Word | None = None
    asof: f.Day = None
    bar_key: f.Word | None = None
    decided_at: f.Instant = None
    provisional: bool | None = None
    confidence_kind: f.Word | None = None
    strength: f.Share = None
    horizon_days: Annotated[int, Field(ge=0, le=10_000)] | None = None
    reason: f.Line | None = None
    evidence: f.Free = Field(default_factory=dict)
    ref_price_usd: f.Price = None
    entry_order: Annotated[
        Literal["market", "collar", "limit", "stop"] | None, BeforeValidator(f.lower)
    ] = None
    limit_price_usd: f.Price = None
    stop_price_usd: f.Price = None
    exits: f.Free = Field(default_factory=dict, description="fields of an exit policy")
    model_age_days: Annotated[int, Field(ge=0, le=100_000)] | None = None
    tag: f.Word | None = None

    @model_validator(mode="after")
    def _one_direction(self) -> Self:
        """Of shares and futures the side follows from kind and direction; not of options."""
        if self.direction and self.kind and not self.traded()[1].is_option:
            buys = (self.direction == "long") == (self.kind == "entry")
            if self.value("side") != ("BUY" if buys else "SELL"):
                said = f"{self.kind} {self.direction} with side {self.value('side')}"
                raise ValueError(f"{said}: an entry long and an exit short buy, the others sell")
        return self

    def names_decision(self) -> bool:
        """As of an order; of a signal its bar or its session tell it, too."""
        return bool(self.signal_id or self.bar_key or self.asof)

    @model_validator(mode="after")
    def _policy(self) -> Self:
        self.policy()
        return self

    def policy(self) -> ExitPolicy | None:
        """The whole exit policy, where one was sent."""
        if not self.exits:
            return None
        try:
            return policy_of(_typed(self.exits))
        except (TypeError, ValueError) as error:
            raise ValueError(f"exits: {error}") from error


class SignalsBody(BaseModel):
    """Many signals; one malformed row refuses all."""

    model_config = ConfigDict(strict=True, extra="forbid")
    signals: Annotated[list[SignalBody], Field(min_length=1, max_length=500)]


_WHOLE = {"max_hold_days", "min_hold_days", "cooldown_days", "max_hold_s", "cooldown_s"}
_FLAGS = {"breakeven_after_partial", "same_session"}
_NEEDED = {"activation_frac", "min_hold_days", "cooldown_days"} | _FLAGS


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    """Values of the types that an exit policy has; its own check names what is unknown."""
    for name, value in values.items():
        if name == "partials" or (value is None and name not in _NEEDED):
            continue
        kind: Any = bool if name in _FLAGS else int if name in _WHOLE else (int, float)
        if not isinstance(value, kind) or (name not in _FLAGS and isinstance(value, bool)):
            raise ValueError(f"{name} {value!r}")
    partials = values.get("partials") or ()
    for pair in partials:
        if len(pair) != 2 or not all(isinstance(x, int | float) for x in pair):
            raise ValueError(f"partials {pair!r}")
    return {**values, "partials": partials}
