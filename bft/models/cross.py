"""The second net: stock tokens that attend to market tokens through a gate.

The window is split by name into 11 market columns, encoded once as M, and 41 stock columns, whose
blocks mix in `sigmoid(gate) * attention to M`. Shape: (B, T, F) -> (B, out). Source: gated
cross-attention as in Alayrac et al., Flamingo (2022), reduced to one memory.

Legend: B batch, T bars, F features, D width.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bft.domain.errors import ConfigError
from bft.domain.forecast import Kind
from bft.domain.gold import CONTEXT_INPUTS
from bft.models.encoder import Attention, Heads, Layer, Pooling, Tokens, kept

MARKET = CONTEXT_INPUTS
DEAD_MARKET_MAX = 4


class Block(nn.Module):
    """Self-attention layer, gated attention to the market, norm: (B, T, D) -> (B, T, D)."""

    def __init__(self, width: int, heads: int, ff: int, dropout: float) -> None:
        super().__init__()
        self.layer = Layer(width, heads, ff, dropout)
        self.market = Attention(width, heads, dropout)
        self.gate = nn.Linear(2 * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """x, memory (B, T, D) -> (B, T, D)."""
        x = self.layer(x)
        a = self.market(x, memory)
        g = torch.sigmoid(self.gate(torch.cat([x, a], dim=-1)))  # (B, T, 2D) -> (B, T, D)
        out: Tensor = self.norm(x + g * a)
        return out


class Cross(nn.Module):
    """Market tower, stock tower of gated blocks, pooling, heads."""

    def __init__(self, sizes: Mapping[str, Any], kind: Kind) -> None:
        super().__init__()
        width, heads, ff, rate = (sizes[n] for n in ("width", "heads", "ff", "dropout"))
        names = list(sizes["features"])
        self.market_at: Tensor
        self.stock_at: Tensor
        stock = [n for n, name in enumerate(names) if name not in MARKET]
        self.register_buffer(
            "market_at", torch.tensor([names.index(n) for n in MARKET]), persistent=False
        )
        self.register_buffer("stock_at", torch.tensor(stock), persistent=False)
        self.market_tokens = Tokens(len(MARKET), width, rate)
        self.market_layers = nn.ModuleList(
            Layer(width, heads, ff, rate) for _ in range(sizes["market_layers"])
        )
        self.market_norm = nn.LayerNorm(width)
        self.tokens = Tokens(len(stock), width, rate)
        self.blocks = nn.ModuleList(Block(width, heads, ff, rate) for _ in range(sizes["layers"]))
        self.norm = nn.LayerNorm(width)
        self.pooling = Pooling(width)
        self.heads = Heads(sizes, kind)
        self.layer_drop = sizes["layer_drop"]

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, F) -> (B, out)."""
        memory = self.market_tokens(x.index_select(-1, self.market_at))
        for layer in self.market_layers:
            if kept(self.layer_drop, training=self.training):
                memory = layer(memory)
        memory = self.market_norm(memory)
        x = self.tokens(x.index_select(-1, self.stock_at))
        for block in self.blocks:
            if kept(self.layer_drop, training=self.training):
                x = block(x, memory)
        out: Tensor = self.heads(self.pooling(self.norm(x)))
        return out


def build(sizes: Mapping[str, Any], kind: Kind) -> nn.Module:
    """The cross net of these sizes; what the table of nets names."""
    return Cross(sizes, kind)


def check(features: Sequence[str], dead: Sequence[str]) -> None:
    """Refuse inputs that leave too little of the market.

    Raises:
        ConfigError: a market column is absent, or more than 4 of the 11 are dead.
    """
    absent = [name for name in MARKET if name not in features]
    if absent:
        raise ConfigError(f"type cross needs the input {absent[0]}; use type encoder")
    gone = [name for name in MARKET if name in dead]
    if len(gone) > DEAD_MARKET_MAX:
        raise ConfigError(
            f"type cross: {len(gone)} of {len(MARKET)} market inputs have no data "
            f"({', '.join(gone)}), at most {DEAD_MARKET_MAX}; load them, or use type encoder"
        )
