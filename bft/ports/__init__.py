"""The seams of bft: what steps and services ask of the outside."""

from bft.ports.book import Answered, Book, Claim, Lease, Page
from bft.ports.broker import Broker, BrokerHooks
from bft.ports.executor import ExecutorApi, Reply
from bft.ports.night import (
    Clock,
    Compute,
    Manifest,
    Notifier,
    ObjectRef,
    OnEvent,
    OnOutcome,
    Pointer,
    Source,
    State,
    Store,
    Summarizer,
    Tick,
    Tracker,
)
from bft.ports.step import Commands, Ports, RunRequest, Step, Summary

__all__ = [
    "Answered",
    "Book",
    "Broker",
    "BrokerHooks",
    "Claim",
    "Clock",
    "Commands",
    "Compute",
    "ExecutorApi",
    "Lease",
    "Manifest",
    "Notifier",
    "ObjectRef",
    "OnEvent",
    "OnOutcome",
    "Page",
    "Pointer",
    "Ports",
    "Reply",
    "RunRequest",
    "Source",
    "State",
    "Step",
    "Store",
    "Summarizer",
    "Summary",
    "Tick",
    "Tracker",
]
