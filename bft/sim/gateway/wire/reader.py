"""Reading fields of a request one after the other."""

from decimal import Decimal, InvalidOperation

from bft.sim.gateway.catalogue import Wanted

UNSET_DOUBLE = 1.7976931348623157e308  # IB's "not given"
_UNSET_INT = 2**31 - 1


class FieldError(Exception):
    """A field is missing or of another type; the text says which."""


class Reader:
    """Fields with a place; each call takes the next one."""

    def __init__(self, fields: list[str], *, skip: int) -> None:
        self._fields, self._at = fields, skip

    @property
    def left(self) -> int:
        """Fields not read yet."""
        return len(self._fields) - self._at

    def text(self) -> str:
        """Next field as it is.

        Raises:
            FieldError: there is none.
        """
        if not self.left:
            raise FieldError(f"message ends after {len(self._fields)} fields")
        self._at += 1
        return self._fields[self._at - 1]

    def texts(self, count: int) -> list[str]:
        """The next fields."""
        return [self.text() for _ in range(count)]

    def skip(self, count: int) -> None:
        """Pass over fields."""
        self.texts(count)

    def number(self) -> int:
        """Next field as an int, 0 where empty.

        Raises:
            FieldError: it is none.
        """
        word = self.text()
        try:
            return int(word or 0)
        except ValueError:
            raise FieldError(f"field {self._at - 1}: {word!r} is no whole number") from None

    def flag(self) -> bool:
        """Next field as a bool; anything but empty, 0 and False is true."""
        return self.text() not in {"", "0", "False"}

    def decimal(self) -> Decimal | None:
        """Next field as a Decimal; None where empty or unset.

        Raises:
            FieldError: it is none, or not finite.
        """
        word = self.text()
        if not word or word == str(_UNSET_INT):
            return None
        try:
            value = Decimal(word)
        except InvalidOperation:
            raise FieldError(f"field {self._at - 1}: {word!r} is no number") from None
        if not value.is_finite():
            raise FieldError(f"field {self._at - 1}: {word!r} is no number")
        return None if value >= Decimal("1e300") else value

    def wanted(self) -> Wanted:
        """C12: the twelve fields of a contract in requests."""
        con_id, (symbol, sec_type, expiry) = self.number(), self.texts(3)
        strike = self.decimal()
        words = self.texts(7)
        right, multiplier, exchange, primary, currency, local_symbol, trading_class = words
        return Wanted(
            con_id=con_id,
            symbol=symbol,
            sec_type=sec_type,
            expiry=expiry,
            strike=strike or Decimal(0),
            right=right.strip("?0"),
            multiplier=multiplier,
            exchange=exchange,
            primary=primary,
            currency=currency,
            local_symbol=local_symbol,
            trading_class=trading_class,
        )
