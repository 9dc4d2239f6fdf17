"""Each optimiser against its published update, in numpy and float64."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bft.models.optimizers import Optimizer

LR, DECAY = 0.01, 0.1


def adam_like(decoupled: bool) -> Callable[[np.ndarray, list[np.ndarray], float], np.ndarray]:
    """Kingma and Ba (2015); decoupled as in Loshchilov and Hutter (2019), algorithm 2."""

    def run(x: np.ndarray, grads: list[np.ndarray], decay: float) -> np.ndarray:
        m, v = np.zeros_like(x), np.zeros_like(x)
        for t, grad in enumerate(grads, 1):
            g = grad if decoupled else grad + decay * x
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            step = LR * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
            x = x * (1 - LR * decay if decoupled else 1) - step
        return x

    return run


def sgd(x: np.ndarray, grads: list[np.ndarray], decay: float) -> np.ndarray:
    moment = np.zeros_like(x)
    for grad in grads:
        moment = 0.9 * moment + grad + decay * x
        x = x - LR * moment
    return x


def rmsprop(x: np.ndarray, grads: list[np.ndarray], decay: float) -> np.ndarray:
    square = np.zeros_like(x)
    for grad in grads:
        g = grad + decay * x
        square = 0.99 * square + 0.01 * g**2
        x = x - LR * g / (np.sqrt(square) + 1e-8)
    return x


REFERENCES = {"adamw": adam_like(True), "adam": adam_like(False), "sgd": sgd, "rmsprop": rmsprop}


@pytest.mark.parametrize("name", REFERENCES)
def test_updates_are_the_published_ones_and_biases_do_not_decay(name: str) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 3)
    start = {n: p.detach().double().numpy().copy() for n, p in layer.named_parameters()}
    rng = np.random.default_rng(1)
    grads = [{n: rng.normal(size=x.shape) for n, x in start.items()} for _ in range(5)]
    optimizer = Optimizer(layer, {"optimizer": name, "lr": LR, "weight_decay": DECAY})
    for step in grads:
        optimizer.zero_grad()
        for n, p in layer.named_parameters():
            p.grad = torch.tensor(step[n], dtype=torch.float32)
        optimizer.step()
    for n, p in layer.named_parameters():
        decay = DECAY if n == "weight" else 0.0
        expected = REFERENCES[name](start[n], [g[n] for g in grads], decay)
        np.testing.assert_allclose(p.detach().numpy(), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", REFERENCES)
def test_state_continues_where_it_was(name: str) -> None:
    def grown(*, restart: bool) -> torch.Tensor:
        torch.manual_seed(0)
        layer = torch.nn.Linear(4, 3)
        profile = {"optimizer": name, "lr": LR, "weight_decay": DECAY}
        optimizer = Optimizer(layer, profile)
        for _ in range(4):
            if restart:
                state = optimizer.state_dict()
                optimizer = Optimizer(layer, profile)
                optimizer.load_state_dict(state)
            optimizer.zero_grad()
            layer(torch.ones(2, 4)).pow(2).sum().backward()
            optimizer.step()
        return layer.weight.detach()

    assert torch.equal(grown(restart=True), grown(restart=False))
