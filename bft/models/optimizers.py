"""Optimisers by name, on torch's functional forms.

torch.optim's classes import the whole compiler on first use (1.7 s a process, 4.7 s without
bytecode caches); a training worker has no other need of it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from bft.domain.runs import Json

_KEPT = ("first", "second", "steps")
_ADAM: dict[str, Any] = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


class Optimizer:
    """Two groups of parameters: decayed, and (biases, norms: one dimension) not."""

    def __init__(self, net: nn.Module, profile: Mapping[str, Any]) -> None:
        parameters = list(net.parameters())
        self.name: str = profile["optimizer"]
        self.lr = float(profile["lr"])
        self.param_groups = [
            _group([p for p in parameters if p.ndim >= 2], profile["weight_decay"]),
            _group([p for p in parameters if p.ndim < 2], 0.0),
        ]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self._parameters():
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters that have a gradient; the heads of other kinds never do."""
        for group in self.param_groups:
            used = [n for n, p in enumerate(group["params"]) if p.grad is not None]
            if used:
                _STEPS[self.name](_Part(group, used), self.lr)

    def state_dict(self) -> Json:
        """Moments and step counts, by group."""
        return {
            "groups": [{k: g[k] for k in ("first", "second", "steps")} for g in self.param_groups]
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        for group, kept in zip(self.param_groups, state["groups"], strict=True):
            for name in _KEPT:
                for own, value in zip(group[name], kept[name], strict=True):
                    own.copy_(value)

    def _parameters(self) -> Iterable[nn.Parameter]:
        return (p for group in self.param_groups for p in group["params"])


class _Part:
    """Lists of a group's parameters that take part in a step."""

    def __init__(self, group: Mapping[str, Any], used: list[int]) -> None:
        self.params: list[Tensor] = [group["params"][n] for n in used]
        self.grads: list[Tensor] = [p.grad for p in self.params if p.grad is not None]
        self.first: list[Tensor] = [group["first"][n] for n in used]
        self.second: list[Tensor] = [group["second"][n] for n in used]
        self.steps: list[Tensor] = [group["steps"][n] for n in used]
        self.decay: float = group["weight_decay"]


def _group(params: list[nn.Parameter], weight_decay: float) -> dict[str, Any]:
    zeros = {name: [torch.zeros_like(p) for p in params] for name in ("first", "second")}
    steps = [torch.zeros((), device=p.device) for p in params]
    return {"params": params, "weight_decay": weight_decay, "steps": steps, **zeros}


def _adam_like(step: Callable[..., None]) -> Callable[[_Part, float], None]:
    def move(part: _Part, lr: float) -> None:
        step(
            part.params,
            part.grads,
            part.first,
            part.second,
            [],
            part.steps,
            fused=True,
            amsgrad=False,
            maximize=False,
            lr=lr,
            weight_decay=part.decay,
            **_ADAM,
        )

    return move


def _sgd(part: _Part, lr: float) -> None:
    sgd(
        part.params,
        part.grads,
        list(part.first),
        fused=True,
        weight_decay=part.decay,
        momentum=0.9,
        lr=lr,
        dampening=0.0,
        nesterov=False,
        maximize=False,
    )


def _rmsprop(part: _Part, lr: float) -> None:
    rmsprop(
        part.params,
        part.grads,
        part.second,
        [],
        [],
        part.steps,
        lr=lr,
        alpha=0.99,
        eps=1e-8,
        weight_decay=part.decay,
        momentum=0.0,
        centered=False,
    )


_STEPS = {"adamw": _adam_like(adamw), "adam": _adam_like(adam), "sgd": _sgd, "rmsprop": _rmsprop}
