"""One check for all nets of the table, and the exact sizes the specification states."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from bft.domain.errors import ConfigError
from bft.domain.forecast import Kind
from bft.domain.gold import INPUTS
from bft.models.nets import NETS, build_net, parameters, sizes_of
from bft.models.profiles import effective, profiles_folder
from bft.models.runtime import fixed

SMALL = {"width": 16, "layers": 2, "ff": 32, "heads": 2, "lookback": 20, "dropout": 0.1}


def sizes(kind: Kind, **changes: Any) -> dict[str, Any]:
    profile = effective("production", f"{kind}_3d", (), profiles_folder())
    return sizes_of(profile | SMALL | changes, kind, INPUTS)


def windows(count: int = 12, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 20, len(INPUTS), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with fixed(1):
        yield


each_net = pytest.mark.parametrize(
    ("net", "kind", "loss"),
    [
        *((n, k, "default") for n, k in product(NETS, Kind)),
        *((n, Kind.BUCKETS, "coral") for n in NETS),
    ],
)


def made(net: str, kind: Kind, loss: str) -> torch.nn.Module:
    torch.manual_seed(1)
    return build_net(sizes(kind, type=net, loss=loss), kind)


@each_net
def test_output_has_the_shape_of_its_kind(net: str, kind: Kind, loss: str) -> None:
    outs = {Kind.REGRESSION: 1, Kind.BINARY: 2, Kind.BUCKETS: 2 if loss == "coral" else 3}
    for lookback in (20, 60, 200):
        x = torch.zeros(2, lookback, len(INPUTS))
        assert made(net, kind, loss).eval()(x).shape == (2, outs[kind])


@each_net
def test_gradients_are_finite_and_reach_every_used_parameter(
    net: str, kind: Kind, loss: str
) -> None:
    model = made(net, kind, loss).train()
    model.layer_drop = 0.0
    (model(windows()) ** 2).sum().backward()
    other = {f"heads.heads.{n}." for n in range(3)} - {f"heads.heads.{list(Kind).index(kind)}."}
    for name, parameter in model.named_parameters():
        if not name.startswith(tuple(other)):
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


@each_net
def test_a_sample_does_not_see_its_batch(net: str, kind: Kind, loss: str) -> None:
    model, x = made(net, kind, loss).eval(), windows()
    alone = model(x[:1])
    changed = x.clone()
    changed[1:] *= 100
    torch.testing.assert_close(model(changed)[:1], alone)


@each_net
def test_state_loads_into_an_equal_net(net: str, kind: Kind, loss: str, tmp_path: Any) -> None:
    model = made(net, kind, loss).eval()
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    torch.manual_seed(2)
    other = build_net(sizes(kind, type=net, loss=loss), kind).eval()
    assert not torch.equal(other(windows()), model(windows()))
    state = torch.load(tmp_path / "weights.pt", weights_only=True)
    other.load_state_dict(state, strict=True)
    assert torch.equal(other(windows()), model(windows()))


@each_net
def test_one_batch_can_be_learnt(net: str, kind: Kind, loss: str) -> None:
    from bft.models.losses import loss_of
    from bft.models.optimizers import Optimizer

    profile = effective("production", f"{kind}_3d", (), profiles_folder())
    chosen = {Kind.REGRESSION: "mse"}.get(kind, "cross_entropy" if loss == "default" else loss)
    profile |= {"loss": chosen, "optimizer": "adamw", "lr": 1e-2, "weight_decay": 0.0}
    torch.manual_seed(3)
    changes = {"type": net, "loss": chosen, "dropout": 0.0, "layer_drop": 0.0}
    model = build_net(sizes(kind, **changes), kind).train()
    optimizer, x = Optimizer(model, profile), windows(16)
    y = torch.randn(16) if kind is Kind.REGRESSION else torch.arange(16) % (1 + len(kind) // 2)
    history = []
    for _ in range(90):
        out = model(x)
        value = loss_of(kind, profile)(out[:, 0] if kind is Kind.REGRESSION else out, y).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        history.append(value.item())
    assert history[-1] < 0.2 * history[0]


@pytest.mark.parametrize(
    ("net", "shape", "counts"),
    [
        ("encoder", (128, 3, 256, 4), {Kind.REGRESSION: 429_637}),
        ("encoder", (64, 2, 128, 4), (76_901, 76_934, 76_967)),
        ("encoder", (32, 1, 64, 4), (11_989, 12_006, 12_023)),
        ("encoder", (16, 1, 32, 2), (3_565, 3_574, 3_583)),
        ("cross", (128, 4, 512, 8), (1_619_013, 1_619_078, 1_619_143)),
    ],
)
def test_parameter_counts_are_those_of_the_specification(
    net: str, shape: tuple[int, ...], counts: Any
) -> None:
    named = dict(zip(("width", "layers", "ff", "heads"), shape, strict=True))
    expected = counts if isinstance(counts, dict) else dict(zip(Kind, counts, strict=True))
    for kind, count in expected.items():
        built = build_net(sizes(kind, type=net, loss="default", **named), kind)
        assert parameters(built) == count


def test_encoder_layer_equals_pytorchs_own() -> None:
    """Same parameters, initialisation and output as nn.TransformerEncoderLayer(norm_first)."""
    from bft.models.encoder import Layer

    torch.manual_seed(4)
    ours = Layer(16, 4, 32, 0.0).eval()
    torch.manual_seed(4)
    theirs = torch.nn.TransformerEncoderLayer(
        16, 4, 32, dropout=0.0, norm_first=True, batch_first=True
    ).eval()
    state = ours.state_dict()
    assert set(state) == set(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(state[name], value, rtol=0, atol=0)
    x = torch.randn(3, 20, 16)
    torch.testing.assert_close(ours(x), theirs(x))


def test_positions_are_sinusoidal() -> None:
    from bft.models.encoder import positions

    table = positions(16)
    assert table.shape == (200, 16)
    np.testing.assert_allclose(table[7, 4], np.sin(7 / 10000 ** (4 / 16)), rtol=1e-6)
    np.testing.assert_allclose(table[7, 5], np.cos(7 / 10000 ** (4 / 16)), rtol=1e-6)


def test_layer_drop_skips_layers_in_training_only() -> None:
    dropped = sizes(Kind.REGRESSION, type="encoder", layer_drop=0.95, dropout=0.0)
    model = build_net(dropped, Kind.REGRESSION)
    model.eval()
    whole = model(windows())
    assert torch.equal(whole, model(windows()))
    model.train()
    torch.manual_seed(0)
    assert not torch.equal(model(windows()), whole)


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_dropout_zeroes_its_share_and_keeps_the_mean(rate: float) -> None:
    from bft.models.encoder import Dropout

    torch.manual_seed(0)
    out = Dropout(rate).train()(torch.ones(1001, 999))
    assert abs(float((out == 0).float().mean()) - rate) < 2e-3
    assert abs(float(out.mean()) - 1) < 2e-3
    assert torch.equal(Dropout(rate).eval()(torch.ones(3)), torch.ones(3))


def test_cross_wants_its_market_inputs() -> None:
    market = ["spy_ret_1d", "spy_ret_5d", "spy_vol_5d", "unemployment"]
    NETS["cross"].check(INPUTS, market)
    with pytest.raises(ConfigError, match="5 of 11 market inputs"):
        NETS["cross"].check(INPUTS, [*market, "nonfarm_payroll"])
    with pytest.raises(ConfigError, match="needs the input"):
        NETS["cross"].check(INPUTS[:40], [])


def test_cross_splits_by_name_whatever_the_order() -> None:
    model = made("cross", Kind.REGRESSION, "default").eval()
    order = list(reversed(INPUTS))
    other = sizes(Kind.REGRESSION, type="cross", loss="default") | {"features": order}
    turned = build_net(other, Kind.REGRESSION)
    turned.load_state_dict(model.state_dict())
    stock = [n for n in order if n not in set(INPUTS[41:])]
    assert turned.market_at.tolist() == [order.index(INPUTS[n]) for n in model.market_at.tolist()]
    assert len(turned.stock_at) == 41 == len(stock)
