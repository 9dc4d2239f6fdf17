"""Losses by name (models specification, section 3.3); batch means in float32.

Legend: B batch, K classes. A regression loss takes yhat (B,) and y (B,), both scaled; a class loss
takes logits z (B, K) and classes y (B,); coral takes z (B, K-1). Each returns losses (B,).
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  torch's own name for it

from bft.domain.forecast import Kind

Loss = Callable[[Tensor, Tensor], Tensor]
TARGET_CLIP = 5.0  # a scaled return beyond it counts as this
_LOG_2 = 0.6931471805599453
_REVERSE = 4.0  # symmetric_ce: log 0 := -4 (Wang et al., 2019)


def loss_of(kind: Kind, profile: Mapping[str, Any]) -> Loss:
    """Per-sample loss of a model, from its effective profile."""
    name, p = profile["loss"], profile
    if kind is Kind.REGRESSION:
        return _regression(name, p["directional_weight"])
    smooth = p["smoothing"] if name == "label_smoothing" else 0.0
    table: dict[str, Loss] = {
        "cross_entropy": lambda z, y: cross_entropy(z, y),
        "label_smoothing": lambda z, y: cross_entropy(z, y, smoothing=smooth),
        "focal": lambda z, y: focal(z, y, gamma=p["focal_gamma"]),
        "soft_ordinal": lambda z, y: soft_ordinal(z, y, sigma=p["ordinal_sigma"]),
        "symmetric_ce": lambda z, y: symmetric_ce(z, y, a=p["symmetric_a"], b=p["symmetric_b"]),
        "ordinal_focal": lambda z, y: ordinal_focal(
            z, y, gamma=p["focal_gamma"], weight=p["ordinal_weight"]
        ),
        "coral": coral,
    }
    return table[name]


def log_probabilities(z: Tensor, *, loss: str) -> Tensor:
    """Log probabilities (B, K) that a net means by its outputs."""
    if loss != "coral":
        return F.log_softmax(z.float(), dim=-1)
    above = torch.sigmoid(z.float())  # (B, K-1), P(class > j)
    ones = torch.ones_like(above[:, :1])
    p = torch.cat([ones, above], 1) - torch.cat([above, torch.zeros_like(ones)], 1)
    p = p.clamp_min(1e-12)
    return torch.log(p / p.sum(dim=1, keepdim=True))


def entropy(logp: Tensor) -> Tensor:
    """Entropy (B,) of log probabilities (B, K)."""
    return -(logp.exp() * logp).sum(dim=-1)


def logcosh(yhat: Tensor, y: Tensor) -> Tensor:
    """Log of cosh of the error, without overflow."""
    e = (yhat - y).abs()
    return e + torch.log1p(torch.exp(-2 * e)) - _LOG_2


def directional_mse(yhat: Tensor, y: Tensor, *, weight: float = 3.0) -> Tensor:
    """Squared error, 1 + `weight` times as heavy where the sign is wrong."""
    wrong = (torch.sign(yhat) != torch.sign(y)).float()
    return (yhat - y) ** 2 * (1 + weight * wrong)


def combined_regression(yhat: Tensor, y: Tensor, *, weight: float = 3.0) -> Tensor:
    """Half logcosh, half directional_mse."""
    return 0.5 * logcosh(yhat, y) + 0.5 * directional_mse(yhat, y, weight=weight)


def cross_entropy(z: Tensor, y: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """-log p_y, with targets (1 - eps) onehot + eps/K."""
    return F.cross_entropy(z, y, reduction="none", label_smoothing=smoothing)


def focal(z: Tensor, y: Tensor, *, gamma: float = 2.0) -> Tensor:
    """-(1 - p_y)^g log p_y.

    Source: Lin et al., Focal Loss for Dense Object Detection (2017).
    """
    logp = F.log_softmax(z, dim=-1).gather(1, y[:, None])[:, 0]  # (B, K) -> (B,)
    return -((1 - logp.exp()) ** gamma) * logp


def soft_targets(classes: int, *, sigma: float) -> Tensor:
    """Targets (K, K): row y holds q_k ~ exp(-(k-y)^2 / (2 s^2)), normalised."""
    k = torch.arange(classes, dtype=torch.float32)
    return torch.softmax(-((k[None, :] - k[:, None]) ** 2) / (2 * sigma**2), dim=1)


def soft_ordinal(z: Tensor, y: Tensor, *, sigma: float = 0.5) -> Tensor:
    """Cross-entropy against targets that lean to the neighbouring classes.

    Source: Díaz and Marathe, Soft Labels for Ordinal Regression (2019).
    """
    q = soft_targets(z.shape[1], sigma=sigma).to(z.device)[y]  # (K, K) -> (B, K)
    return -(q * F.log_softmax(z, dim=-1)).sum(dim=-1)


def symmetric_ce(z: Tensor, y: Tensor, *, a: float = 1.0, b: float = 0.5) -> Tensor:
    """Weighted cross-entropy plus its reverse with log 0 := -4.

    Source: Wang et al., Symmetric Cross Entropy for Robust Learning with Noisy Labels (2019).
    """
    p = F.log_softmax(z, dim=-1).gather(1, y[:, None])[:, 0].exp()
    return a * cross_entropy(z, y) + b * _REVERSE * (1 - p)


def ordinal_focal(z: Tensor, y: Tensor, *, gamma: float = 2.0, weight: float = 1.0) -> Tensor:
    """Focal loss plus the squared distance of the cumulative distributions."""
    cumulative = torch.softmax(z, dim=-1).cumsum(dim=-1)[:, :-1]  # (B, K) -> (B, K-1)
    k = torch.arange(z.shape[1] - 1, device=z.device)
    reached = (y[:, None] <= k).float()
    return focal(z, y, gamma=gamma) + weight * ((cumulative - reached) ** 2).sum(dim=-1)


def coral(z: Tensor, y: Tensor) -> Tensor:
    """Sum over thresholds j of binary cross-entropy of z_j against 1[y > j].

    Source: Cao, Mirjalili, Raschka, Rank Consistent Ordinal Regression (2020).
    """
    above = (y[:, None] > torch.arange(z.shape[1], device=z.device)).float()
    return F.binary_cross_entropy_with_logits(z, above, reduction="none").sum(dim=-1)


def _regression(name: str, weight: float) -> Loss:
    table: dict[str, Loss] = {
        "mse": lambda x, y: F.mse_loss(x, y, reduction="none"),
        "mae": lambda x, y: F.l1_loss(x, y, reduction="none"),
        "huber": lambda x, y: F.huber_loss(x, y, reduction="none", delta=1.0),
        "smooth_l1": lambda x, y: F.smooth_l1_loss(x, y, reduction="none", beta=1.0),
        "logcosh": logcosh,
        "directional_mse": lambda x, y: directional_mse(x, y, weight=weight),
        "combined_regression": lambda x, y: combined_regression(x, y, weight=weight),
    }
    chosen = table[name]
    return lambda x, y: chosen(x, y.clamp(-TARGET_CLIP, TARGET_CLIP))
