"""The default net: a pre-norm transformer encoder over one stock's window, pooled by attention.

Each time step is a token; the pooled summary feeds three heads, of which the model's kind uses
one. Shape: (B, T, F) -> (B, out). Source: Vaswani et al., Attention Is All You Need (2017); Fan et
al., Reducing Transformer Depth on Demand with Structured Dropout (2020).

Legend: B batch, T bars, F features, D width, H heads, K outputs.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  torch's own name for it

from bft.domain.forecast import Kind

POSITIONS_MAX = 200
_HEAD_AT = {Kind.REGRESSION: 0, Kind.BINARY: 1, Kind.BUCKETS: 2}


class Dropout(nn.Module):
    """Zero a share of cells and scale the rest up; on a CPU from 16 random bits a cell.

    torch draws a double a cell, which takes a quarter of a small net's step. The rate is met to
    1/65536.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        if not self.training or self.rate == 0:
            return x
        if x.is_cuda:
            return F.dropout(x, self.rate)
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        dropped = round(self.rate * 65536)
        kept = words.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - 32768
        return x * (kept.to(x.dtype) * (65536 / (65536 - dropped)))


class Attention(nn.MultiheadAttention):
    """Multi-head attention with PyTorch's parameters and initialisation, without its checks."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__(width, heads, batch_first=True)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Attend from x (B, T, D) to itself or to `memory` (B, T, D)."""
        if memory is None:
            q, k, v = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        else:
            d = self.embed_dim
            q = F.linear(x, self.in_proj_weight[:d], self.in_proj_bias[:d])
            k, v = F.linear(memory, self.in_proj_weight[d:], self.in_proj_bias[d:]).chunk(2, dim=-1)
        mixed = self._attend(self._split(q), self._split(k), self._split(v))
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))  # (B, H, T, D/H) -> (B, T, D)
        return out

    def _split(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        parts = x.view(b, t, self.num_heads, d // self.num_heads)  # (B, T, D) -> (B, T, H, D/H)
        return parts.transpose(1, 2)  # (B, T, H, D/H) -> (B, H, T, D/H)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if q.is_cuda:
            rate = self.drop.rate if self.training else 0.0
            return F.scaled_dot_product_attention(q, k, v, dropout_p=rate)
        # short windows on a CPU: plain products beat the fused kernel
        scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2))  # (B, H, T, T)
        return torch.matmul(self.drop(torch.softmax(scores, dim=-1)), v)


class Layer(nn.Module):
    """Pre-norm encoder layer: x += Drop(MHA(LN x)); x += Drop(W2 Drop(ReLU(W1 LN x)))."""

    def __init__(self, width: int, heads: int, ff: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads, dropout)
        self.linear1 = nn.Linear(width, ff)
        self.linear2 = nn.Linear(ff, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = x + self.dropout(self.self_attn(self.norm1(x)))
        inner = self.dropout(F.relu(self.linear1(self.norm2(x))))  # (B, T, D) -> (B, T, ff)
        out: Tensor = x + self.dropout(self.linear2(inner))
        return out


class Tokens(nn.Module):
    """Linear input plus sinusoidal positions, dropout: (B, T, F) -> (B, T, D)."""

    def __init__(self, features: int, width: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(features, width)
        self.dropout = Dropout(dropout)
        self.positions: Tensor
        self.register_buffer("positions", positions(width), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, F) -> (B, T, D)."""
        tokens: Tensor = self.dropout(self.linear(x) + self.positions[: x.shape[1]])
        return tokens


class Pooling(nn.Module):
    """Attention pooling: a = softmax over T of Linear(D, 1); (B, T, D) -> (B, D)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, D)."""
        return (torch.softmax(self.weight(x), dim=1) * x).sum(dim=1)


class Coral(nn.Module):
    """One shared slope without bias and K-1 thresholds: (B, D/2) -> (B, K-1)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.slope = nn.Linear(width, 1, bias=False)
        self.thresholds = nn.Parameter(torch.zeros(classes - 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, D/2) -> (B, K-1)."""
        out: Tensor = self.slope(x) + self.thresholds
        return out


class Heads(nn.Module):
    """Three heads, always built; only the kind's own is used: (B, D) -> (B, out)."""

    def __init__(self, sizes: Mapping[str, Any], kind: Kind) -> None:
        super().__init__()
        width, classes, rate = sizes["width"], sizes["classes"], sizes["dropout"]
        last: list[nn.Module] = [nn.Linear(width // 2, n) for n in (1, 2, classes)]
        if sizes["coral"]:
            last[2] = Coral(width // 2, classes)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width // 2), nn.GELU(), Dropout(rate), out)
            for out in last
        )
        self.used = _HEAD_AT[kind]

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) -> (B, out)."""
        out: Tensor = self.heads[self.used](x)
        return out


class Encoder(nn.Module):
    """Tokens, layers with LayerDrop, final norm, pooling, heads."""

    def __init__(self, sizes: Mapping[str, Any], kind: Kind) -> None:
        super().__init__()
        width, rate = sizes["width"], sizes["dropout"]
        self.tokens = Tokens(len(sizes["features"]), width, rate)
        self.layers = nn.ModuleList(
            Layer(width, sizes["heads"], sizes["ff"], rate) for _ in range(sizes["layers"])
        )
        self.norm = nn.LayerNorm(width)
        self.pooling = Pooling(width)
        self.heads = Heads(sizes, kind)
        self.layer_drop = sizes["layer_drop"]

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, F) -> (B, out)."""
        x = self.tokens(x)
        for layer in self.layers:
            if kept(self.layer_drop, training=self.training):
                x = layer(x)
        out: Tensor = self.heads(self.pooling(self.norm(x)))
        return out


def build(sizes: Mapping[str, Any], kind: Kind) -> nn.Module:
    """The encoder of these sizes; what the table of nets names."""
    return Encoder(sizes, kind)


def kept(rate: float, *, training: bool) -> bool:
    """LayerDrop: whether a layer runs; drawn only in training with a rate above 0."""
    return not training or rate == 0 or bool(torch.rand(()) >= rate)


def positions(width: int) -> Tensor:
    """Sinusoidal positions (200, D): sin and cos of pos / 10000^(2i/D)."""
    place = torch.arange(POSITIONS_MAX, dtype=torch.float64)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(10000.0) / width))
    table = torch.zeros(POSITIONS_MAX, width, dtype=torch.float64)
    table[:, 0::2], table[:, 1::2] = torch.sin(place * rate), torch.cos(place * rate)
    return table.float()
