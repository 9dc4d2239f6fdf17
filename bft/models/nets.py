"""The table of nets: a net is one file and one line here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from bft.domain.errors import ConfigError
from bft.domain.forecast import Kind
from bft.domain.runs import Json
from bft.models import cross, encoder

CLASSES = {Kind.REGRESSION: 1, Kind.BINARY: 2}
_SIZES = ("width", "layers", "market_layers", "ff", "heads", "dropout", "layer_drop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """How to build a net from its sizes, and what it asks of (features, dead features)."""

    build: Callable[[Mapping[str, Any], Kind], nn.Module]
    check: Callable[[Sequence[str], Sequence[str]], None] = lambda _features, _dead: None


NETS = {
    "encoder": Net(build=encoder.build),
    "cross": Net(build=cross.build, check=cross.check),
}


def sizes_of(profile: Mapping[str, Any], kind: Kind, features: Sequence[str]) -> Json:
    """Sizes of a net, as stored in its artifact; it is rebuilt from nothing else."""
    return {name: profile[name] for name in _SIZES} | {
        "type": profile["type"],
        "features": list(features),
        "classes": CLASSES.get(kind, profile["buckets"]),
        "coral": profile["loss"] == "coral",
    }


def build_net(sizes: Mapping[str, Any], kind: Kind) -> nn.Module:
    """Net of these sizes, freshly initialised from torch's generator.

    Raises:
        ConfigError: an unknown type; names the known ones.
    """
    if sizes["type"] not in NETS:
        raise ConfigError(f"unknown net {sizes['type']!r}; known: {', '.join(NETS)}")
    return NETS[sizes["type"]].build(sizes, kind)


def parameters(net: nn.Module) -> int:
    """Count of trainable numbers."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)
