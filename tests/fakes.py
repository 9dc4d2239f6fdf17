"""Ports for tests: a real folder store, a fixed clock, and whatever else a test hands in."""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bft.adapters.store.folder import FolderObjects
from bft.adapters.store.tables import TableStore
from bft.cli import CommandLine

NOW = datetime(2026, 1, 5, 23, 30, tzinfo=UTC)


@dataclass(frozen=True)
class FixedClock:
    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@dataclass
class FakePorts:
    store: TableStore
    clock: FixedClock = field(default_factory=FixedClock)
    state: Any = None
    tracker: Any = None
    compute: Any = None
    summarizer: Any = None
    notifier: Any = None
    commands: Any = field(default_factory=lambda: CommandLine(("VERB",)))
    book: Any = None
    api: Any = None
    sources: Mapping[str, Any] = field(default_factory=dict)

    def executor(self, url: str, *, mode: str | None = None) -> Any:
        return self.api

    def source(self, spec: str) -> Any:
        return self.sources[spec]


def make_ports(root: Path, **parts: Any) -> FakePorts:
    return FakePorts(store=TableStore(FolderObjects(root)), **parts)


def no_tick(_done: int, _total: int, _note: str) -> None:
    pass


def arguments(step: Any, *words: str, **settings: Any) -> Namespace:
    """Parse a step's own arguments as the command line would, settings filled in."""
    import argparse

    parser = argparse.ArgumentParser()
    step.arguments(parser)
    args = parser.parse_args(list(words))
    for name, value in settings.items():
        setattr(args, name, value)
    return args
