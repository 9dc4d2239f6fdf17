"""Day loss, its caps and the flatten figure by hand."""

from risk_cases import D, context, with_

from bft.risk.losses import day_loss_cap_usd, day_loss_usd, drawdown_frac, flatten_loss_usd
from bft.risk.profiles import EQUITIES, FUTURES_NQ, PAPER_SMALL


def test_day_loss_adds_losses_and_never_offsets_gains() -> None:
    rows = [("-100", "-50", "150"), ("-100", "900", "100"), ("900", "-50", "50"), ("9", "9", "0")]
    for realised, change, loss in rows:
        book = with_(context().book, realised_usd=D(realised), unrealised_change_usd=D(change))
        assert day_loss_usd(book) == D(loss)


def test_caps_are_the_tighter_of_amount_and_share_of_the_days_base() -> None:
    book = context().book  # 100,000 at the day's start
    rich = with_(book, day_start_equity_usd=D(1_000_000))
    assert day_loss_cap_usd(book, EQUITIES) == 2_000
    assert day_loss_cap_usd(rich, EQUITIES) == 5_000
    assert day_loss_cap_usd(book, PAPER_SMALL) == 100  # 1 % of the base of 10,000
    assert day_loss_cap_usd(book, FUTURES_NQ) == 300
    assert flatten_loss_usd(book, EQUITIES) == 5_000
    assert flatten_loss_usd(book, PAPER_SMALL) == 300


def test_unknown_figures_give_none() -> None:
    book = with_(context().book, day_start_equity_usd=D("NaN"), realised_usd=None)
    assert day_loss_usd(book) is None
    assert day_loss_cap_usd(book, EQUITIES) is None
    assert flatten_loss_usd(book, EQUITIES) is None
    assert drawdown_frac(D("NaN"), D(5)) is None
    assert drawdown_frac(D(90), D(100)) == D("0.1")
    assert drawdown_frac(D(110), D(100)) == 0
