"""Around the close: flatten what is due, wait for it, reconcile, the books (platform, 1.4)."""

from hera.workflows import DAG, Parameter, Suspend

from workflows.common import (
    AR,
    ROOT,
    chain,
    cron,
    done,
    ended,
    given,
    guarded,
    handed,
    step,
    task,
    workflow,
)

flatten = step(
    "flatten",
    f"close --due {AR} --mode {given('mode')}",
    effect="once",
    retries="N",
    pod="order",
    limits=("10m", 420),
)
settle = Suspend(
    name="settle",
    inputs=[Parameter(name="settle_s")],
    duration=handed("settle_s"),
)
reconcile = step(
    "reconcile",
    f"close --reconcile {AR}",
    effect="once",
    retries="N",
    pod="order",
    limits=("10m", 120),
)
books = step(
    "books",
    chain(f"ledger verify {ROOT}", f"ledger export {ROOT}", f"report {AR} --day"),
    effect="replace",
    retries="T",
    pod="light",
    limits=("30m", 900),
    lock="bft-tables",
)

end_of_day = DAG(
    name="end-of-day",
    inputs=[Parameter(name="asof"), Parameter(name="settle_s")],
    target="flatten reconcile books",
    fail_fast=False,
    tasks=[
        task(flatten),
        task(settle, depends=ended("flatten")),
        task(reconcile, depends=done("settle")),
        task(books, depends=ended("reconcile")),
    ],
)
CLOSE = [
    workflow(
        "close",
        [*guarded("close", end_of_day), flatten, settle, reconcile, books],
        parameters="root image mode pod-light asof".split(),
        deadline_s=7200,
    ),
    cron("close", ["48,53 12 * * 1-5", "48,53 15 * * 1-5"], start_within_s=240),
]
