"""The seams of bft: what steps and services ask of the outside."""

from bft.ports.book import Book, Claim, Lease, Page
from bft.ports.broker import Broker, BrokerHooks
from bft.ports.night import (
    Clock,
    Commands,
    Compute,
    Manifest,
    ObjectRef,
    OnEvent,
    OnOutcome,
    Pointer,
    Ports,
    Source,
    State,
    Step,
    Store,
    Summary,
    Tick,
    Tracker,
)
from bft.ports.telling import Notifier, Summarizer

__all__ = [
    "Book",
    "Broker",
    "BrokerHooks",
    "Claim",
    "Clock",
    "Commands",
    "Compute",
    "Lease",
    "Manifest",
    "Notifier",
    "ObjectRef",
    "OnEvent",
    "OnOutcome",
    "Page",
    "Pointer",
    "Ports",
    "Source",
    "State",
    "Step",
    "Store",
    "Summarizer",
    "Summary",
    "Tick",
    "Tracker",
]
